"""Answers that were given before to exactly the same request.

Off unless it is asked for. Only what would come out the same again is kept (temperature 0), unless everything is to
be; a key never gets an answer that another one paid for.
"""

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dataset_build import ChatCall, ConfigError
from mixture_training.src.asking import Ask, MoEResult

#: Seconds an answer is kept, and bytes all of them may have.
KEPT_S, MOST_BYTES = 3600.0, 64 << 20
#: Bytes of a result besides its texts, and of each option of its receipt, about.
_RESULT_BYTES, _OPTION_BYTES = 2048, 320


class ResponseCache:
    """The answers of late; safe to use from several threads.

    Args:
        kept_s: Seconds an answer is kept.
        most_bytes: Of all answers, about; of more, those used longest ago are forgotten. A single answer of more than
            an eighth is not kept.
        everything: Keep answers of any temperature: the same question then gets the same words.
        clock: Seconds, monotonic.

    Raises:
        ConfigError: a limit is not above 0.
    """

    def __init__(
        self,
        *,
        kept_s: float = KEPT_S,
        most_bytes: int = MOST_BYTES,
        everything: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if kept_s <= 0 or most_bytes <= 0:
            raise ConfigError(f"A cache needs limits above 0; kept_s={kept_s} and most_bytes={most_bytes} were given.")
        self._kept_s, self._most_bytes, self._everything, self._clock = kept_s, most_bytes, everything, clock
        self._kept: OrderedDict[bytes, tuple[MoEResult, int, float]] = OrderedDict()
        self._lock = threading.Lock()
        #: Bytes of what is kept, about.
        self.bytes = 0
        #: How often there was an answer, and how often none.
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def key(self, ask: Ask, version: str) -> bytes | None:
        """Return what stands for a request to one version of a router; None where its answer is not to be kept."""
        if not (self._everything or is_deterministic(ask.call)):
            return None
        allowed = None if ask.allowed is None else sorted(ask.allowed)
        parts = [ask.key_id, version, ask.policy, ask.expert, allowed, ask.call.messages, dict(ask.call.options)]
        try:
            text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError):
            return None
        return hashlib.sha256(text.encode("ascii")).digest()

    def get(self, key: bytes) -> MoEResult | None:
        """Return the result that is kept, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and self._clock() - found[2] > self._kept_s:
                self._forget(key)
                found = None
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: bytes, result: MoEResult) -> None:
        """Keep a result."""
        size = _size(result)
        if size > self._most_bytes // 8:
            return
        with self._lock:
            if key in self._kept:
                self._forget(key)
            self._kept[key] = (result, size, self._clock())
            self.bytes += size
            while self.bytes > self._most_bytes:
                self._forget(next(iter(self._kept)))

    def _forget(self, key: bytes) -> None:
        self.bytes -= self._kept.pop(key)[1]


def is_deterministic(call: ChatCall) -> bool:
    """Whether the same call would get the same answer again, as far as an endpoint's temperature tells."""
    temperature = call.options.get("temperature")
    return isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0


def _size(result: MoEResult) -> int:
    choice = "" if result.choice is None else json.dumps(result.choice, default=str)
    return 4 * (len(result.response) + len(choice)) + _RESULT_BYTES + _OPTION_BYTES * len(result.receipt.options)
