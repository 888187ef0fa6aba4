"""One call to one expert: its turn, its money, deadline, retries, price. Building and serving both go through here.

Waits between tries grow exponentially with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): callers
that failed together do not come back together.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace

from dataset_build.src.budget import Budget, BudgetMetError, at_most_usd
from dataset_build.src.errors import ExpertCrashedError, ExpertError, ExpertUnavailableError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.chat_call import ChatCall, ChatPiece
from dataset_build.src.limits import CIRCUIT_OPEN, LONGEST_RETRY_AFTER_S, Endpoint
from dataset_build.src.patience import Patience
from dataset_build.src.records import MOST_TOKENS, Answer, CallEstimate, Instruction, Response, Usage, is_count
from dataset_build.src.tokens import count_tokens

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
#: Pieces of a stream before its first token that are kept; they only name the role, and further ones say nothing.
MOST_EARLY_PIECES = 8
# Fields of an answer that are numbers.
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_AMOUNTS = ("cost", "latency_s", "first_token_s")


async def call_expert(
    expert: Expert,
    asked: Instruction | ChatCall,
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
        asked: What to ask: an instruction, or a conversation (its response has no `instruction_id`).
        timeout_s: Seconds each try may take, unless the expert has a `timeout_s` of its own.
        retries: Further tries after a failure that is worth one; a pause the endpoint asks for is kept.
        endpoint: Whose turns and rates to keep; a call that its open breaker held back has the error `circuit_open`.
        budget: What to set money aside from.
        is_probe: Whether this call is the one that an open breaker lets through.

    Raises:
        BudgetMetError: there is no money for a first try.
    """
    call = ExpertCall(
        expert, asked, timeout_s=timeout_s, retries=retries, endpoint=endpoint, budget=budget, is_probe=is_probe
    )
    return await call.run()


class ExpertCall:
    """The tries of one call, and what they may have cost; either run or streamed, once.

    Args:
        expert: As for `call_expert`, and so are the six that follow.
        asked: What to ask; a stream needs a conversation.
        timeout_s: Of a stream, the seconds until its first token, and between two pieces.
        retries: Of a stream, none follows its first token.
        endpoint: Whose turns and rates to keep.
        budget: What to set money aside from.
        is_probe: Whether this call is the one that an open breaker lets through.
        until: The moment by the event loop's clock beyond which no further try is waited for; None means no such.

    Attributes:
        at_risk: USD that tries without a known cost may have cost at most. A stream that was broken off is taken to
            have cost what was read and what had arrived.
        latency_s: Seconds the last failed try took.
        first_token_s: Seconds from the start of the last try to its first token, of a stream.
        was_sent: Whether any try got its turn.
    """

    def __init__(
        self,
        expert: Expert,
        asked: Instruction | ChatCall,
        *,
        timeout_s: float,
        retries: int,
        endpoint: Endpoint | None = None,
        budget: Budget | None = None,
        is_probe: bool = False,
        until: float | None = None,
    ) -> None:
        self._expert = expert
        self._asked = asked
        self._timeout_s = expert.timeout_s or timeout_s
        self._retries = retries
        self._endpoint = endpoint
        self._budget = budget
        self._is_probe = is_probe
        self._until = until
        self._tokens = self._epoch = 0
        self._reserved = 0.0
        self._started = 0.0
        self._pieces: list[ChatPiece] = []
        self.at_risk = 0.0
        self.latency_s: float | None = None
        self.first_token_s: float | None = None
        self.was_sent = False

    async def run(self) -> Response:
        """Return the response.

        Raises:
            BudgetMetError: there is no money for a first try.
        """
        problem: ExpertError | None = None
        for attempt in range(self._retries + 1):
            try:
                result: Response | ExpertError | None = await self._begin()
            except BudgetMetError:
                if problem is None:
                    raise
                break
            if result is None:
                try:
                    result = await self._ask()
                except BaseException:
                    self._drop()
                    raise
                self._end(result)
            problem = self._later(problem, result)
            if isinstance(result, Response):
                return self._with_risk(result)
            pause = self._pause_s(attempt, result)
            if pause is None:
                break
            await asyncio.sleep(pause)
        assert problem is not None
        return self._with_risk(failed(self._expert, self._asked, problem, self.latency_s))

    async def stream(self) -> AsyncGenerator[ChatPiece | Response, None]:
        """Yield the pieces of the answer from the first token on, and the response last.

        A response with an error may follow pieces: the stream broke, and what was yielded is not the whole answer.

        Raises:
            BudgetMetError: there is no money for a first try.
        """
        problem: ExpertError | None = None
        for attempt in range(self._retries + 1):
            try:
                result: Response | ExpertError | None = await self._begin()
            except BudgetMetError:
                if problem is None:
                    raise
                break
            if result is None:
                try:
                    async with aclosing(self._ask_for_pieces()) as pieces:
                        async for item in pieces:
                            if isinstance(item, ChatPiece):
                                yield item
                            else:
                                result = item
                except BaseException:
                    self._drop()
                    raise
                assert result is not None
                self._end(result)
            problem = self._later(problem, result)
            if isinstance(result, Response):
                yield self._with_risk(result)
                return
            pause = self._pause_s(attempt, result)
            if pause is None or self.first_token_s is not None:
                break
            await asyncio.sleep(pause)
        assert problem is not None
        yield self._with_risk(failed(self._expert, self._asked, problem, self.latency_s))

    def _later(self, before: ExpertError | None, result: Response | ExpertError) -> ExpertError | None:
        """Return the problem to report after a further try, and count what the one before is billed for."""
        if isinstance(result, ExpertError) and result.kind == CIRCUIT_OPEN and before is not None:
            return before  # why the earlier try failed says more
        if before is not None and before.usage is not None:  # a failure that is not the last one
            self.at_risk += cost_of(self._expert, before.usage)
        return result if isinstance(result, ExpertError) else None

    def _pause_s(self, attempt: int, problem: ExpertError) -> float | None:
        """Return the seconds until the next try; None where there is to be none."""
        if not problem.retryable or problem.kind == CIRCUIT_OPEN or attempt == self._retries:
            return None
        if (problem.retry_after_s or 0.0) > LONGEST_RETRY_AFTER_S:
            return None
        pause = pause_s(attempt, problem.retry_after_s)
        if self._until is not None and asyncio.get_running_loop().time() + pause >= self._until:
            return None
        return pause

    def _with_risk(self, response: Response) -> Response:
        return replace(response, at_risk=self.at_risk) if self.at_risk else response

    def _estimate(self) -> CallEstimate:
        asked = self._asked
        return self._expert.estimate(asked) if isinstance(asked, Instruction) else self._expert.estimate_chat(asked)

    async def _begin(self) -> ExpertError | None:
        """Wait for a turn and set money aside; returns why there is no turn."""
        endpoint, budget = self._endpoint, self._budget
        self._pieces = []
        if endpoint is not None:
            self._tokens = endpoint.forecast.expect(self._estimate()) if endpoint.counts_tokens else 0
            try:
                self._epoch = await endpoint.enter(self._tokens, is_probe=self._is_probe)
            except ExpertUnavailableError as held_back:
                return held_back
        self._reserved = 0.0
        if budget is not None and budget.cap_usd is not None:
            try:
                reserved = at_most_usd(self._expert, self._asked, self._timeout_s) or 0.0
                await budget.reserve(reserved)
            except BaseException:
                if endpoint is not None:
                    endpoint.release()
                raise
            self._reserved = reserved
        self.was_sent = True
        self._started = time.perf_counter()
        return None

    def _end(self, result: Response | ExpertError) -> None:
        """Give the turn back, and replace the money set aside by what was spent."""
        if self._budget is not None:
            self._budget.settle(self._reserved, self._spent_by(result))
        elif isinstance(result, ExpertError):
            self._spent_by(result)
        endpoint = self._endpoint
        if endpoint is None:
            return
        if isinstance(result, ExpertError):
            endpoint.leave(self._epoch, result, is_probe=self._is_probe)
            return
        read, written, tokens = result.prompt_tokens or 0, result.completion_tokens or 0, self._tokens
        more = read + written - tokens if tokens and read + written else 0.0
        if written:
            endpoint.forecast.learn(written)
        endpoint.leave(self._epoch, None, more_tokens=more, took_s=time.perf_counter() - self._started)

    def _drop(self) -> None:
        """Give the turn back of a try that was cancelled; what it may have cost counts as spent."""
        if self._budget is not None:
            self._budget.settle(self._reserved, self._reserved)
        self.at_risk += self._may_cost()
        self.latency_s = time.perf_counter() - self._started
        if self._endpoint is not None:
            self._endpoint.release()

    def _spent_by(self, result: Response | ExpertError) -> float:
        if isinstance(result, Response):
            return result.cost or 0.0
        if not result.may_be_billed or result.usage is not None:
            return 0.0 if result.usage is None else cost_of(self._expert, result.usage)
        bound = self._may_cost()
        self.at_risk += bound
        return bound

    def _may_cost(self) -> float:
        """Return the USD of a try whose end nobody saw."""
        if self._pieces:
            usage = self.usage_so_far()
            return cost_of(self._expert, usage)
        price, estimate = self._expert.price, self._estimate()
        bound = price.at_most(estimate)
        return price.of_tokens(estimate.most_prompt_tokens, 0) if bound is None else bound

    def usage_so_far(self) -> Usage:
        """Return about how many tokens a stream has read and written by now."""
        written = sum(count_tokens(text) for piece in self._pieces for text in shown_by(piece))
        return Usage(self._estimate().prompt_tokens, max(written, len(self._pieces)))

    async def _ask(self) -> Response | ExpertError:
        expert, asked = self._expert, self._asked
        try:
            async with asyncio.timeout(self._timeout_s):
                if isinstance(asked, Instruction):
                    answer = await expert.answer(asked)
                else:
                    answer = await expert.chat(asked)
            return answered(expert, asked, answer, time.perf_counter() - self._started)
        except (Exception, SystemExit, KeyboardInterrupt) as failure:  # Ctrl-C is a signal that a build handles itself
            problem = self._problem(failure)
        self.latency_s = time.perf_counter() - self._started
        return problem

    async def _ask_for_pieces(self) -> AsyncGenerator[ChatPiece | Response | ExpertError, None]:
        """Yield pieces from the first token on, then what came of them."""
        early: list[ChatPiece] = []
        result: Response | ExpertError
        try:
            async with aclosing(self._received()) as received:
                async for item in received:
                    if not isinstance(item, ChatPiece):
                        break
                    if self.first_token_s is None and not item.is_token:
                        if len(early) < MOST_EARLY_PIECES:
                            early.append(item)
                        continue
                    for piece in self._begun(early):
                        yield piece
                    self._pieces.append(item)
                    yield item
            assert not isinstance(item, ChatPiece)
            result = answered(self._expert, self._asked, item, time.perf_counter() - self._started)
            result = replace(result, first_token_s=self.first_token_s)
            if self.first_token_s is None:  # an answer without any token, or that came in no pieces
                for piece in early:
                    yield piece
                if result.text:
                    yield ChatPiece({"content": result.text}, result.finish_reason or "stop")
        except (Exception, SystemExit, KeyboardInterrupt) as failure:
            result = self._problem(failure)
        self.latency_s = time.perf_counter() - self._started
        yield result

    def _begun(self, early: list[ChatPiece]) -> list[ChatPiece]:
        """Return, at the first token, the pieces that came before it."""
        if self.first_token_s is not None:
            return []
        self.first_token_s = time.perf_counter() - self._started
        return [replace(piece, is_followed=True) for piece in early]

    async def _received(self) -> AsyncGenerator[ChatPiece | Answer, None]:
        """Yield what the expert yields, each in its time; the last is an `Answer`."""
        assert isinstance(self._asked, ChatCall)
        stream: AsyncIterator[ChatPiece | Answer] = self._expert.stream_chat(self._asked)
        clock, patience = asyncio.get_running_loop().time, Patience()
        first_until = clock() + self._timeout_s
        try:
            while True:
                until = first_until if self.first_token_s is None else clock() + self._timeout_s
                item = await patience.wait(anext(stream), until)
                yield item
                while isinstance(item, ChatPiece) and item.is_followed:
                    item = await anext(stream)
                    yield item
        except StopAsyncIteration:
            raise ExpertCrashedError("its stream ended without an Answer", expert=self._expert.name) from None
        finally:
            patience.close()
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    def _problem(self, failure: BaseException) -> ExpertError:
        """Return whatever went wrong as an error of the tree."""
        if isinstance(failure, TimeoutError):
            return timed_out(self._expert, self._timeout_s)
        return failure if isinstance(failure, ExpertError) else crashed(self._expert, failure)


def shown_by(piece: ChatPiece) -> Iterator[str]:
    """Yield the texts that a piece adds to an answer: what is said, thought, refused, or given to tools."""
    for value in piece.delta.values():
        if isinstance(value, str):
            yield value
    for call in piece.delta.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            yield from (value for value in function.values() if isinstance(value, str))


def pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after the failed try number `attempt` (from 0)."""
    pause = random.uniform(0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt))
    return pause if retry_after_s is None else retry_after_s + pause


def answered(expert: Expert, asked: Instruction | ChatCall, answer: Answer, latency_s: float) -> Response:
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
        instruction_id=_id_of(asked),
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
        choice=answer.choice,
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


def failed(
    expert: Expert, asked: Instruction | ChatCall, problem: ExpertError, latency_s: float | None = None
) -> Response:
    """Return a failure as a response; it has a cost only where the endpoint said what it charges for it."""
    usage = problem.usage
    if usage is None:
        return Response(_id_of(asked), expert.name, error=problem.as_field(), latency_s=latency_s)
    return Response(
        _id_of(asked),
        expert.name,
        error=problem.as_field(),
        latency_s=latency_s,
        cost=cost_of(expert, usage),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _id_of(asked: Instruction | ChatCall) -> str:
    return asked.id if isinstance(asked, Instruction) else ""


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
