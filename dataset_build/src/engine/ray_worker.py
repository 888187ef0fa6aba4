"""What a Ray worker does: the calls of one block of instructions after the other, as `querying` would make them."""

import asyncio
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dataset_build.src import errors
from dataset_build.src.budget import BudgetMetError
from dataset_build.src.config import BuildConfig, ExpertConfig
from dataset_build.src.engine.messages import Broke, Done, FailedCall, Finished
from dataset_build.src.engine.shared_limits import Session, SharedBudget, SharedEndpoint
from dataset_build.src.errors import ExpertError, ToolkitError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.limits import Endpoint, limits_of
from dataset_build.src.querying import Querying
from dataset_build.src.records import Instruction, Response
from dataset_build.src.response_store import ResponseStore, request_key
from dataset_build.src.workers import WorkerPool, run_together

if TYPE_CHECKING:
    import pyarrow as pa


class Block:
    """Some instructions, and which of them each expert is to answer.

    Args:
        instructions: The instructions.
        missing: Expert -> ids.
    """

    def __init__(self, instructions: Sequence[Instruction], missing: Mapping[str, Sequence[str]]) -> None:
        self.instructions = instructions
        self.missing = {expert: set(ids) for expert, ids in missing.items()}

    def encoded(self) -> bytes:
        """Return the block as JSON."""
        missing = {expert: sorted(ids) for expert, ids in self.missing.items()}
        rows = [asdict(instruction) for instruction in self.instructions]
        return json.dumps({"instructions": rows, "missing": missing}, default=str).encode()

    @classmethod
    def decoded(cls, payload: bytes) -> "Block":
        """Return what `encoded` encoded."""
        facts = json.loads(payload)
        return cls([Instruction(**row) for row in facts["instructions"]], facts["missing"])


class _BlockAnswers(ResponseStore):
    """The journal as a worker sees it: what is missing of one block; what is put goes to the coordinator."""

    def __init__(self, block: Block, requests: Mapping[str, str]) -> None:
        self.is_disk_full = False
        self._missing = {(expert, requests[expert]): set(ids) for expert, ids in block.missing.items() if ids}

    def put_all(
        self, responses: Sequence[tuple[str, Response]], asked: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        for request, response in responses:
            self._missing[response.expert, request].discard(response.instruction_id)

    def answered_among(self, ids: Sequence[str], expert: str, request: str) -> set[str]:
        return set(ids) - self._missing.get((expert, request), set())

    def errors_among(self, ids: Sequence[str], expert: str, request: str) -> dict[str, str]:
        return {}


class _BlockQuerying(Querying):
    """Makes the calls of one block, each once; what failed is for the driver to ask again."""

    def __init__(self, worker: "_Worker", block: Block, instructions: InstructionStore, post: Any) -> None:  # noqa: ANN401
        experts = [expert for expert in worker.experts if block.missing.get(expert.name)]
        store = _BlockAnswers(block, {expert.name: request_key(expert) for expert in experts})
        super().__init__(
            instructions,
            experts,
            store,
            worker.config,
            worker.budget,
            lambda response: post(response, False),
            lambda response: post(response, True),
        )
        self._worker = worker

    def stop(self) -> None:
        """Start no further call."""
        self._stop.set()

    async def run(self) -> None:
        streams = self._streams(self._worker.endpoints)
        if tools := self._tools():
            streams.append(self._run_tools(tools))
        await run_together(streams)

    def broke(self) -> dict[str, BudgetMetError]:
        """Return the experts that there is no money for."""
        return self._broke

    async def _collect(self, expert: Expert, endpoint: Endpoint) -> None:
        waiting: Iterator[tuple[Instruction, bool]] = self._unanswered(expert, asks_again=True)
        most = min(endpoint.most, len(self._instructions))
        await run_together([self._ask(expert, endpoint, waiting, False) for _ in range(most)])

    async def _ask_batch(
        self, expert: BatchExpert, batch: Sequence[Instruction], *, is_repeat: bool
    ) -> list[tuple[Instruction, ExpertError]]:
        async with self._worker.locks[expert.name]:  # a model on this machine does one thing at a time
            return await super()._ask_batch(expert, batch, is_repeat=is_repeat)

    async def _run_tools(self, tools: Sequence[ToolExpert]) -> None:
        async with self._worker.tools_lock:
            await super()._run_tools(tools)

    def _pool_of(self, tools: Sequence[ToolExpert]) -> WorkerPool:
        return self._worker.pool


class _Worker:
    """What all blocks of one process share; lives in one event loop."""

    def __init__(self, config: BuildConfig, configs: Sequence[ExpertConfig], session: Session) -> None:
        from dataset_build.src.model_loader import load_expert

        self.config = config
        self.experts = [load_expert(one, prices=config.prices) for one in configs]
        self.budget = SharedBudget(config.budget_usd, session)
        others = [expert for expert in self.experts if not isinstance(expert, ToolExpert)]
        self.endpoints: dict[str, Endpoint] = {
            name: SharedEndpoint(
                name,
                most=limits.concurrency or config.concurrency,
                session=session,
                counts_tokens=limits.tokens_per_minute is not None,
            )
            for name, limits in limits_of(others).items()
        }
        self.locks = {expert.name: asyncio.Lock() for expert in others if isinstance(expert, BatchExpert)}
        self.tools_lock = asyncio.Lock()
        tools = [expert for expert in self.experts if isinstance(expert, ToolExpert)]
        self.pool = WorkerPool(tools, workers=1, timeout_s=config.timeout_s, keeps_processes=True)


class BlockWorker:
    """The callable that Ray Data keeps in an actor; several of its blocks are at work at a time.

    Args:
        coordinator: The handle of the coordinator's actor.
        config: The build, as plain values.
        experts: The experts, as plain values, in order.
    """

    def __init__(self, coordinator: Any, config: dict[str, Any], experts: list[dict[str, Any]]) -> None:  # noqa: ANN401
        self._coordinator = coordinator
        self._config = config
        self._experts = experts
        self._id = uuid.uuid4().hex
        self._loop = asyncio.new_event_loop()
        self._session: Session | None = None
        self._worker: _Worker | None = None
        self._is_stopped = False
        self._at_work: set[_BlockQuerying] = set()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """Make the calls of the one block in `batch`; returns its number."""
        number, payload = batch["block"][0].as_py(), batch["payload"][0].as_py()
        asyncio.run_coroutine_threadsafe(self._do(number, payload), self._loop).result()
        return batch.select(["block"])

    async def _do(self, number: int, payload: bytes) -> None:
        session = self._line()
        finished = await self._coordinator.begin.remote(self._id, number)
        if finished is None or not payload:
            return
        try:
            await self._ask(number, Block.decoded(payload), finished, session)
        except ToolkitError as problem:
            known = type(problem).__name__ if hasattr(errors, type(problem).__name__) else "ConfigError"
            session.post(FailedCall(known, str(problem)))
        session.post(Done(number))
        await session.flush()

    def _line(self) -> Session:
        """Return the line to the coordinator, opened by the first block."""
        if self._session is None:
            self._session = Session(
                lambda messages: self._coordinator.exchange.remote(self._id, messages),
                lambda: self._coordinator.replies.remote(self._id),
                on_stop=self._stop,
                on_expired=lambda: os._exit(1),  # Ray starts another one, whose calls count
            )
            self._running = asyncio.create_task(self._session.run())
        return self._session

    async def _ask(self, number: int, block: Block, finished: set[tuple[str, str]], session: Session) -> None:
        if self._worker is None:
            config = BuildConfig.model_validate(self._config)
            self._worker = _Worker(config, [ExpertConfig.model_validate(one) for one in self._experts], session)
        for expert, key in finished:
            block.missing[expert].discard(key)
        with InstructionStore(block.instructions) as instructions:
            querying = _BlockQuerying(
                self._worker,
                block,
                instructions,
                lambda response, is_repeat: session.post(Finished(number, response, is_repeat)),
            )
            self._at_work.add(querying)
            try:
                if self._is_stopped:
                    querying.stop()
                await querying.run()
            finally:
                self._at_work.discard(querying)
        for name, problem in querying.broke().items():
            session.post(Broke(name, problem.reason))

    def _stop(self) -> None:
        self._is_stopped = True
        for querying in self._at_work:
            querying.stop()
