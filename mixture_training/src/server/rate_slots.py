"""How often each key may ask, counted once for all worker processes: a small file of memory they share.

Each key has a slot that holds one number, the moment at which its next request is due at a steady rate (the generic
cell rate algorithm of ATM networks, ITU-T I.371). A request that comes too early by more than the burst waits.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import time
from pathlib import Path
from tempfile import TemporaryFile

#: Keys that are told apart; two that share a slot share a rate, and a slot unused for a minute is given away.
SLOTS = 4096
_SLOT = struct.Struct("<Qd")
#: Slots looked at for a key before the one longest unused is taken.
_PROBES = 8
#: A key that was silent may catch up on requests of so many seconds.
BURST_S = 10.0


class RateSlots:
    """Rates of keys.

    Args:
        file: A descriptor of the shared file, inherited by every worker; None keeps the rates of one process.
    """

    def __init__(self, file: int | None = None) -> None:
        self._own = TemporaryFile() if file is None else None  # noqa: SIM115 - closed with the object
        self._file = self._own.fileno() if self._own is not None else int(file or 0)
        os.ftruncate(self._file, SLOTS * _SLOT.size)
        self._memory = mmap.mmap(self._file, SLOTS * _SLOT.size)

    def wait_s(self, key: str, per_minute: float) -> float:
        """Count a request and return 0, or the seconds after which one will be taken.

        Args:
            key: Whose request it is.
            per_minute: Requests a minute.
        """
        interval = 60.0 / per_minute
        ahead = max(BURST_S, interval) - interval
        name = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") or 1
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            now = time.time()  # one clock for all processes
            at, due = self._find(name, now)
            due = max(due, now) if due < now + 86_400.0 else now
            if due - now > ahead + 1e-9:
                return due - now - ahead
            _SLOT.pack_into(self._memory, at, name, due + interval)
            return 0.0
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()
        if self._own is not None:
            self._own.close()

    def _find(self, name: int, now: float) -> tuple[int, float]:
        """Return where the slot of a key is, and when its next request is due."""
        oldest, since = 0, float("inf")
        for probe in range(_PROBES):
            at = (name + probe) % SLOTS * _SLOT.size
            held, due = _SLOT.unpack_from(self._memory, at)
            if held == name:
                return at, due
            if due < since:
                oldest, since = at, due
        return oldest, now


def shared_file(folder: Path) -> int:
    """Return the descriptor of a new file for the workers of one server; it has no name by the time they start."""
    path = folder / "rates"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    os.set_inheritable(file, True)
    return file
