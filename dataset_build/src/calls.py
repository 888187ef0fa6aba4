"""One call to one expert: its turn, its money, deadline, retries, price. Building and serving both go through here.

Waits between tries grow exponentially with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): callers
that failed together do not come back together.
"""

import asyncio
import math
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from dataset_build.src.budget import Budget, BudgetMetError, at_most_usd
from dataset_build.src.errors import ExpertCrashedError, ExpertError, ExpertUnavailableError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.limits import CIRCUIT_OPEN, LONGEST_RETRY_AFTER_S, Endpoint
from dataset_build.src.records import MOST_TOKENS, Answer, Instruction, Response, Usage, is_count

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
# Fields of an answer that are numbers.
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_AMOUNTS = ("cost", "latency_s", "first_token_s")


async def call_expert(
    expert: Expert,
    instruction: Instruction,
    *,
    timeout_s: float,
    retries: int,
    endpoint: Endpoint | None = None,
    budget: Budget | None = None,
    is_probe: bool = False,
) -> Response:
    """Return the expert's response; whatever goes wrong is in its `error`, no `ExpertError` is raised.

    Args:
        expert: Whom to ask.
        instruction: What to ask.
        timeout_s: Seconds each try may take, unless the expert has a `timeout_s` of its own.
        retries: Further tries after a failure that is worth one; a pause the endpoint asks for is kept.
        endpoint: Whose turns and rates to keep; a call that its open breaker held back has the error `circuit_open`.
        budget: What to set money aside from.
        is_probe: Whether this call is the one that an open breaker lets through.

    Raises:
        BudgetMetError: there is no money for a first try.
    """
    call = _Call(expert, instruction, expert.timeout_s or timeout_s, endpoint, budget, is_probe)
    problem: ExpertError | None = None
    for attempt in range(retries + 1):
        try:
            result = await call.make()
        except BudgetMetError:
            if problem is None:
                raise
            break
        if isinstance(result, ExpertError) and result.kind == CIRCUIT_OPEN and problem is not None:
            break  # why the earlier try failed says more
        if problem is not None and problem.usage is not None:  # a failure that is not the last one
            call.at_risk += cost_of(expert, problem.usage)
        if isinstance(result, Response):
            return replace(result, at_risk=call.at_risk) if call.at_risk else result
        problem = result
        if not problem.retryable or problem.kind == CIRCUIT_OPEN or attempt == retries:
            break
        if (problem.retry_after_s or 0.0) > LONGEST_RETRY_AFTER_S:
            break
        await asyncio.sleep(pause_s(attempt, problem.retry_after_s))
    assert problem is not None
    return replace(failed(expert, instruction, problem, call.latency_s), at_risk=call.at_risk)


class _Call:
    """The tries of one call, and what they may have cost."""

    def __init__(
        self,
        expert: Expert,
        instruction: Instruction,
        timeout_s: float,
        endpoint: Endpoint | None,
        budget: Budget | None,
        is_probe: bool,
    ) -> None:
        self._expert = expert
        self._instruction = instruction
        self._timeout_s = timeout_s
        self._endpoint = endpoint
        self._budget = budget
        self._is_probe = is_probe
        self.latency_s: float | None = None
        self.at_risk = 0.0

    async def make(self) -> Response | ExpertError:
        """Make one try, in its turn and with money set aside."""
        endpoint = self._endpoint
        if endpoint is None:
            return await self._within_budget()
        tokens = endpoint.forecast.expect(self._expert.estimate(self._instruction)) if endpoint.counts_tokens else 0
        try:
            epoch = await endpoint.enter(tokens, is_probe=self._is_probe)
        except ExpertUnavailableError as held_back:
            return held_back
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            result = await self._within_budget()
        except BaseException:
            endpoint.release()
            raise
        if isinstance(result, ExpertError):
            endpoint.leave(epoch, result, is_probe=self._is_probe)
        else:
            read, written = result.prompt_tokens or 0, result.completion_tokens or 0
            more = read + written - tokens if tokens and read + written else 0.0
            if written:
                endpoint.forecast.learn(written)
            endpoint.leave(epoch, None, more_tokens=more, took_s=clock() - started)
        return result

    async def _within_budget(self) -> Response | ExpertError:
        budget = self._budget
        reserved = 0.0
        if budget is not None and budget.cap_usd is not None:
            reserved = at_most_usd(self._expert, self._instruction, self._timeout_s) or 0.0
            await budget.reserve(reserved)
        spent = reserved  # what a call that is dropped in the middle may have cost
        try:
            result = await self._ask()
            spent = self._spent_by(result)
        finally:
            if budget is not None:
                budget.settle(reserved, spent)
        return result

    def _spent_by(self, result: Response | ExpertError) -> float:
        if isinstance(result, Response):
            return result.cost or 0.0
        if not result.may_be_billed or result.usage is not None:
            return 0.0 if result.usage is None else cost_of(self._expert, result.usage)
        price, estimate = self._expert.price, self._expert.estimate(self._instruction)
        bound = price.at_most(estimate)
        if bound is None:
            bound = price.of_tokens(estimate.most_prompt_tokens, 0)
        self.at_risk += bound
        return bound

    async def _ask(self) -> Response | ExpertError:
        expert, instruction = self._expert, self._instruction
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await _answer(expert, instruction)
            return answered(expert, instruction, answer, time.perf_counter() - started)
        except TimeoutError:
            problem: ExpertError = timed_out(expert, self._timeout_s)
        except ExpertError as failure:
            problem = failure
        except (Exception, SystemExit, KeyboardInterrupt) as crash:  # Ctrl-C is a signal that a build handles itself
            problem = crashed(expert, crash)
        self.latency_s = time.perf_counter() - started
        return problem


async def _answer(expert: Expert, instruction: Instruction) -> Answer:
    if isinstance(expert, ToolExpert):
        return await in_thread(lambda: expert.answer_now(instruction))
    if isinstance(expert, BatchExpert):
        (result,) = await in_thread(lambda: expert.answer_batch([instruction]))
        if isinstance(result, ExpertError):
            raise result
        return result
    return await expert.answer(instruction)


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, run in a thread of its own.

    Unlike a thread of the default executor, one that hangs delays neither the end of the event loop nor the end
    of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()

    def run() -> None:
        try:
            result = work()
        except BaseException as problem:  # what ends a thread, `sys.exit()` say, ends nothing else
            is_plain = isinstance(problem, Exception) and not isinstance(problem, StopIteration)
            raised = problem if is_plain else RuntimeError(repr(problem))
            settle: Callable[[], None] = lambda: future.set_exception(raised)  # noqa: E731
        else:
            settle = lambda: future.set_result(result)  # noqa: E731
        with suppress(RuntimeError):  # the loop has ended meanwhile and nobody waits
            loop.call_soon_threadsafe(deliver, settle)

    threading.Thread(target=run, daemon=True).start()
    return await future


def pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after the failed try number `attempt` (from 0)."""
    pause = random.uniform(0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt))
    return pause if retry_after_s is None else retry_after_s + pause


def answered(expert: Expert, instruction: Instruction, answer: Answer, latency_s: float) -> Response:
    """Return an answer as a response: priced from its tokens unless the expert knows its cost.

    Raises:
        ExpertCrashedError: the expert returned something that is no answer.
    """
    if not isinstance(answer, Answer) or not isinstance(answer.text, str):
        raise ExpertCrashedError(f"returned {answer!r:.80}; an Answer with a text was expected", expert=expert.name)
    wrong = what_is_wrong(answer)
    if wrong is not None:
        raise ExpertCrashedError(wrong, expert=expert.name)
    cost = answer.cost
    if cost is None:
        cost = expert.price.of_tokens(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
    return Response(
        instruction_id=instruction.id,
        expert=expert.name,
        text=answer.text,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cost=cost,
        latency_s=latency_s if answer.latency_s is None else answer.latency_s,
        model=answer.model,
        finish_reason=answer.finish_reason,
        cached_tokens=answer.cached_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        first_token_s=answer.first_token_s,
        tokens_estimated=bool(answer.tokens_estimated),
        samples=tuple(answer.samples),
    )


def what_is_wrong(answer: Answer) -> str | None:
    """Return which field of an answer cannot be written down or counted, and why; None where all can."""
    for name in _COUNTS:
        value = getattr(answer, name)
        if value is not None and not is_count(value):
            return (
                f"returned an Answer with {name}={value!r:.60}; a whole number from 0 to {MOST_TOKENS:,} was expected"
            )
    for name in _AMOUNTS:
        value = getattr(answer, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value < math.inf):
            return f"returned an Answer with {name}={value!r:.60}; a finite number of at least 0 was expected"
    for name in ("model", "finish_reason"):
        value = getattr(answer, name)
        if value is not None and not isinstance(value, str):
            return f"returned an Answer with {name}={value!r:.60}; a text or None was expected"
    if not isinstance(answer.samples, tuple | list) or not all(isinstance(one, str) for one in answer.samples):
        return f"returned an Answer with samples={answer.samples!r:.60}; texts were expected"
    return None


def failed(expert: Expert, instruction: Instruction, problem: ExpertError, latency_s: float | None = None) -> Response:
    """Return a failure as a response; it has a cost only where the endpoint said what it charges for it."""
    usage = problem.usage
    if usage is None:
        return Response(instruction.id, expert.name, error=problem.as_field(), latency_s=latency_s)
    return Response(
        instruction.id,
        expert.name,
        error=problem.as_field(),
        latency_s=latency_s,
        cost=cost_of(expert, usage),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def cost_of(expert: Expert, usage: Usage) -> float:
    """Return the USD of tokens by the expert's price."""
    return expert.price.of_tokens(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


def timed_out(expert: Expert, seconds: float) -> ExpertUnavailableError:
    """Return the error of a call that took longer than `seconds`; the endpoint may finish and charge for it."""
    return ExpertUnavailableError(
        f"no answer within {seconds:g} s", expert=expert.name, kind="timeout", may_be_billed=True
    )


def crashed(expert: Expert, crash: BaseException) -> ExpertCrashedError:
    """Return an expert's own exception as an error of the tree."""
    return ExpertCrashedError(f"{type(crash).__name__}: {crash}", expert=expert.name)
