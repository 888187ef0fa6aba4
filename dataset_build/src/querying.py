"""Ask every expert every instruction that has no answer yet, and make each response durable as it finishes.

Every expert has its own stream through the instructions, so a slow one holds up no other, and at most
`concurrency` of its calls exist at a time, however many instructions there are. An endpoint that is down is left
alone until it is back; what it was not asked stays missing, and is asked at the end and by the next run.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from dataset_build.src.accounts import accounted
from dataset_build.src.budget import Budget, BudgetMetError, at_most_usd
from dataset_build.src.calls import answered, call_expert, crashed, failed, pause_s, timed_out
from dataset_build.src.config import BuildConfig
from dataset_build.src.errors import EarlyStopError, ExpertError, ToolkitError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.instruction_store import PAGE, InstructionStore
from dataset_build.src.interrupts import interruptions
from dataset_build.src.journal_file import DiskFullError
from dataset_build.src.limits import (
    CIRCUIT_OPEN,
    FATAL,
    LONGEST_COOL_DOWN_S,
    LONGEST_RETRY_AFTER_S,
    OF_THE_INSTRUCTION,
    Endpoint,
    endpoints_of,
)
from dataset_build.src.own_thread import in_thread
from dataset_build.src.question_round import Round
from dataset_build.src.records import Instruction, Response
from dataset_build.src.response_store import ResponseStore, request_key
from dataset_build.src.workers import Job, WorkerPool, available_cores, run_together

#: Seconds that calls in flight get to finish after an interrupt; a second interrupt drops them at once.
STOP_GRACE_S = 10.0
#: How often an endpoint that is down is tried once everything else is done.
LAST_PROBES = 3
#: The same for one that only says "too many requests", and so is there: limits are per minute.
LAST_PROBES_OF_A_LIMIT = 6
#: Responses that are made durable together at most: so many finished ones a crash can take along.
MOST_PER_COMMIT = 16
#: Kinds of error that are not asked again in the same run.
FINAL = OF_THE_INSTRUCTION | FATAL


def count_answered(instructions: InstructionStore, experts: Sequence[Expert], store: ResponseStore) -> int:
    """Return how many of the instructions × experts the journal has an answer to."""
    asked = {(expert.name, request_key(expert)) for expert in experts}
    return sum((expert, request) in asked and key in instructions for key, expert, request in store.answered())


async def query_all(
    instructions: InstructionStore,
    experts: Sequence[Expert],
    *,
    store: ResponseStore,
    config: BuildConfig,
    budget: Budget | None = None,
    on_response: Callable[[Response], None] = lambda response: None,
    on_repeat: Callable[[Response], None] = lambda response: None,
) -> None:
    """Fill the journal: afterwards it holds a response for every instruction and every expert that is not down.

    Args:
        instructions: What to ask.
        experts: Whom to ask; closed at the end.
        store: The journal; what it has an answer to is not asked again, what it has an error for is.
        config: Concurrency, deadlines, retries, workers, batch size.
        budget: What to set money aside from; None means no cap.
        on_response: Called after a response is durable.
        on_repeat: Called instead where the same call had failed before in this run.

    Raises:
        EarlyStopError: interrupted (SIGINT, SIGTERM), the budget is met, or the disk is full; everything finished is
            kept.
    """
    budget = budget or Budget(None)
    querying = Querying(instructions, experts, store, config, budget, on_response, on_repeat)
    try:
        with accounted(budget, store):
            await querying.run()
    finally:
        for expert in experts:
            with suppress(Exception):
                await expert.aclose()


class Querying:
    """The work of `query_all` on this machine; engines that spread it over others override parts."""

    def __init__(
        self,
        instructions: InstructionStore,
        experts: Sequence[Expert],
        store: ResponseStore,
        config: BuildConfig,
        budget: Budget,
        on_response: Callable[[Response], None],
        on_repeat: Callable[[Response], None],
    ) -> None:
        self._instructions = instructions
        self._experts = experts
        self._store = store
        self._config = config
        self._budget = budget
        self._on_response = on_response
        self._on_repeat = on_repeat
        self._requests = {expert.name: request_key(expert) for expert in experts}
        self._stop = asyncio.Event()
        self._endpoints: Sequence[Endpoint] = ()
        self._failures: Counter[str] = Counter()
        self._at_work: set[str] = set()
        self._broke: dict[str, BudgetMetError] = {}
        #: Responses that are finished and not yet durable, and what tells that they are.
        self._batch: tuple[list[tuple[Response, bool]], asyncio.Future[None]] | None = None

    async def run(self) -> None:
        """Do all of it."""
        others = [expert for expert in self._experts if not isinstance(expert, ToolExpert)]
        streams = self._streams(endpoints_of(others, self._config.concurrency))
        tasks = [asyncio.create_task(run_together(streams))]
        if tools := self._tools():
            tasks.append(asyncio.create_task(self._run_tools(tools)))
        with interruptions() as interrupts:
            await self._supervise(tasks, interrupts)
        self._conclude()

    def _tools(self) -> list[ToolExpert]:
        return [expert for expert in self._experts if isinstance(expert, ToolExpert)]

    def _streams(self, endpoints: Mapping[str, Endpoint]) -> list[Coroutine[Any, Any, None]]:
        """Return the work of every expert that is no tool."""
        self._endpoints = list(endpoints.values())
        streams: list[Coroutine[Any, Any, None]] = []
        for expert in self._experts:
            if isinstance(expert, ToolExpert):
                continue
            self._at_work.add(expert.name)
            if isinstance(expert, BatchExpert):
                streams.append(self._ask_in_batches(expert))
            else:
                streams.append(self._collect(expert, endpoints[expert.endpoint]))
        return streams

    def _conclude(self) -> None:
        """Raise where the work ended before its end."""
        if self._store.is_disk_full:
            raise DiskFullError(f"The disk is full{self._kept()}; free some room: the same command resumes there.")
        if self._broke:
            problem = next(iter(self._broke.values()))
            whom = "" if len(self._broke) == len(self._experts) else f" ({', '.join(sorted(self._broke))})"
            raise BudgetMetError(
                f"{problem.reason}{whom}", f",{self._kept()}; with a higher --budget_usd the same command resumes."
            )

    def _kept(self) -> str:
        total = len(self._instructions) * len(self._experts)
        done = count_answered(self._instructions, self._experts, self._store)
        return f" with {done:,} of {total:,} answers kept in {self._config.output}"

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
            self._halt()
            for task in tasks[1:]:  # a tool's call costs nothing to repeat
                task.cancel()
            again = asyncio.create_task(interrupts.get())
            await asyncio.wait({tasks[0], again}, timeout=STOP_GRACE_S, return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
        finally:
            for task in (*tasks, interrupt):
                task.cancel()
            await asyncio.gather(*tasks, interrupt, return_exceptions=True)
        raise EarlyStopError(f"stopped by {interrupt.result()}{self._kept()}; the same command resumes there.")

    def _missing(self, expert: Expert) -> Iterator[Instruction]:
        """Yield what the expert has not answered."""
        return (instruction for instruction, _ in self._unanswered(expert, asks_again=True))

    def _unanswered(self, expert: Expert, *, asks_again: bool) -> Iterator[tuple[Instruction, bool]]:
        """Yield what the expert has not answered, each with whether it was asked and failed.

        Args:
            expert: Whose answers.
            asks_again: Whether to yield also what would plainly fail again.
        """
        request = self._requests[expert.name]
        for page in self._instructions.pages():
            ids = [instruction.id for instruction in page]
            answered_ids = self._store.answered_among(ids, expert.name, request)
            errors = self._store.errors_among(ids, expert.name, request)
            for instruction in page:
                if self._stop.is_set() or expert.name in self._broke:
                    return
                error = errors.get(instruction.id)
                is_final = error is not None and error.partition(":")[0] in FINAL
                if instruction.id not in answered_ids and (asks_again or not is_final):
                    yield instruction, error is not None

    def _halt(self) -> None:
        """Start nothing new, not even what waits for its turn already."""
        self._stop.set()
        for endpoint in self._endpoints:
            endpoint.stop()

    def _record(self, response: Response, *, is_repeat: bool = False) -> None:
        """Make a response durable."""
        self._record_all([(response, is_repeat)])

    def _record_all(self, finished: Sequence[tuple[Response, bool]]) -> None:
        asked = self._instructions.text_keys([response.instruction_id for response, _ in finished])
        self._store.put_all([(self._requests[response.expert], response) for response, _ in finished], asked)
        if self._store.is_disk_full:
            self._halt()
        for response, is_repeat in finished:
            if response.error is not None:
                self._failures[response.expert] += 1
            (self._on_repeat if is_repeat else self._on_response)(response)

    def _keep(self, response: Response, *, is_repeat: bool) -> asyncio.Future[None]:
        """Make a response durable in this turn of the event loop; returns what tells that it is.

        Those that finish in the same turn share a commit. The next call need not wait for it: calls that wait for each
        other's answers are all sent at once, and all answers come at once, for ever after.
        """
        if self._batch is None:
            loop = asyncio.get_running_loop()
            self._batch = ([], loop.create_future())
            loop.call_soon(self._commit)
        finished, is_durable = self._batch
        finished.append((response, is_repeat))
        if len(finished) >= MOST_PER_COMMIT:
            self._commit()
        return is_durable

    def _commit(self) -> None:
        if self._batch is None:
            return
        (finished, is_durable), self._batch = self._batch, None
        try:
            self._record_all(finished)
        except Exception as problem:  # it ends the build: every call that waits for the commit raises it
            is_durable.set_exception(problem)
        else:
            is_durable.set_result(None)

    async def _collect(self, expert: Expert, endpoint: Endpoint) -> None:
        """Ask one expert everything, and what failed again for as long as that leaves less of it."""
        try:
            failed_before: float | None = None
            while True:
                is_first = failed_before is None
                until_now = self._failures[expert.name]
                waiting = Round(self._unanswered(expert, asks_again=is_first))
                if not await self._ask_round(expert, endpoint, waiting, may_repeat=not is_first):
                    return
                failed_now = self._failures[expert.name] - until_now
                if not failed_now or (failed_before is not None and failed_now >= failed_before):
                    return
                failed_before = failed_now
        finally:
            self._at_work.discard(expert.name)

    async def _ask_round(self, expert: Expert, endpoint: Endpoint, waiting: Round, *, may_repeat: bool) -> bool:
        """Ask what is waiting, each once; returns whether that was done, which it is not where the endpoint is down."""
        while not self._stop.is_set() and expert.name not in self._broke:
            workers = [self._ask(expert, endpoint, waiting, may_repeat) for _ in range(endpoint.most)]
            await run_together(workers)
            if waiting.is_over():
                return True
            if endpoint.breaker.is_open and not await self._outlast(expert, endpoint, waiting, may_repeat):
                return False
        return False

    async def _ask(
        self, expert: Expert, endpoint: Endpoint, waiting: Iterator[tuple[Instruction, bool]], may_repeat: bool
    ) -> None:
        kept: asyncio.Future[None] | None = None
        openings = endpoint.breaker.openings
        for instruction, has_failed in waiting:
            try:
                response = await call_expert(
                    expert,
                    instruction,
                    timeout_s=self._config.timeout_s,
                    retries=self._config.retries,
                    endpoint=endpoint,
                    budget=self._budget,
                )
            except BudgetMetError as problem:
                self._broke.setdefault(expert.name, problem)
                break
            if response.error_kind == CIRCUIT_OPEN:  # it was not asked, so there is nothing to record
                if isinstance(waiting, Round):
                    waiting.put_back(instruction, has_failed)
                break
            if kept is not None:  # durable long since, unless the answer took no time
                await asyncio.shield(kept)
            kept = self._keep(response, is_repeat=may_repeat and has_failed)
            if endpoint.breaker.openings != openings:  # the others have left: all start again together
                break
        if kept is not None:
            await asyncio.shield(kept)

    async def _outlast(self, expert: Expert, endpoint: Endpoint, waiting: Round, may_repeat: bool) -> bool:
        """Wait until the endpoint is back; returns whether it is.

        While others are at work there is time. Once everything else is done it is tried a few times more.
        """
        breaker, probes = endpoint.breaker, 0
        self._at_work.discard(expert.name)
        while breaker.is_open and not waiting.is_over():
            is_last, pause = not self._at_work, breaker.remaining_s
            most = LAST_PROBES_OF_A_LIMIT if breaker.reason.startswith("rate_limit") else LAST_PROBES
            if breaker.is_fatal or (is_last and (probes >= most or pause > LONGEST_RETRY_AFTER_S)):
                return False
            if self._stop.is_set() or expert.name in self._broke:
                return False
            if pause > 0.0:  # in parts, because meanwhile the others may end
                await self._pause(min(pause, LONGEST_COOL_DOWN_S))
                continue
            probes += is_last
            await self._probe(expert, endpoint, waiting, may_repeat)
        self._at_work.add(expert.name)
        return True

    async def _probe(self, expert: Expert, endpoint: Endpoint, waiting: Round, may_repeat: bool) -> None:
        """Make the one call that an open breaker lets through.

        With any of the next instructions: several in a row may fail for reasons of their own.
        """
        instruction, has_failed = waiting.any_of_the_next(PAGE)
        try:
            response = await call_expert(
                expert,
                instruction,
                timeout_s=self._config.timeout_s,
                retries=0,
                endpoint=endpoint,
                budget=self._budget,
                is_probe=True,
            )
        except BudgetMetError as problem:
            self._broke.setdefault(expert.name, problem)
            return
        if response.error_kind == CIRCUIT_OPEN:
            waiting.put_back(instruction, has_failed)
            return
        self._record(response, is_repeat=may_repeat and has_failed)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the build is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _ask_in_batches(self, expert: BatchExpert) -> None:
        waiting = self._missing(expert)
        # With a cap the money of a whole window would be set aside at a time: one batch then.
        windows = 1 if self._budget.cap_usd is not None else expert.window_batches
        size = self._config.batch_size * windows
        try:
            while batch := list(islice(waiting, size)):
                for attempt in range(self._config.retries + 1):
                    problems = await self._ask_batch(expert, batch, is_repeat=attempt > 0)
                    again = [(one, problem) for one, problem in problems if problem.retryable]
                    if attempt == self._config.retries or not again or self._stop.is_set():
                        break
                    batch = [instruction for instruction, _ in again]
                    longest = max((problem.retry_after_s or 0.0 for _, problem in again), default=0.0)
                    await self._pause(pause_s(attempt, longest))
        except BudgetMetError as problem:
            self._broke[expert.name] = problem
        finally:
            self._at_work.discard(expert.name)

    async def _ask_batch(
        self, expert: BatchExpert, batch: Sequence[Instruction], *, is_repeat: bool
    ) -> list[tuple[Instruction, ExpertError]]:
        """Record the responses to one batch, and return the failures; a later answer replaces a recorded error."""
        loop = asyncio.get_running_loop()
        timeout_s = expert.timeout_s or self._config.timeout_s
        reserved = 0.0
        if self._budget.cap_usd is not None:
            bounds = (at_most_usd(expert, one, timeout_s, available_cores()) for one in batch)
            reserved = sum(bound or 0.0 for bound in bounds)
            await self._budget.reserve(reserved)
        started, seconds = loop.time(), timeout_s * len(batch)
        pending = dict(enumerate(batch))
        problems: list[tuple[Instruction, ExpertError]] = []
        spent: list[float] = []

        def keep(number: int, result: object) -> float:
            instruction = pending.pop(number)
            each_s = (loop.time() - started) / (len(batch) - len(pending))
            try:
                if isinstance(result, ExpertError):
                    raise result
                response = answered(expert, instruction, result, each_s)  # type: ignore[arg-type]  # it checks
            except ExpertError as problem:
                problems.append((instruction, problem))
                response = failed(expert, instruction, problem, each_s)
            self._record(response, is_repeat=is_repeat)
            return response.cost or 0.0

        problem = await self._draw(expert, batch, seconds, lambda number, result: spent.append(keep(number, result)))
        if problem is not None:
            spent += [keep(number, problem) for number in list(pending)]
        self._budget.settle(reserved, sum(spent))
        return problems

    async def _draw(
        self, expert: BatchExpert, batch: Sequence[Instruction], seconds: float, keep: Callable[[int, object], object]
    ) -> ExpertError | None:
        """Hand over each result of a batch as it arrives; returns what became of those that did not."""
        arriving = expert.iter_answers(batch)
        arrived = 0
        try:
            async with asyncio.timeout(seconds):
                while arrived < len(batch) and not self._stop.is_set():
                    found = await in_thread(lambda: next(arriving, None))
                    if found is None:
                        raise ValueError(f"{arrived} results for {len(batch)} instructions")
                    keep(*found)
                    arrived += 1
        except TimeoutError:
            return timed_out(expert, seconds)
        except ExpertError as problem:
            return problem
        except ToolkitError:  # not the expert's: the journal cannot be written, say
            raise
        except Exception as crash:
            return crashed(expert, crash)
        finally:
            if isinstance(arriving, Generator):
                with suppress(ValueError):  # after a timeout its thread is still inside
                    arriving.close()
        return None

    async def _run_tools(self, tools: Sequence[ToolExpert]) -> None:
        timeout_s = self._config.timeout_s
        pool = self._pool_of(tools)
        if self._budget.cap_usd is None:
            await pool.run(self._tool_jobs(tools), self._record_tool)
            return
        bounds = {tool.name: tool.price.of_cpu(timeout_s) for tool in tools}

        async def may_start(chunk: Sequence[Job]) -> bool:
            (job,) = chunk
            try:
                await self._budget.reserve(bounds[job.expert.name])
            except BudgetMetError as problem:
                self._broke.setdefault(job.expert.name, problem)
                return False
            return True

        def settle(response: Response) -> None:
            self._budget.settle(bounds[response.expert], response.cost or 0.0)
            self._record(response)

        one_by_one = ([job] for jobs in self._tool_jobs(tools) for job in jobs if job.expert.name not in self._broke)
        await pool.run(one_by_one, settle, may_start)

    def _pool_of(self, tools: Sequence[ToolExpert]) -> WorkerPool:
        return WorkerPool(tools, workers=self._config.workers, timeout_s=self._config.timeout_s)

    def _record_tool(self, response: Response) -> None:
        self._budget.settle(0.0, response.cost or 0.0)
        self._record(response)

    def _tool_jobs(self, tools: Sequence[ToolExpert]) -> Iterator[list[Job]]:
        """Yield chunks of calls: `batch_size` instructions, each for all tools that have not answered it."""
        for part in self._instructions.pages(min(self._config.batch_size, PAGE)):
            ids = [instruction.id for instruction in part]
            done = {tool.name: self._store.answered_among(ids, tool.name, self._requests[tool.name]) for tool in tools}
            jobs = [Job(one, tool) for one in part for tool in tools if one.id not in done[tool.name]]
            if self._stop.is_set():
                return
            if jobs:
                yield jobs
