"""What became of requests whose experts fail: each asked with a tag of its own, each answer read for it."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.serving.connection import LATE, LOST, WHOLE, Reply

_WORD = re.compile(r"([0-9a-z]+):(\d+) ")

#: How a request may end.
ANSWERED, RESUMED, BROKEN, FAILED, TURNED_AWAY, CUT, HUNG = (
    "answered",
    "resumed by another expert, marked",
    "broken off, marked by an error event",
    "all experts failed (502, 504)",
    "turned away (503, 429, no connection)",
    "connection lost",
    "past its deadline",
)


@dataclass
class Outcomes:
    """What is known of all requests.

    Attributes:
        ends: How many ended how, by phase.
        wrong: What must not be, in words; at most a few of each kind are spelled out.
        decisions: Ids of the decisions of finished requests -> the tag they were asked with.
        slowest_s: Seconds of the slowest request.
        statuses: How many had which status.
    """

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    decisions: dict[str, str] = field(default_factory=dict)
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def total(self) -> Counter[str]:
        """Return how many ended how."""
        return sum(self.ends.values(), Counter())

    def add(self, phase: str, tag: str, pieces: int, reply: Reply, *, stream: bool, deadline_s: float) -> None:
        """Judge one reply.

        Args:
            phase: What was going on when it was sent.
            tag: It was asked with.
            pieces: Words of a whole answer.
            reply: What came.
            stream: Whether it was to be streamed.
            deadline_s: What no request may take longer than.
        """
        self.slowest_s = max(self.slowest_s, reply.seconds)
        self.statuses[reply.status] += 1
        end = self._end(tag, pieces, reply, stream=stream, deadline_s=deadline_s)
        self.ends.setdefault(phase, Counter())[end] += 1
        decision = reply.header("x-moe-decision")
        if decision is None:
            if end in (ANSWERED, RESUMED, BROKEN):
                self._blame(f"{tag}: answered without x-moe-decision")
        elif decision in self.decisions:
            self._blame(f"{tag} and {self.decisions[decision]} have one decision, {decision}")
        elif end != CUT:
            self.decisions[decision] = tag

    def _end(self, tag: str, pieces: int, reply: Reply, *, stream: bool, deadline_s: float) -> str:
        if reply.end == LATE or reply.seconds > deadline_s:
            self._blame(f"{tag}: {reply.seconds:.1f} s, past its deadline")
            return HUNG
        if reply.end == LOST:
            return CUT if reply.status else TURNED_AWAY
        if reply.end != WHOLE or reply.status in (503, 429):
            return TURNED_AWAY
        if reply.status in (502, 504):
            return FAILED
        if reply.status != 200:
            self._blame(f"{tag}: status {reply.status}: {reply.body[:200]!r}")
            return FAILED
        said = said_in_stream(reply.body) if stream else said_whole(reply.body)
        found = _WORD.findall(said.text)
        if any(other != tag for other, _ in found) or _WORD.sub("", said.text):
            self._blame(f"{tag}: got another's content: {said.text[:200]!r}")
        numbers = [int(number) for _, number in found]
        if said.has_error:
            return BROKEN
        if said.is_resumed and numbers[-pieces:] == list(range(pieces)):
            return RESUMED
        if numbers != list(range(pieces)) or not said.is_done:
            self._blame(f"{tag}: called whole, and is not: {said.text[:200]!r}")
        return ANSWERED

    def _blame(self, what: str) -> None:
        self.wrong.append(what)


@dataclass(frozen=True)
class Said:
    """What an answer says: its text, and whether it ended as it should, by an error, or was taken over."""

    text: str
    is_done: bool
    has_error: bool = False
    is_resumed: bool = False


def said_whole(body: bytes) -> Said:
    """Return what a whole answer says."""
    reply = json.loads(body)
    return Said(reply["choices"][0]["message"]["content"], is_done=reply["choices"][0]["finish_reason"] == "stop")


def said_in_stream(body: bytes) -> Said:
    """Return what a stream says."""
    parts: list[str] = []
    is_done = has_error = is_resumed = False
    for event in events_of(body):
        if event == "[DONE]":
            is_done = True
            continue
        chunk = json.loads(event)
        has_error = has_error or "error" in chunk
        is_resumed = is_resumed or "resumed" in (chunk.get("moe") or {})
        parts += [choice["delta"].get("content") or "" for choice in chunk.get("choices", [])]
    return Said("".join(parts), is_done, has_error, is_resumed)


def events_of(body: bytes) -> Iterable[str]:
    """Return the data of each event of a stream."""
    return [event[6:] for event in body.decode().split("\n\n") if event.startswith("data: ")]
