"""Runs the recommended expert, and the next one when it fails."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from dataset_build import CANNOT_ANSWER, Expert, Instruction, ToolExpert, call_expert

logger = logging.getLogger(__name__)

#: Seconds one expert may take, and all experts together.
DEFAULT_TIMEOUT_S, DEFAULT_TOTAL_TIMEOUT_S = 60.0, 120.0
#: So many tools may decline an instruction before the refusal stands.
MOST_DECLINED = 3


@dataclass(frozen=True)
class Attempt:
    """One call of one expert.

    Attributes:
        expert: Who was called.
        cost: USD, when known; a failed call may have cost something too.
        latency_s: Seconds it took.
        error: `kind: message` of a failed call, `declined: why` of a tool that cannot; None when it answered.
    """

    expert: str
    cost: float | None
    latency_s: float
    error: str | None


@dataclass(frozen=True)
class Execution:
    """What came of a ranking.

    Attributes:
        expert: Who answered; None when nobody did.
        response: The answer; None when nobody answered.
        attempts: Every call, in order.
        latency_s: Seconds from start to end.
    """

    expert: str | None
    response: str | None
    attempts: tuple[Attempt, ...]
    latency_s: float

    @property
    def cost(self) -> float:
        """USD of all attempts whose cost is known."""
        return sum(attempt.cost or 0.0 for attempt in self.attempts)


class Executor:
    """Goes down a ranking until an expert answers.

    Errors and timeouts go on to the next expert. So does a tool that declines ("I cannot answer this: …"), but at most
    `MOST_DECLINED` times, because far down the ranking an answer is a guess; then the first refusal is the answer.

    Args:
        experts: By name; a ranked expert that is not here is passed over.
        timeout_s: Seconds one expert may take, its retries included, so that a silent one leaves time for the next.
        total_timeout_s: Seconds all of them may take; no further expert is tried once it is used up.
        retries: Further tries of the same expert after a failure worth one.
    """

    def __init__(
        self,
        experts: Mapping[str, Expert],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        total_timeout_s: float = DEFAULT_TOTAL_TIMEOUT_S,
        retries: int = 1,
    ) -> None:
        self.experts = dict(experts)
        self._warm: set[str] = set()
        self._timeout_s = timeout_s
        self._total_timeout_s = total_timeout_s
        self._retries = retries

    async def run(self, text: str, ranking: Sequence[str]) -> Execution:
        """Return the first answer down the ranking; never raises for a failing expert."""
        instruction = Instruction.create(text)
        started = time.perf_counter()
        attempts: list[Attempt] = []
        declined: list[tuple[str, str]] = []
        for name in ranking:
            if len(declined) >= MOST_DECLINED:
                break
            left = self._total_timeout_s - (time.perf_counter() - started)
            if left <= 0:
                break
            if name not in self.experts:
                continue
            attempt, response = await self._try(self.experts[name], instruction, left)
            if response is not None and response.startswith(CANNOT_ANSWER):
                declined.append((name, response))
                attempt = replace(attempt, error=f"declined: {response.removeprefix(CANNOT_ANSWER).strip()}")
            attempts.append(attempt)
            if response is not None and attempt.error is None:
                return Execution(name, response, tuple(attempts), time.perf_counter() - started)
        who, said = declined[0] if declined else (None, None)
        return Execution(who, said, tuple(attempts), time.perf_counter() - started)

    async def _try(self, expert: Expert, instruction: Instruction, left: float) -> tuple[Attempt, str | None]:
        """Call one expert, its retries included, within what is left of the total."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(left) as total:
                await self._warm_up(expert)
                async with asyncio.timeout(self._timeout_s):
                    response = await call_expert(expert, instruction, timeout_s=self._timeout_s, retries=self._retries)
        except TimeoutError:
            spent = time.perf_counter() - started
            why = (
                f"the total of {self._total_timeout_s:g} s is used up"
                if total.expired()
                else f"no answer within {self._timeout_s:g} s"
            )
            return Attempt(expert.name, None, spent, f"timeout: {why}"), None
        spent = time.perf_counter() - started
        return Attempt(expert.name, response.cost, spent, response.error), response.text

    async def _warm_up(self, expert: Expert) -> None:
        """Let a tool load what it needs before its first call, so that the call is not charged for it."""
        if isinstance(expert, ToolExpert) and expert.name not in self._warm:
            self._warm.add(expert.name)
            with suppress(Exception):  # what fails here fails again in the call, which reports it
                await asyncio.to_thread(expert.warm_up)

    async def aclose(self) -> None:
        """Release every expert's connections and processes; one that fails to is logged and holds up no other."""
        for expert in self.experts.values():
            try:
                await expert.aclose()
            except Exception as problem:
                logger.warning("expert %r could not be closed: %s: %s", expert.name, type(problem).__name__, problem)
