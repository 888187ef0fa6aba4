"""What goes wrong while requests run: one thing after the other, each for its share of the requests."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.serving.upstream import Upstream

#: Of its requests that an expert fails while it is unwell.
SHARE = 0.4


@dataclass(frozen=True)
class Fault:
    """Something that begins and ends; both may block."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]


def expert_faults(name: str, upstream: Upstream) -> list[Fault]:
    """Return what an expert may do: be slow, send garbage, stop in the middle of an answer, die.

    All but the last happen to a part of its requests only: an expert that always fails is soon left alone.
    """

    def now_and_then(mode: str) -> Callable[[], None]:
        return lambda: upstream.change(mode=mode, share=SHARE)

    def well() -> None:
        upstream.change(mode="ok", share=1.0)

    return [
        Fault(f"{name} slow", now_and_then("slow"), well),
        Fault(f"{name} garbage", now_and_then("garbage"), well),
        Fault(f"{name} stops midway", now_and_then("cut"), well),
        Fault(f"{name} killed", upstream.kill, upstream.restart),
    ]


class Course:
    """Begins and ends faults as requests are sent.

    The requests are divided into as many equal parts as there are faults; a fault is on for the first half of its part,
    and everybody is well for the second.

    Attributes:
        phase: What is going on now.
    """

    def __init__(self, faults: Sequence[Fault], requests: int) -> None:
        self.phase = "all well"
        self._faults, self._part = list(faults), max(2, requests // max(1, len(faults)))
        self._passed = asyncio.Event()
        self._sent = 0

    def sent(self, count: int) -> None:
        """Tell how many requests were sent so far."""
        self._sent = count
        self._passed.set()

    async def run(self) -> None:
        """Run until the last fault has ended."""
        for number, fault in enumerate(self._faults):
            await self._until(number * self._part)
            self.phase = fault.name
            await asyncio.to_thread(fault.begin)
            await self._until(number * self._part + self._part // 2)
            await asyncio.to_thread(fault.end)
            self.phase = "all well"

    async def _until(self, count: int) -> None:
        while self._sent < count:
            self._passed.clear()
            await self._passed.wait()
