"""Keys that callers show: what each may use, how much it may spend and has spent."""

import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError
from mixture_training.src.decisions import new_id, now
from mixture_training.src.storing.database import StoreUnavailableError
from mixture_training.src.storing.rows import NANO, clean

if TYPE_CHECKING:
    from sqlalchemy import Row

    from mixture_training.src.storing.database import Database

logger = logging.getLogger(__name__)

#: Seconds after which a change made by another process is seen.
REFRESH_S = 1.0
_PREFIX = "moe-"
#: Characters of a secret that are kept to recognise it by.
_HINT = 4


@dataclass(frozen=True, slots=True)
class Key:
    """What a caller may do.

    Attributes:
        id: What decisions are charged to.
        name: Whose it is, or what for.
        hint: The last characters of its secret.
        created: ISO 8601, UTC.
        last_used: To the minute; None when it never was.
        budget_usd: What it may spend in all; None means no limit.
        spent_usd: What it has spent.
        requests_per_minute: None means no limit.
        experts: Who may answer; None means all.
        policies: What may be asked for; None means all.
        is_disabled: Whether it was revoked.
    """

    id: str
    name: str
    hint: str
    created: str
    last_used: str | None = None
    budget_usd: float | None = None
    spent_usd: float = 0.0
    requests_per_minute: int | None = None
    experts: tuple[str, ...] | None = None
    policies: tuple[str, ...] | None = None
    is_disabled: bool = False

    @property
    def is_spent(self) -> bool:
        """Whether nothing of the budget is left."""
        return self.budget_usd is not None and self.spent_usd >= self.budget_usd


@dataclass(frozen=True, slots=True)
class Reservation:
    """So much of a key's budget is held for a request that runs; see `KeyStore.reserve`."""

    key_id: str
    nano_usd: int


class KeyStore:
    """The keys of a store, safe to use from several threads and processes.

    A secret is 32 random bytes. It is kept only as its SHA-256: a slow hash protects what people choose and others can
    guess, and nobody guesses 256 bits, so a fast one is as safe and costs a request microseconds.

    All keys are held in memory and read anew every `REFRESH_S` seconds while they are in use, so that `check` never
    waits for the database; while that is away, the keys last read stay good.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._by_hash: dict[bytes, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._read_at: float | None = None
        self._is_closed = threading.Event()
        self._refresher: threading.Thread | None = None
        self._is_away = False
        #: Billionths of a dollar of each key: held for running requests, spooled and not yet in the database, and in
        #: the database with the time since when, for what was read before that does not know of it.
        self._held: dict[str, int] = {}
        self._spooled: dict[str, int] = {}
        self._charged: dict[str, list[tuple[float, int]]] = {}

    def add(
        self,
        name: str,
        *,
        budget_usd: float | None = None,
        requests_per_minute: int | None = None,
        experts: Iterable[str] | None = None,
        policies: Iterable[str] | None = None,
    ) -> tuple[Key, str]:
        """Make a key and return it with its secret, which is shown this once and kept nowhere.

        Raises:
            ConfigError: a limit is none, or the name is empty.
        """
        if not name.strip():
            raise ConfigError("A key needs a name, to tell it from others.")
        if budget_usd is not None and not 0 < budget_usd <= 1e9:
            raise ConfigError(f"The budget of a key is USD above 0 and at most 1e9; {budget_usd!r} was given.")
        if requests_per_minute is not None and not 1 <= requests_per_minute < 2**31:
            raise ConfigError(f"requests_per_minute is at least 1; {requests_per_minute!r} was given.")
        from mixture_training.src.storing.tables import keys

        secret = _PREFIX + secrets.token_urlsafe(32)
        key = Key(
            id=f"key-{new_id()}",
            name=clean(name.strip()),
            hint=secret[-_HINT:],
            created=now(),
            budget_usd=None if budget_usd is None else float(budget_usd),
            requests_per_minute=requests_per_minute,
            experts=None if experts is None else tuple(map(str, experts)),
            policies=None if policies is None else tuple(map(str, policies)),
        )
        row = {
            "id": key.id,
            "name": key.name,
            "hint": key.hint,
            "secret_hash": _digest(secret).hex(),
            "created": key.created,
            "budget_usd": key.budget_usd,
            "spent_nano_usd": 0,
            "requests_per_minute": key.requests_per_minute,
            "experts": None if key.experts is None else json.dumps(key.experts),
            "policies": None if key.policies is None else json.dumps(key.policies),
            "is_disabled": False,
        }
        with self._database.writing() as connection:
            connection.execute(keys.insert(), row)
        self.refresh()
        return key, secret

    def check(self, secret: str) -> Key | None:
        """Return the key of a secret; None when there is none, or it was revoked. Takes microseconds.

        Raises:
            StoreUnavailableError: the database has been away since the start, so that no key is known.
        """
        if self._read_at is None:
            self.refresh()
        self._start_refreshing()
        # How long a look into a table of hashes takes tells nothing: nobody can choose what his guess hashes to.
        key = self._by_hash.get(_digest(secret))
        return None if key is None or key.is_disabled else key

    def list(self) -> list[Key]:
        """Return all keys, oldest first, the revoked ones as well."""
        self.refresh()
        return sorted(self._by_id.values(), key=lambda key: (key.created, key.id))

    def revoke(self, key_id: str) -> Key:
        """Disable a key for good, here at once and in other processes within about a second.

        Raises:
            ConfigError: there is no such key.
        """
        from mixture_training.src.storing.tables import keys

        with self._database.writing() as connection:
            done = connection.execute(keys.update().where(keys.c.id == clean(key_id)).values(is_disabled=True))
        if not done.rowcount:
            raise ConfigError(f"There is no key {key_id!r}; `moe keys list` shows them.")
        self.refresh()
        return self._by_id[key_id]

    def spent_usd(self, key_id: str) -> float:
        """Return what a key has spent, with what this process has not yet written.

        Raises:
            ConfigError: there is no such key.
        """
        self.refresh()
        with self._lock:
            if key_id not in self._by_id:
                raise ConfigError(f"There is no key {key_id!r}; `moe keys list` shows them.")
            return self._by_id[key_id].spent_usd + self._spooled.get(key_id, 0) / NANO

    def reserve(self, key_id: str, usd: float) -> Reservation | None:
        """Hold `usd` of a key's budget for a request about to run; None when so much is not left.

        However many requests run at once in this process, they cannot spend more than the budget together, as long as
        each costs no more than was held for it. Other processes are seen as of the last refresh.
        """
        nano = max(0, round(usd * NANO))
        with self._lock:
            key = self._by_id.get(key_id)
            if key is None or key.is_disabled:
                return None
            if key.budget_usd is not None:
                charged = sum(each for _, each in self._charged.get(key_id, ()))
                taken = charged + self._spooled.get(key_id, 0) + self._held.get(key_id, 0)
                spent = round(key.spent_usd * NANO) + taken
                if spent + nano > round(key.budget_usd * NANO) or spent >= round(key.budget_usd * NANO):
                    return None
            self._held[key_id] = self._held.get(key_id, 0) + nano
        return Reservation(key_id, nano)

    def settle(self, reservation: Reservation) -> None:
        """Release what was held, once, after the decision that tells the real cost was handed to the writer."""
        with self._lock:
            left = self._held.get(reservation.key_id, 0) - reservation.nano_usd
            if left > 0:
                self._held[reservation.key_id] = left
            else:
                self._held.pop(reservation.key_id, None)

    def note_spooled(self, key_id: str, cost: float) -> None:
        """Count what a decision cost that is not in the database yet."""
        with self._lock:
            self._spooled[key_id] = self._spooled.get(key_id, 0) + round(cost * NANO)

    def note_drained(self, costs: Mapping[str, int]) -> None:
        """Count no longer what `note_spooled` counted, in billionths of a dollar."""
        with self._lock:
            for key_id, nano in costs.items():
                self._spooled[key_id] = self._spooled.get(key_id, 0) - nano

    def note_charged(self, costs: Mapping[str, int]) -> None:
        """Count what was just added in the database, until the next time it is read."""
        at = time.monotonic()
        with self._lock:
            for key_id, nano in costs.items():
                self._charged.setdefault(key_id, []).append((at, nano))

    def refresh(self) -> None:
        """Read all keys now.

        Raises:
            StoreUnavailableError: the database is away.
        """
        from sqlalchemy import select

        from mixture_training.src.storing.tables import keys

        with self._reading:
            started = time.monotonic()
            with self._database.reading() as connection:
                rows = connection.execute(select(keys)).all()
            by_hash = {bytes.fromhex(row.secret_hash): _key(row) for row in rows}
            with self._lock:
                self._by_hash = by_hash
                self._by_id = {key.id: key for key in by_hash.values()}
                self._read_at = started
                for key_id, charged in list(self._charged.items()):
                    unknown = [each for each in charged if each[0] >= started]
                    if unknown:
                        self._charged[key_id] = unknown
                    else:
                        del self._charged[key_id]

    def _start_refreshing(self) -> None:
        if self._refresher is not None:
            return
        with self._lock:
            if self._refresher is None:
                self._refresher = threading.Thread(target=self._keep_fresh, name="moe-keys", daemon=True)
                self._refresher.start()

    def _keep_fresh(self) -> None:
        while not self._is_closed.wait(REFRESH_S):
            try:
                self.refresh()
                self._is_away = False
            except StoreUnavailableError as problem:
                if not self._is_away:
                    logger.warning("keys stay as they were last read: %s", problem)
                self._is_away = True
            except ConfigError:  # closed meanwhile
                return

    def close(self) -> None:
        """Stop reading; the keys are not used afterwards."""
        self._is_closed.set()
        if self._refresher is not None:
            self._refresher.join(timeout=REFRESH_S)


def _key(row: "Row[Any]") -> Key:
    return Key(
        id=row.id,
        name=row.name,
        hint=row.hint,
        created=row.created,
        last_used=row.last_used,
        budget_usd=row.budget_usd,
        spent_usd=row.spent_nano_usd / NANO,
        requests_per_minute=row.requests_per_minute,
        experts=None if row.experts is None else tuple(json.loads(row.experts)),
        policies=None if row.policies is None else tuple(json.loads(row.policies)),
        is_disabled=bool(row.is_disabled),
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
