"""One expert's turn at a conversation: from its start to its end, whichever that is."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from dataset_build import CANNOT_ANSWER, ChatPiece, Expert, ExpertCall, Patience, Response, ToolExpert
from mixture_training.src.decisions import Attempt
from mixture_training.src.execution import TokenUsage

#: Fields of a piece that another expert can go on from.
_TEXT_KEYS = frozenset({"role", "content", "reasoning_content", "reasoning"})
#: The error of a call that was ended from here: another expert was faster, or nobody wants the answer any more.
CANCELLED = "cancelled: it was no longer wanted"


class Trial:
    """One call of one expert, its retries included.

    Args:
        expert: Who.
        call: The call; None for an expert that is passed over.
        started_s: Seconds after the start of the whole.
        until: The moment, by the event loop's clock, by which it must have answered, or begun to.
        total: The moment by which all must be over.
        allowed_s: Seconds that it has, and that all have, for the errors.
        is_hedge: Whether it was started because the one before was late.
        error: Why it is passed over.
        ended: Called once, when it is over.

    Attributes:
        response: What came of it, once it is over.
        error: `kind: message` of what went wrong.
        text: What a stream has brought so far.
        only_text: Whether nothing else came, so that another expert could go on with it.
    """

    def __init__(
        self,
        expert: Expert,
        call: ExpertCall | None,
        *,
        started_s: float,
        until: float = 0.0,
        total: float = 0.0,
        allowed_s: tuple[float, float] = (0.0, 0.0),
        is_hedge: bool = False,
        error: str | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self.expert = expert
        self.is_hedge = is_hedge
        self.response: Response | None = None
        self.error = error
        self.text = ""
        self.only_text = True
        self._call = call
        self._started_s = started_s
        self._until, self._total = until, total
        self._allowed_s = allowed_s
        self._ended = ended
        self._is_over = call is None
        self._started = time.perf_counter()
        self._latency_s = 0.0
        self._items: AsyncGenerator[ChatPiece | Response, None] | None = None
        self._first: ChatPiece | None = None

    @property
    def latency_s(self) -> float:
        """Seconds it took, or takes already."""
        return self._latency_s if self._is_over else time.perf_counter() - self._started

    @property
    def first_token_s(self) -> float | None:
        """Seconds from its start to the first token of a stream."""
        return None if self._call is None else self._call.first_token_s

    @property
    def declined(self) -> str | None:
        """What it said when it declined; None when it did not."""
        said = self.response.text if self.response is not None else self._first.text if self._first else None
        return said if said is not None and said.startswith(CANNOT_ANSWER) else None

    async def warm_up(self) -> None:
        """Let a tool load what it needs before its first call, so that the call is not charged for it."""
        with suppress(Exception):  # what fails here fails again in the call, which reports it
            async with asyncio.timeout_at(self._until):
                if isinstance(self.expert, ToolExpert):
                    await asyncio.to_thread(self.expert.warm_up)

    async def run(self) -> None:
        """Ask for the whole answer; what came of it is in `response` and `error`."""
        assert self._call is not None
        try:
            async with asyncio.timeout_at(self._until):
                self.response = await self._call.run()
            self.error = self.response.error
        except TimeoutError:
            self._timed_out(self._until)
        except asyncio.CancelledError:
            self.error = CANCELLED
            raise
        finally:
            self._over()

    async def open(self) -> None:
        """Ask for a stream and wait for its first token; `error` says why there is none."""
        assert self._call is not None
        self._items = self._call.stream()
        try:
            async with asyncio.timeout_at(self._until):
                item = await anext(self._items)
            if isinstance(item, ChatPiece):
                self._first = item
            else:
                self._finish(item)
        except TimeoutError:
            self._timed_out(self._until)
        except asyncio.CancelledError:
            self.error = CANCELLED
            self._over()
            raise

    async def pieces(self) -> AsyncGenerator[ChatPiece, None]:
        """Yield the pieces of an open stream, the first one too; `error` says afterwards whether it broke."""
        assert self._items is not None
        item: ChatPiece | Response | None = self._first
        patience = Patience()
        try:
            while isinstance(item, ChatPiece):
                self.text += item.text
                self.only_text = self.only_text and not any(
                    value for key, value in item.delta.items() if key not in _TEXT_KEYS
                )
                yield item
                if item.is_followed:
                    item = await anext(self._items)
                else:
                    item = await patience.wait(anext(self._items), self._total)
            assert item is not None
            self._finish(item)
        except TimeoutError:
            self._timed_out(self._total)
        except (asyncio.CancelledError, GeneratorExit):
            await self.close()
            raise
        finally:
            patience.close()

    async def drain(self) -> None:
        """Take in the rest of a stream that nobody is shown, for what it cost."""
        async for _ in self.pieces():
            pass

    async def close(self) -> None:
        """End it where it is not over; the connection is closed before this returns."""
        if self._is_over:
            return
        self.error = self.error or CANCELLED
        if self._items is not None:
            with suppress(RuntimeError):  # it is being read elsewhere, and that ends it too
                await self._items.aclose()
        self._over()

    def as_attempt(self) -> Attempt:
        """Return the record of it; what was lost or cancelled has the cost that it may have had."""
        call, response = self._call, self.response
        cost = None if response is None else response.cost
        if call is not None and call.at_risk:
            cost = (cost or 0.0) + call.at_risk
        tokens = response
        if call is not None and self._first is not None and (response is None or response.prompt_tokens is None):
            so_far = call.usage_so_far()
            read, written, cached = so_far.prompt_tokens, so_far.completion_tokens, None
        elif tokens is not None:
            read, written, cached = tokens.prompt_tokens, tokens.completion_tokens, tokens.cached_tokens
        else:
            read = written = cached = None
        return Attempt(
            expert=self.expert.name,
            cost=cost,
            latency_s=self.latency_s,
            error=self.error,
            started_s=self._started_s,
            first_token_s=self.first_token_s,
            prompt_tokens=read,
            completion_tokens=written,
            cached_tokens=cached,
            is_hedge=self.is_hedge,
        )

    def usage(self) -> TokenUsage:
        """Return the tokens of its answer, or of what there is of it."""
        response = self.response
        if response is None or response.error is not None:
            attempt = self.as_attempt()
            return TokenUsage(attempt.prompt_tokens, attempt.completion_tokens, is_estimated=True)
        return TokenUsage(
            response.prompt_tokens,
            response.completion_tokens,
            response.cached_tokens,
            response.reasoning_tokens,
            response.tokens_estimated,
        )

    def _finish(self, response: Response) -> None:
        self.response = response
        self.error = response.error
        self._over()

    def _timed_out(self, moment: float) -> None:
        own_s, total_s = self._allowed_s
        why = f"the total of {total_s:g} s is used up" if moment >= self._total else f"no answer within {own_s:g} s"
        self.error = f"timeout: {why}"
        self._over()

    def _over(self) -> None:
        if self._is_over:
            return
        self._latency_s, self._is_over = time.perf_counter() - self._started, True
        if self._ended is not None:
            self._ended()
