"""The stream of blocks through Ray: a reader that takes them from the coordinator, and a pool of workers."""

import asyncio
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from dataset_build.src.config import BuildConfig, ExpertConfig
from dataset_build.src.engine.coordinator import Coordinator
from dataset_build.src.engine.messages import Account, Done, Down, Result
from dataset_build.src.engine.ray_cluster import Cluster
from dataset_build.src.engine.ray_worker import Block, BlockWorker
from dataset_build.src.limits import Limits

#: Instructions per block at most, where the batch size asks for no more: a block costs Ray some milliseconds.
MOST_PER_BLOCK = 256
#: Blocks a worker has at work at a time at most.
MOST_AT_ONCE = 32
#: Seconds Ray may take to end a stream.
END_S = 5.0
# A line like `KeyError: 'name'`, Ray's own errors left out: they only say that there was another one.
_CAUSE = re.compile(r"(?!ray\.)[\w.]+(Error|Exception): ")


class PipelineLostError(Exception):
    """Ray ended the stream before its end."""


class Pipeline:
    """One stream; not to be used again after `close`.

    Args:
        config: The build.
        experts: One named configuration per expert.
        limits: Endpoint -> what it may be asked.
        cluster: What there is to work with.
        spent_usd: What is spent already.
        instructions: How many there are.
    """

    def __init__(
        self,
        config: BuildConfig,
        experts: Sequence[ExpertConfig],
        limits: dict[str, Limits],
        cluster: Cluster,
        *,
        spent_usd: float,
        instructions: int,
    ) -> None:
        import ray

        per_block = min(MOST_PER_BLOCK, math.ceil(instructions / (4 * cluster.workers)))
        #: Instructions per block.
        self.per_block = max(1, config.batch_size, per_block)
        # Enough blocks for every endpoint to be kept busy while others end.
        in_flight = max((limit.concurrency or config.concurrency for limit in limits.values()), default=1)
        at_once = min(MOST_AT_ONCE, 2 + math.ceil(in_flight / (self.per_block * cluster.workers)))
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Coordinator)
        self._coordinator = actor.remote(
            {name: (config.concurrency, limit) for name, limit in limits.items()},
            config.budget_usd,
            spent_usd,
            cluster.workers * (at_once + 2),
        )
        plain = [expert.model_dump(mode="json", exclude_none=True) for expert in experts]
        self._dataset = _dataset(
            self._coordinator, (self._coordinator, config.model_dump(mode="json"), plain), cluster, at_once
        )
        self._outstanding = 0
        self._is_idle = asyncio.Event()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def feed(self, blocks: Iterator[Block]) -> None:
        """Offer blocks as fast as workers take them, and wait until all are done."""
        for block in blocks:
            self._outstanding += 1
            await self._coordinator.offer.remote(block.encoded())
        self._is_idle.clear()
        while self._outstanding:
            await self._is_idle.wait()
            self._is_idle.clear()

    async def collect(self, take: Callable[[Iterable[Result], Account], None]) -> None:
        """Hand over what finishes, and how the money stands, until cancelled."""
        while True:
            results, account = await self._coordinator.collect.remote()
            take(results, account)
            self._outstanding -= sum(isinstance(result, Done) for result in results)
            self._is_idle.set()

    async def down(self) -> dict[str, Down]:
        """Return the endpoints that are down."""
        found: dict[str, Down] = await self._coordinator.down.remote()
        return found

    async def stop(self) -> None:
        """Let no further call start; those in flight go on."""
        await self._coordinator.stop.remote()

    async def run(self) -> None:
        """Keep the stream running until its end.

        Raises:
            PipelineLostError: Ray ended it, or it ended by itself.
        """
        loop = asyncio.get_running_loop()

        def settle(problem: Exception | None) -> None:
            if not self._ended.done():
                self._ended.set_result(None) if problem is None else self._ended.set_exception(problem)

        def consume() -> None:
            problem: Exception | None = None
            try:
                for _ in self._dataset.iter_batches(batch_size=None, prefetch_batches=0):
                    pass
            except Exception as failure:  # anything that any part of Ray raises
                problem = failure
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(settle, problem)

        threading.Thread(target=consume, daemon=True).start()
        try:
            await asyncio.shield(self._ended)
        except Exception as problem:
            raise PipelineLostError(_reason(problem)) from problem

    async def end(self) -> None:
        """Say that all blocks were offered."""
        await self._coordinator.end.remote()
        with suppress(TimeoutError, Exception):
            await asyncio.wait_for(asyncio.shield(self._ended), END_S)

    async def close(self) -> None:
        """End the stream whatever its state."""
        import ray

        with suppress(Exception):
            ray.kill(self._coordinator)
        with suppress(TimeoutError, Exception):
            await asyncio.wait_for(asyncio.shield(self._ended), END_S)


def _dataset(coordinator: Any, worker: tuple[Any, ...], cluster: Cluster, at_once: int) -> Any:  # noqa: ANN401
    """Return the stream: blocks from the coordinator, through workers; what comes out are their numbers."""
    import ray
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    class Missing(Datasource):  # type: ignore[misc]  # Ray is not typed here
        """What is missing, as it is offered."""

        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:  # noqa: ANN401
            metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(lambda: _read(coordinator), metadata)]

    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 1  # every row by itself: a block of ours is a row of Ray's
    context.execution_no_progress_timeout_s = math.inf  # calls have deadlines of their own
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with ray.data.DataContext.current(context):
        pool = ray.data.ActorPoolStrategy(
            size=cluster.workers, max_concurrent_calls_per_actor=at_once, enable_true_multi_threading=True
        )
        return ray.data.read_datasource(Missing(), override_num_blocks=1, num_cpus=0).map_batches(
            BlockWorker,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=worker,
            compute=pool,
            num_cpus=1,
            num_gpus=cluster.gpus_per_worker or None,
        )


def _read(coordinator: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield blocks in order; a reader that Ray starts anew yields the same ones, empty where they are done."""
    import pyarrow as pa
    import ray

    number = 0
    while (payload := ray.get(coordinator.take.remote(number))) is not None:
        yield pa.table({"block": pa.array([number], pa.int64()), "payload": pa.array([payload], pa.binary())})
        number += 1


def _reason(problem: BaseException) -> str:
    """Return the line of what Ray says that names the cause."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()] or [type(problem).__name__]
    causes = [line for line in lines if _CAUSE.match(line)]
    return (causes or lines)[0][:300]
