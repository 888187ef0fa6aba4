"""What an expert is: a name, a price, and one way to answer.

Three shapes, by how they are called best:

- `Expert`: `await answer(instruction)`; calls of one expert overlap (network endpoints).
- `ToolExpert`: `solve(text)`, plain synchronous code; costs its measured CPU time; runs in worker processes.
- `BatchExpert`: `answer_batch(instructions)`; a local model that is fastest on many at once.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from dataset_build.src.errors import ExpertCrashedError, ExpertError, MissingDependencyError
from dataset_build.src.experts.capabilities import Capabilities, most_prompt_tokens, prompt_tokens
from dataset_build.src.experts.chat_call import ChatCall, ChatPiece, asked_bound
from dataset_build.src.limits import Limits
from dataset_build.src.own_thread import in_thread
from dataset_build.src.records import CANNOT_ANSWER, Answer, CallEstimate, Instruction, Price
from dataset_build.src.tokens import count_tokens, most_tokens

#: The stated price of a core for tools that run on the user's own machine, USD per hour.
DEFAULT_CORE_HOUR_USD = 0.05


class Expert(ABC):
    """Anything that answers an instruction.

    Args:
        name: How the dataset and the router call it.
        price: What it charges; None means free.
        description: One line a person (or a routing language model) reads.
    """

    provider: ClassVar[str] = "custom"
    #: What the endpoint calls the model that is asked for; a reply that names another one is reported. None: no such.
    model: str | None = None
    #: Seconds one call may take; None leaves it to the caller.
    timeout_s: float | None = None
    #: How much its endpoint may be asked, where a user said so.
    limits: Limits | None = None
    #: What it can take besides a text.
    capabilities: Capabilities = Capabilities()

    def __init__(self, name: str, *, price: Price | None = None, description: str = "") -> None:
        self.name = name
        self.price = price or Price()
        self.description = description

    @abstractmethod
    async def answer(self, instruction: Instruction) -> Answer:
        """Answer one instruction.

        Raises:
            ExpertUnavailableError: the call may succeed if repeated.
            ExpertRefusedError: it will not.
            ExpertCrashedError: the expert's own code failed.
        """

    async def chat(self, call: ChatCall) -> Answer:
        """Answer a conversation; an expert that takes no messages answers its transcript.

        Raises:
            ExpertError: as for `answer`.
        """
        return await self.answer(Instruction.create(call.transcript))

    async def stream_chat(self, call: ChatCall) -> AsyncIterator[ChatPiece | Answer]:
        """Yield the pieces of an answer as they come, and the whole `Answer` last.

        Raises:
            ExpertError: as for `answer`, before the first piece or after any.
        """
        answer = await self.chat(call)
        choice = answer.choice or {}
        message = choice.get("message") or {"content": answer.text}
        yield ChatPiece({"role": "assistant", **message}, answer.finish_reason or "stop", choice.get("logprobs"))
        yield answer

    @property
    def endpoint(self) -> str:
        """What rate limits and the circuit breaker belong to; experts of equal `endpoint` share theirs."""
        return self.name

    def estimate(self, instruction: Instruction) -> CallEstimate:
        """Return what a call will use, without making it; overridden by what sends more or bounds the answer."""
        return CallEstimate(count_tokens(instruction.text), most_tokens(instruction.text), None)

    def estimate_chat(self, call: ChatCall) -> CallEstimate:
        """Return the same for a conversation; tools and images count too."""
        return CallEstimate(prompt_tokens(call), most_prompt_tokens(call), asked_bound(call.options))

    def check(self) -> None:  # noqa: B027
        """Find out, without a call, whether it plainly cannot answer (no key, say); asked once before a build.

        Raises:
            ConfigError: it cannot; the message says what to do.
        """

    async def aclose(self) -> None:  # noqa: B027
        """Release connections and processes; the expert is not used afterwards."""

    def fingerprint(self) -> str:
        """Return what, besides the instruction, decides the answer (model, sampling options …).

        Recorded responses are reused only while this text is unchanged. Never put a secret in it.
        """
        return self.provider


class CannotAnswerError(Exception):
    """Raised by a tool that understands that the instruction is not for it.

    It is an honest response ("I cannot answer this: …") of score 0, not a failed call.
    """


class ToolExpert(Expert):
    """An expert that is a function on this machine; its cost is measured CPU time at a stated price.

    Subclasses set the class attributes and write `solve`.
    """

    #: Registered name; also the default expert name.
    tool_name: ClassVar[str] = ""
    #: One line that says what it can do.
    tool_description: ClassVar[str] = ""
    #: Raise when the tool's answers change, so that old recorded answers are not reused.
    version: ClassVar[str] = "1"

    provider: ClassVar[str] = "tool"

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        #: Constructor options of its own that the configuration gave.
        self.options: Mapping[str, Any] = {}
        super().__init__(
            name or self.tool_name,
            price=price or Price(per_core_hour=DEFAULT_CORE_HOUR_USD),
            description=description or self.tool_description,
        )

    @abstractmethod
    def solve(self, text: str) -> str:
        """Return the answer to the instruction `text`.

        Raises:
            CannotAnswerError: the instruction is not one this tool can parse.
        """

    def warm_up(self) -> None:
        """Load what the first answer needs, so that its cost is not charged to one instruction."""

    def answer_now(self, instruction: Instruction) -> Answer:
        """Answer in this thread and measure the CPU time it took.

        Raises:
            ExpertCrashedError: `solve` raised something other than `CannotAnswerError`.
            MissingDependencyError: the tool's package is not installed.
        """
        started, cpu_started = time.perf_counter(), time.thread_time()
        try:
            text = self.solve(instruction.text)
        except CannotAnswerError as refusal:
            text = f"{CANNOT_ANSWER} {refusal}"
        except (ExpertError, MissingDependencyError):
            raise
        except Exception as crash:
            raise ExpertCrashedError(f"{type(crash).__name__}: {crash}", expert=self.name) from crash
        cpu = time.thread_time() - cpu_started
        return Answer(text=text, cost=self.price.of_cpu(cpu), latency_s=time.perf_counter() - started)

    async def chat(self, call: ChatCall) -> Answer:
        """Answer what the user said last: a tool understands an instruction, not a conversation."""
        return await self.answer(Instruction.create(call.last_text))

    async def answer(self, instruction: Instruction) -> Answer:
        """Answer in a thread, so that other experts go on meanwhile."""
        return await in_thread(lambda: self.answer_now(instruction))

    def fingerprint(self) -> str:
        """Return the tool's name, version and options."""
        options = json.dumps(dict(self.options), sort_keys=True, default=str) if self.options else ""
        return f"{self.provider}:{self.tool_name}:{self.version}{options}"


class BatchExpert(Expert):
    """An expert that answers many instructions at once, such as a model loaded on this machine."""

    #: Batches to hand over at a time; an expert that sorts what it is given gains by more than one.
    window_batches: int = 1

    @abstractmethod
    def answer_batch(self, instructions: Sequence[Instruction]) -> list[Answer | ExpertError]:
        """Answer each instruction; one that failed has its error in place of an answer."""

    def iter_answers(self, instructions: Sequence[Instruction]) -> Iterator[tuple[int, Answer | ExpertError]]:
        """Yield the number of an instruction and its result, each once, in any order, as they are finished."""
        yield from enumerate(self.answer_batch(instructions))

    async def answer(self, instruction: Instruction) -> Answer:
        """Answer a batch of one, in a thread."""
        (result,) = await in_thread(lambda: self.answer_batch([instruction]))
        if isinstance(result, ExpertError):
            raise result
        return result
