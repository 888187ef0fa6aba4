"""Ask every expert every instruction that has no answer yet, and make each response durable as it finishes.

Every expert has its own stream through the instructions, so a slow one holds up no other, and at most
`concurrency` of its calls exist at a time, however many instructions there are.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from dataset_build.src.calls import answered, call_expert, crashed, failed, in_thread, pause_s, timed_out
from dataset_build.src.config import BuildConfig
from dataset_build.src.errors import EarlyStopError, ExpertError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.records import Instruction, Response
from dataset_build.src.response_store import ResponseStore, request_key
from dataset_build.src.workers import Job, WorkerPool, run_together

#: Seconds that calls in flight get to finish after an interrupt; a second interrupt drops them at once.
STOP_GRACE_S = 10.0


def count_answered(instructions: Sequence[Instruction], experts: Sequence[Expert], store: ResponseStore) -> int:
    """Return how many of the instructions × experts the journal has an answer to."""
    ids = {instruction.id for instruction in instructions}
    asked = {(expert.name, request_key(expert)) for expert in experts}
    return sum(key in ids and (expert, request) in asked for key, expert, request in store.answered())


async def query_all(
    instructions: Sequence[Instruction],
    experts: Sequence[Expert],
    *,
    store: ResponseStore,
    config: BuildConfig,
    on_response: Callable[[Response], None] = lambda response: None,
) -> None:
    """Fill the journal: afterwards it holds a response for every instruction and expert.

    Args:
        instructions: What to ask.
        experts: Whom to ask; closed at the end.
        store: The journal; what it has an answer to is not asked again, what it has an error for is.
        config: Concurrency, deadlines, retries, workers, batch size.
        on_response: Called after a response is durable.

    Raises:
        EarlyStopError: interrupted (SIGINT, SIGTERM); everything finished is kept.
    """
    querying = _Querying(instructions, experts, store, config, on_response)
    try:
        await querying.run()
    finally:
        for expert in experts:
            with suppress(Exception):
                await expert.aclose()


class _Querying:
    def __init__(
        self,
        instructions: Sequence[Instruction],
        experts: Sequence[Expert],
        store: ResponseStore,
        config: BuildConfig,
        on_response: Callable[[Response], None],
    ) -> None:
        self._instructions = instructions
        self._experts = experts
        self._store = store
        self._config = config
        self._on_response = on_response
        self._requests = {expert.name: request_key(expert) for expert in experts}
        self._stopping = False

    async def run(self) -> None:
        tools = [expert for expert in self._experts if isinstance(expert, ToolExpert)]
        streams: list[Coroutine[Any, Any, None]] = []
        for expert in self._experts:
            if isinstance(expert, BatchExpert):
                streams.append(self._ask_in_batches(expert, self._missing(expert)))
            elif not isinstance(expert, ToolExpert):
                waiting = self._missing(expert)
                streams += [self._ask(expert, waiting) for _ in range(self._config.concurrency)]
        tasks = [asyncio.create_task(run_together(streams))]
        if tools:
            pool = WorkerPool(tools, workers=self._config.workers, timeout_s=self._config.timeout_s)
            tasks.append(asyncio.create_task(pool.run(self._tool_jobs(tools), self._record)))
        with _interrupts() as interrupts:
            await self._supervise(tasks, interrupts)

    async def _supervise(self, tasks: list[asyncio.Task[None]], interrupts: "asyncio.Queue[str]") -> None:
        interrupt = asyncio.create_task(interrupts.get())
        try:
            running = set(tasks)
            while running and not interrupt.done():
                done, _ = await asyncio.wait({*running, interrupt}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & running:
                    task.result()
                running -= done
            if not running:
                return
            self._stopping = True
            for task in tasks[1:]:  # a tool's call costs nothing to repeat
                task.cancel()
            again = asyncio.create_task(interrupts.get())
            await asyncio.wait({tasks[0], again}, timeout=STOP_GRACE_S, return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
        finally:
            for task in (*tasks, interrupt):
                task.cancel()
            await asyncio.gather(*tasks, interrupt, return_exceptions=True)
        total = len(self._instructions) * len(self._experts)
        done_count = count_answered(self._instructions, self._experts, self._store)
        raise EarlyStopError(
            f"stopped by {interrupt.result()} with {done_count:,} of {total:,} answers kept in {self._config.output}; "
            "the same command resumes there."
        )

    def _missing(self, expert: Expert) -> Iterator[Instruction]:
        request = self._requests[expert.name]
        for instruction in self._instructions:
            if self._stopping:
                return
            if not self._store.is_answered(instruction.id, expert.name, request):
                yield instruction

    def _record(self, response: Response) -> None:
        self._store.put(self._requests[response.expert], response)
        self._on_response(response)

    async def _ask(self, expert: Expert, waiting: Iterator[Instruction]) -> None:
        for instruction in waiting:
            self._record(
                await call_expert(expert, instruction, timeout_s=self._config.timeout_s, retries=self._config.retries)
            )

    async def _ask_in_batches(self, expert: BatchExpert, waiting: Iterator[Instruction]) -> None:
        while batch := list(islice(waiting, self._config.batch_size)):
            for attempt in range(self._config.retries + 1):
                problems = await self._ask_batch(expert, batch)
                again = [(one, problem) for one, problem in problems if problem.retryable and not self._stopping]
                if attempt == self._config.retries or not again:
                    break
                batch = [instruction for instruction, _ in again]
                await asyncio.sleep(pause_s(attempt, max((p.retry_after_s or 0.0 for _, p in again), default=0.0)))

    async def _ask_batch(
        self, expert: BatchExpert, batch: Sequence[Instruction]
    ) -> list[tuple[Instruction, ExpertError]]:
        """Record the responses to one batch, and return the failures; a later answer replaces a recorded error."""
        loop = asyncio.get_running_loop()
        started, seconds = loop.time(), self._config.timeout_s * len(batch)
        try:
            async with asyncio.timeout(seconds):
                results: Sequence[object] = await in_thread(lambda: expert.answer_batch(batch))
            if len(results) != len(batch):
                raise ValueError(f"{len(results)} results for {len(batch)} instructions")
        except TimeoutError:
            results = [timed_out(expert, seconds)] * len(batch)
        except ExpertError as problem:
            results = [problem] * len(batch)
        except Exception as crash:
            results = [crashed(expert, crash)] * len(batch)
        each_s = (loop.time() - started) / len(batch)
        problems: list[tuple[Instruction, ExpertError]] = []
        for instruction, result in zip(batch, results, strict=True):
            try:
                if isinstance(result, ExpertError):
                    raise result
                self._record(answered(expert, instruction, result, each_s))  # type: ignore[arg-type]  # it checks
            except ExpertError as problem:
                problems.append((instruction, problem))
                self._record(failed(expert, instruction, problem, each_s))
        return problems

    def _tool_jobs(self, tools: Sequence[ToolExpert]) -> Iterator[list[Job]]:
        """Yield chunks of calls: `batch_size` instructions, each for all tools that have not answered it."""
        rows = iter(self._instructions)
        while part := list(islice(rows, self._config.batch_size)):
            jobs = [
                Job(instruction, tool)
                for instruction in part
                for tool in tools
                if not self._store.is_answered(instruction.id, tool.name, self._requests[tool.name])
            ]
            if jobs:
                yield jobs


@contextmanager
def _interrupts() -> Iterator["asyncio.Queue[str]"]:
    """Give a queue that gets the name of every interrupt, instead of the process ending there and then."""
    arrived: asyncio.Queue[str] = asyncio.Queue()
    names = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
    loop = asyncio.get_running_loop()
    caught = list(names) if threading.current_thread() is threading.main_thread() else []
    for number in caught:
        loop.add_signal_handler(number, arrived.put_nowait, names[number])
    try:
        yield arrived
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
