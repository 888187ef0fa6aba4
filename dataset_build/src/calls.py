"""One call to one expert: deadline, retries, price. Building and serving both go through here.

Waits between tries grow exponentially with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): callers
that failed together do not come back together.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dataset_build.src.errors import ExpertCrashedError, ExpertError, ExpertUnavailableError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.records import Answer, Instruction, Response

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
#: An endpoint that asks for a longer pause than this is left alone; the failure is tried again on the next run.
LONGEST_RETRY_AFTER_S = 120.0


async def call_expert(expert: Expert, instruction: Instruction, *, timeout_s: float, retries: int) -> Response:
    """Return the expert's response; whatever goes wrong is in its `error`, no `ExpertError` is raised.

    Args:
        expert: Whom to ask.
        instruction: What to ask.
        timeout_s: Seconds each try may take.
        retries: Further tries after a failure that is worth one; a pause the endpoint asks for is kept.
    """
    for attempt in range(retries + 1):
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await _answer(expert, instruction)
            return answered(expert, instruction, answer, time.perf_counter() - started)
        except TimeoutError:
            problem: ExpertError = timed_out(expert, timeout_s)
        except ExpertError as failure:
            problem = failure
        except Exception as crash:
            problem = crashed(expert, crash)
        if not problem.retryable or attempt == retries or (problem.retry_after_s or 0) > LONGEST_RETRY_AFTER_S:
            break
        await asyncio.sleep(pause_s(attempt, problem.retry_after_s))
    return failed(expert, instruction, problem, time.perf_counter() - started)


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
        except BaseException as problem:
            raised = RuntimeError(repr(problem)) if isinstance(problem, StopIteration) else problem
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
        tokens_estimated=answer.tokens_estimated,
        samples=answer.samples,
    )


def failed(expert: Expert, instruction: Instruction, problem: ExpertError, latency_s: float | None = None) -> Response:
    """Return a failure as a response; what it cost is unknown, so it has no cost."""
    return Response(instruction.id, expert.name, error=problem.as_field(), latency_s=latency_s)


def timed_out(expert: Expert, seconds: float) -> ExpertUnavailableError:
    """Return the error of a call that took longer than `seconds`."""
    return ExpertUnavailableError(f"no answer within {seconds:g} s", expert=expert.name, kind="timeout")


def crashed(expert: Expert, crash: Exception) -> ExpertCrashedError:
    """Return an expert's own exception as an error of the tree."""
    return ExpertCrashedError(f"{type(crash).__name__}: {crash}", expert=expert.name)
