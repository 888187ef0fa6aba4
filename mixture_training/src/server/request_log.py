"""One line of JSON per request on stderr. It never holds what was asked or answered, nor a key.

Lines are gathered for a moment and written together, because a write each would cost more than routing.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

#: Seconds lines may wait.
FLUSH_S = 0.2
#: Lines that are written at once without waiting.
_MOST_WAITING = 500


class RequestLog:
    """Writes what happened.

    Args:
        is_on: Whether requests are written; problems always are.
        worker: Number of this process.
    """

    def __init__(self, *, is_on: bool = True, worker: int = 0) -> None:
        self.is_on = is_on
        self._worker = worker
        self._waiting: list[str] = []

    def request(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        *,
        decision: str | None = None,
        expert: str | None = None,
        cost: float | None = None,
        key_id: str | None = None,
        code: str | None = None,
    ) -> None:
        """Note a request; `route` is the pattern it matched, not the path, which may hold anything."""
        if not self.is_on:
            return
        line: dict[str, object] = {"at": _now(), "worker": self._worker, "method": method, "route": route}
        line |= {"status": status, "ms": round(seconds * 1000.0, 2)}
        if decision is not None:
            line["decision"] = decision
        if expert is not None:
            line["expert"] = expert
        if cost is not None:
            line["cost"] = cost
        if key_id is not None:
            line["key"] = key_id
        if code is not None:
            line["code"] = code
        self._waiting.append(json.dumps(line))
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()

    def event(self, what: str, **values: object) -> None:
        """Note something that concerns the whole server."""
        line = {"at": _now(), "worker": self._worker, "event": what, **values}
        self._waiting.append(json.dumps(line, default=str))
        self.flush()

    def problem(self, where: str, problem: BaseException) -> None:
        """Note an error nobody foresaw: its type and its places, not its message, which may quote a request."""
        frames = traceback.extract_tb(problem.__traceback__)
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        self.event("problem", where=where, type=type(problem).__name__, places=places)

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()


class LogLines(logging.Handler):
    """Carries warnings of the libraries into the same lines, without tracebacks."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.name.startswith("aiohttp") or record.name == "asyncio":  # these may quote what a client sent
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
            self._log.event("warning", logger=record.name, type=kind)
        else:
            self._log.event("warning", logger=record.name, message=record.getMessage()[:500])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
