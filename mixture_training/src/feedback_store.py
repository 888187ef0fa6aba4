"""What was decided and how good it turned out to be, in a SQLite file beside the router or in PostgreSQL.

SQLAlchemy is imported when a store is opened, Alembic when its schema has to be made or brought up to date.
"""

import hashlib
import hmac
import logging
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError
from mixture_training.src.decisions import Decision, Feedback, FeedbackKind, Judged, decision_of, new_id, now
from mixture_training.src.hub_places import home_of
from mixture_training.src.storing.database import Database, StoreUnavailableError
from mixture_training.src.storing.keys import KeyStore
from mixture_training.src.storing.rows import clean, from_row, to_row

if TYPE_CHECKING:
    from mixture_training.src.storing.counting import Traffic
    from mixture_training.src.storing.reading import Brief

logger = logging.getLogger(__name__)

__all__ = [
    "Counts",
    "Decision",
    "Feedback",
    "FeedbackStore",
    "Judged",
    "ScoredInstruction",
    "StoreUnavailableError",
    "feedback_path",
    "new_id",
    "now",
]


@dataclass(frozen=True)
class ScoredInstruction:
    """All feedback on one (instruction, expert) as one number.

    Attributes:
        instruction: Its text.
        expert: Who answered.
        score: Mean of the judgements.
        count: How many there were.
        cost: Mean USD of the expert's own calls; None when unknown.
        category: What the router took it for, when it had categories.
    """

    instruction: str
    expert: str
    score: float
    count: int
    cost: float | None
    category: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a store holds; `latest` is when the last decision was made, None without any."""

    decisions: int
    feedback: int
    latest: str | None


def feedback_path(folder: Path) -> Path:
    """Return where the decisions of the router in `folder` are kept: beside it, so that a new version keeps them.

    Those of a router in the hub's cache lie beside its working copy.
    """
    folder = home_of(Path(folder)).absolute()
    return folder.with_name(f"{folder.name}.feedback.sqlite3")


class FeedbackStore:
    """Decisions, feedback and keys; safe to use from several threads, and from several processes at once.

    Args:
        place: A file (made with its folder when absent), `sqlite:///FILE` or `postgresql://user:password@host/name`.

    Attributes:
        path: The file; None for a server.
        place: Where it is, to be shown: a URL without its password.
        keys: Who may call.

    Raises:
        ConfigError: the place cannot be written, or the URL is none.
        StoreUnavailableError: there is no answer from the server. Every method raises it while the database is away.
        DataError: it is no feedback store, or was written by a newer version.
        MissingDependencyError: the driver of PostgreSQL is not installed.
    """

    def __init__(self, place: Path | str) -> None:
        self._database = Database(place)
        from mixture_training.src.storing.writing import salt

        self.path, self.place = self._database.path, self._database.place
        self.keys = KeyStore(self._database)
        self._salt = salt(self._database).encode("ascii")

    def user_hash(self, user: str) -> str:
        """Return what is stored in place of a user's (or a session's) name: its HMAC with the store's own salt."""
        return hmac.new(self._salt, user.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]

    def remember(self, decision: Decision) -> None:
        """Store a decision; from then on it survives the end of this process, however it comes."""
        self.remember_all([decision])

    def remember_all(self, decisions: Sequence[Decision]) -> None:
        """Store decisions at once; one whose id is known stays as it was and counts once."""
        self.remember_rows([to_row(decision) for decision in decisions])

    def remember_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Store decisions that are rows already, as the spool has them."""
        from mixture_training.src.storing.writing import add_decisions

        self.keys.note_charged(add_decisions(self._database, rows))

    def record(
        self,
        decision_id: str,
        score: float,
        comment: str | None = None,
        *,
        user: str | None = None,
        event: str | None = None,
        key_id: str | None = None,
    ) -> Feedback:
        """Store a score of a response and return it; a response may be judged more than once.

        Args:
            decision_id: The id of the result.
            score: From 0 (useless) to 1 (right).
            comment: Why.
            user: Who judges; stored hashed.
            event: A name of this very judgement: sent twice, it counts once, and the first is returned.
            key_id: By whose key it comes; decisions of other keys are unknown to it. None means all are known.

        Raises:
            ConfigError: the id is unknown, the score lies outside [0, 1], or nobody had answered.
        """
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
            raise ConfigError(f"A feedback score lies in [0, 1]; {score!r} was given.")
        about = self._answered(decision_id, key_id)
        return self._judge(about, "score", float(score), comment, user=user, event=event)

    def prefer(
        self,
        better_id: str,
        worse_id: str,
        comment: str | None = None,
        *,
        user: str | None = None,
        event: str | None = None,
        key_id: str | None = None,
    ) -> Feedback:
        """Store that one response was found better than another; the rest is as for `record`.

        Raises:
            ConfigError: an id is unknown, both are the same, or nobody had answered.
        """
        if better_id == worse_id:
            raise ConfigError(f"A preference is between two decisions; {better_id!r} was given for both.")
        better, worse = self._answered(better_id, key_id), self._answered(worse_id, key_id)
        return self._judge(better, "preference", None, comment, user=user, event=event, preferred_to=worse.id)

    def correct(
        self,
        decision_id: str,
        text: str,
        comment: str | None = None,
        *,
        keep_text: bool = False,
        user: str | None = None,
        event: str | None = None,
        key_id: str | None = None,
    ) -> Feedback:
        """Store that a response was not right (score 0), and, if texts are kept, what would have been.

        Raises:
            ConfigError: the id is unknown, the text is empty, or nobody had answered.
        """
        if not text.strip():
            raise ConfigError("A correction is the text that would have been right; an empty one was given.")
        about, kept = self._answered(decision_id, key_id), text if keep_text else None
        return self._judge(about, "correction", 0.0, comment, user=user, event=event, correction=kept)

    def _answered(self, decision_id: str, key_id: str | None) -> Decision:
        found = self.decision(decision_id, key_id=key_id)
        if found.expert is None:
            raise ConfigError(f"Decision {decision_id!r} has no response to judge: nobody answered.")
        return found

    def _judge(
        self,
        about: Decision,
        kind: FeedbackKind,
        score: float | None,
        comment: str | None,
        *,
        user: str | None,
        event: str | None,
        preferred_to: str | None = None,
        correction: str | None = None,
    ) -> Feedback:
        from mixture_training.src.storing.writing import add_feedback

        judgement = Feedback(
            decision_id=about.id,
            created=now(),
            score=score,
            comment=comment,
            kind=kind,
            preferred_to=preferred_to,
            correction=correction,
            user=None if user is None else self.user_hash(user),
            event=event or uuid.uuid4().hex,
        )
        return add_feedback(self._database, judgement, about)

    def decision(self, decision_id: str, *, key_id: str | None = None) -> Decision:
        """Return a decision, by its id or by that of an answer of the server (`chatcmpl-…`).

        Raises:
            ConfigError: there is none with this id, or, where `key_id` is given, none of this key.
        """
        from mixture_training.src.storing.reading import find

        with self._database.reading() as connection:
            found = find(connection, clean(decision_of(decision_id)))
        if found is None or (key_id is not None and found.key_id != key_id):
            raise ConfigError(
                f"No decision {decision_id!r} in {self.place}. Ids come with every result (`result.id`, `moe run`)."
            )
        return found

    def decisions(
        self,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
        after_id: str | None = None,
        *,
        key_id: str | None = None,
        newest_first: bool = False,
    ) -> list[Decision]:
        """Return decisions as they came in, oldest first; for pages, give `limit` and the last id of the page before.

        `since` is part of the time asked for, `until` is not; `key_id` leaves only those of one key.
        """
        from mixture_training.src.storing.reading import page

        query = page(moment_of(since), moment_of(until), limit, after_id, key_id, newest_first)
        with self._database.reading() as connection:
            return [from_row(row) for row in connection.execute(query)]

    def brief(self, limit: int, *, since: datetime | str | None = None, key_id: str | None = None) -> "list[Brief]":
        """Return the newest decisions in brief, newest first; `key_id` leaves only those of one key."""
        from mixture_training.src.storing.reading import brief

        with self._database.reading() as connection:
            return brief(connection, limit, moment_of(since), key_id)

    def feedback(self, decision_id: str | None = None) -> list[Feedback]:
        """Return all feedback, oldest first, or that of one decision."""
        from mixture_training.src.storing.reading import feedback_of

        with self._database.reading() as connection:
            return [Feedback(*row) for row in connection.execute(feedback_of(decision_id))]

    def judged(self, since: datetime | str | None = None) -> list[Judged]:
        """Return every judgement given since then with its decision, oldest first.

        A preference makes two rows, one after the other: the better decision scored 1, the worse scored 0.
        """
        from mixture_training.src.storing.reading import judged, worse

        stamp = moment_of(since)
        rows: list[Judged] = []
        with self._database.reading() as connection:
            losers = {(each.feedback.decision_id, each.feedback.event): each for each in worse(connection, stamp)}
            for each in judged(connection, stamp):
                loser = losers.get((each.feedback.decision_id, each.feedback.event))
                rows += [each] if loser is None else [each, loser]
        return rows

    def scored_instructions(self) -> list[ScoredInstruction]:
        """Return one row per (instruction, expert) that was judged and whose text is kept, by first judgement."""
        grouped: dict[tuple[str, str], tuple[list[float], dict[str, float], str | None]] = {}
        for row in self.judged():
            decision = row.decision
            if decision.instruction is None or decision.expert is None:
                continue
            scores, costs, _ = grouped.setdefault((decision.instruction, decision.expert), ([], {}, decision.category))
            scores.append(row.score)
            for attempt in decision.attempts:
                if attempt.expert == decision.expert and attempt.error is None and attempt.cost is not None:
                    costs[decision.id] = attempt.cost
        return [
            ScoredInstruction(
                instruction,
                expert,
                score=math.fsum(scores) / len(scores),
                count=len(scores),
                cost=math.fsum(costs.values()) / len(costs) if costs else None,
                category=category,
            )
            for (instruction, expert), (scores, costs, category) in grouped.items()
        ]

    def traffic(self, since: datetime | str | None = None) -> "list[Traffic]":
        """Return what each expert did, hour by hour, from the hour of `since` on; what was forgotten still counts."""
        from mixture_training.src.storing.counting import read_traffic

        with self._database.reading() as connection:
            return read_traffic(connection, moment_of(since))

    def counts(self) -> Counts:
        """Return how much there is."""
        from mixture_training.src.storing.reading import counts

        with self._database.reading() as connection:
            return Counts(*counts(connection))

    def spent(self, key_id: str) -> float:
        """Return the USD a key has spent.

        Raises:
            ConfigError: there is no such key.
        """
        return self.keys.spent_usd(key_id)

    def forget_user(self, user: str) -> int:
        """Empty all that a user said or judged, and all that others wrote about it; return how many rows had some.

        Texts, features, receipts, comments, corrections and names are gone from the tables, and with SQLite from the
        file; when, by which expert and for how much money somebody was answered stays, and so do scores.
        """
        from mixture_training.src.storing.forgetting import forget_user

        count = forget_user(self._database, self.user_hash(user))
        if not self.compact():
            logger.warning("%s is in use: deleted bytes leave its log when its readers are done", self.place)
        return count

    def forget_before(self, moment: datetime | str) -> int:
        """Delete the decisions made before `moment` with their judgements; return how many decisions there were.

        Hourly counts and what keys have spent stay. The bytes are overwritten; `compact` makes the file smaller too,
        for which nobody can write to it meanwhile.
        """
        from mixture_training.src.storing.forgetting import forget_before

        stamp = moment_of(moment)
        assert stamp is not None
        count = forget_before(self._database, stamp)
        if count:
            self._database.compact(shrink=False)
        return count

    def compact(self) -> bool:
        """Give the space of deleted rows back; return whether it was done, which readers of SQLite can delay."""
        return self._database.compact()

    def close(self) -> None:
        """Close the database; the store is not used afterwards."""
        self.keys.close()
        self._database.close()

    def __enter__(self) -> "FeedbackStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def moment_of(moment: datetime | str | None) -> str | None:
    """Return a moment as it is stored; a text without a zone, and a date alone, are taken as UTC.

    Raises:
        ConfigError: it is no moment.
    """
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(
                f"{moment!r} is no moment; write it as 2026-01-31 or 2026-01-31T12:00:00+00:00."
            ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")
