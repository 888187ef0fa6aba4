"""Who answered a session last, and what staying with that expert saves.

The expert that answered the last turn has the conversation in its endpoint's prompt cache: what it read then costs the
price of cached tokens now. So it is expected to cost that much less, and it is kept unless the policy prefers another
all the same. Where cost does not count, it is kept while no other is expected to score more than `STICKINESS` better:
answers of one conversation in one voice are worth a difference that nobody notices.

The table is this process's own: with several workers or replicas, route a session to the same one, or accept that
another one decides its next turn without knowing the last.
"""

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_build import ChatCall, Price
from mixture_training.src.policy import CostWeightPolicy, Policy

#: Seconds that endpoints keep what they read, as most of them say (five to ten minutes).
KEPT_S = 300.0
#: Sessions remembered.
MOST_SESSIONS = 100_000
#: Score by which another expert must be expected to be better where cost does not count; never more than half of the
#: interval around the expected score.
STICKINESS = 0.02


@dataclass(frozen=True, slots=True)
class Turn:
    """The last turn of a session.

    Attributes:
        expert: Who answered it.
        prompt_tokens: What it read.
        messages: How many messages that were.
        digest: Of those messages.
        at: When, on the table's clock.
    """

    expert: str
    prompt_tokens: int
    messages: int
    digest: bytes
    at: float

    def cached_tokens(self, call: ChatCall) -> int:
        """Return the tokens of `call` that the expert has read: none where it does not continue that turn."""
        if len(call.messages) < self.messages or _digest(call.messages[: self.messages]) != self.digest:
            return 0
        return self.prompt_tokens

    def saving(self, call: ChatCall, price: Price) -> float:
        """Return the USD that staying saves; 0 where the price of cached tokens is not known."""
        if price.cached_per_million is None or price.cached_per_million >= price.prompt_per_million:
            return 0.0
        return self.cached_tokens(call) * (price.prompt_per_million - price.cached_per_million) / 1e6


class Affinity:
    """The last turns of the sessions of late; safe to use from several threads.

    Args:
        kept_s: Seconds a turn is remembered.
        most: Sessions remembered; of more, those used longest ago are forgotten.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, *, kept_s: float = KEPT_S, most: int = MOST_SESSIONS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept_s, self._most, self._clock = kept_s, most, clock
        self._turns: OrderedDict[tuple[str | None, str], Turn] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._turns)

    def last(self, session: str, *, owner: str | None = None) -> Turn | None:
        """Return the last turn of a session, or None where it is unknown or too long ago.

        Args:
            session: Its name.
            owner: Whose session it is: equal names of two owners are two sessions.
        """
        with self._lock:
            turn = self._turns.get((owner, session))
            if turn is not None and self._clock() - turn.at > self._kept_s:
                del self._turns[owner, session]
                return None
            return turn

    def note(self, session: str, expert: str, call: ChatCall, prompt_tokens: int, *, owner: str | None = None) -> None:
        """Remember who answered `call`, and how many tokens it read."""
        now = self._clock()
        turn = Turn(expert, prompt_tokens, len(call.messages), _digest(call.messages), now)
        with self._lock:
            self._turns[owner, session] = turn
            self._turns.move_to_end((owner, session))
            while self._turns:  # the order is that of use, so what is too old comes first
                oldest = next(iter(self._turns))
                if len(self._turns) <= self._most and now - self._turns[oldest].at <= self._kept_s:
                    break
                del self._turns[oldest]


def stays(
    rule: Policy,
    scores: Sequence[float],
    costs: Sequence[float],
    *,
    saving: float,
    half_width: float | None,
) -> bool:
    """Whether the expert of the session is kept.

    Args:
        rule: `quality` or `cost_weight`.
        scores: Expected, of the expert that ranks first and of the session's.
        costs: Expected USD of the two.
        saving: USD that staying saves.
        half_width: Of the interval around the session's expert; None where nothing tells.
    """
    weight = rule.weight if isinstance(rule, CostWeightPolicy) else 0.0
    if weight > 0.0:
        return scores[1] - weight * max(costs[1] - saving, 0.0) >= scores[0] - weight * costs[0]
    margin = STICKINESS if half_width is None else min(STICKINESS, half_width)
    return scores[0] - scores[1] <= margin


def _digest(messages: Sequence[Mapping[str, Any]]) -> bytes:
    text = json.dumps(messages, ensure_ascii=True, default=str, separators=(",", ":"))
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()
