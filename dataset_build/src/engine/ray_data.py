"""A build on Ray Data: what is missing streams as blocks through workers on any number of machines.

The driver (this process) decides what is asked and writes the journal, one actor gives turns and money to all workers
(`coordinator`), and Ray Data brings blocks to workers, starts them anew when they die, and holds the reader back when
they are busy. Finished calls reach the journal one by one, not with their block.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from dataset_build.src import errors
from dataset_build.src.accounts import accounted
from dataset_build.src.budget import Budget, BudgetMetError
from dataset_build.src.config import BuildConfig, ExpertConfig
from dataset_build.src.engine.messages import Account, Broke, Down, FailedCall, Finished, Result
from dataset_build.src.engine.ray_cluster import Cluster, running_cluster
from dataset_build.src.engine.ray_pipeline import Pipeline, PipelineLostError
from dataset_build.src.engine.ray_worker import Block
from dataset_build.src.errors import ConfigError, EarlyStopError, ToolkitError
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.interrupts import interruptions
from dataset_build.src.limits import LONGEST_RETRY_AFTER_S, limits_of
from dataset_build.src.model_loader import expert_configs
from dataset_build.src.querying import FINAL, LAST_PROBES, LAST_PROBES_OF_A_LIMIT, Querying
from dataset_build.src.records import Response
from dataset_build.src.response_store import ResponseStore

logger = logging.getLogger(__name__)


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
    """Fill the journal as `dataset_build.src.querying.query_all` does, with the calls made by workers of Ray.

    Args:
        instructions: What to ask.
        experts: Whom to ask; the workers build their own from `config`.
        store: The journal, written by this process only.
        config: Where Ray is, concurrency, deadlines, retries, workers, batch size.
        budget: What may be spent, and what is spent already.
        on_response: Called after a response is durable.
        on_repeat: Called instead where the same call had failed before in this run.

    Raises:
        EarlyStopError: interrupted, the budget is met, the disk is full, or the cluster is lost; everything finished
            is kept.
        ConfigError: there is no such cluster, or a worker cannot build an expert.
        MissingDependencyError: Ray is not installed, or an expert's package is not on a worker's machine.
    """
    budget = budget or Budget(None)
    querying = _RayQuerying(instructions, experts, store, config, budget, on_response, on_repeat)
    try:
        with accounted(budget, store):
            await querying.run()
    finally:
        for expert in experts:
            with suppress(Exception):
                await expert.aclose()


class _RayQuerying(Querying):
    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - as for `Querying`
        super().__init__(*args)
        self._recorded = 0
        self._at_most_usd = 0.0
        #: (expert, instruction) of calls that are asked again because they failed.
        self._failed_before: set[tuple[str, str]] = set()

    async def run(self) -> None:
        configs = expert_configs(self._config.experts)
        if [config.name for config in configs] != [expert.name for expert in self._experts]:
            raise ConfigError('The engine "ray" builds its experts from `config.experts`; others were given.')
        while not await self._try(configs):
            pass
        self._conclude()

    async def _try(self, configs: Sequence[ExpertConfig]) -> bool:
        """Connect and ask until nothing is missing that can be had; returns False where Ray lost that in the middle.

        To connect anew is the one way to be sure that nothing of the lost stream goes on.
        """
        needs_gpu = any(isinstance(expert, BatchExpert) for expert in self._experts)
        before = self._recorded
        with (
            running_cluster(self._config.ray_address, self._config.workers, needs_gpu=needs_gpu) as cluster,
            interruptions() as interrupts,
        ):
            try:
                await self._supervise([asyncio.create_task(self._stream(cluster, configs))], interrupts)
            except PipelineLostError as lost:
                if self._stop.is_set():
                    return True
                if self._recorded == before:
                    raise EarlyStopError(f"Ray gave up ({lost}){self._kept()}; the same command resumes.") from None
                logger.warning("Ray lost the stream of calls (%s); it is started anew", lost)
                self._budget.spent_usd += self._budget.reserved_usd  # what was in flight may have been paid
                self._budget.reserved_usd = 0.0
                return False
        return True

    async def _stream(self, cluster: Cluster, configs: Sequence[ExpertConfig]) -> None:
        from ray.exceptions import RayError

        pipeline = Pipeline(
            self._config,
            configs,
            limits_of(expert for expert in self._experts if not isinstance(expert, ToolExpert)),
            cluster,
            spent_usd=self._budget.spent_usd,
            instructions=len(self._instructions),
        )
        work = [self._passes(pipeline), pipeline.collect(self._take), pipeline.run()]
        passes, *others = [asyncio.create_task(one) for one in work]
        stopper = asyncio.create_task(self._tell_of_stop(pipeline))
        has_ended = False
        try:
            await asyncio.wait([passes, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                if task.done():
                    task.result()
            if not passes.done():
                raise PipelineLostError("its stream of blocks ended early")
            passes.result()
            await pipeline.end()
            has_ended = True
        except RayError as problem:
            raise PipelineLostError(str(problem).strip().splitlines()[0]) from problem
        finally:
            for task in (passes, *others, stopper):
                task.cancel()
            await asyncio.gather(passes, *others, stopper, return_exceptions=True)
            await pipeline.close()
            if not has_ended:  # calls may have started that the driver has not heard of
                self._budget.reserved_usd = max(0.0, self._at_most_usd - self._budget.spent_usd)

    async def _tell_of_stop(self, pipeline: Pipeline) -> None:
        await self._stop.wait()
        await pipeline.stop()

    async def _passes(self, pipeline: Pipeline) -> None:
        """Ask everything once, once more what failed, and wait for endpoints that are down while that may help."""
        await pipeline.feed(self._blocks(self._experts, pipeline.per_block, asks_again=True))
        asked_again: set[str] = set()
        probes: Counter[str] = Counter()
        while not self._stop.is_set():
            down = await pipeline.down()
            again = [expert for expert in self._still_missing(asked_again) if expert.endpoint not in down]
            if again:
                asked_again |= {expert.name for expert in again}
                await pipeline.feed(self._blocks(again, pipeline.per_block, asks_again=False))
                continue
            hopeful = {name for name, one in down.items() if _may_come_back(one, probes[name])}
            probed = [expert for expert in self._still_missing(set()) if expert.endpoint in hopeful]
            if not probed:
                return
            probes.update({expert.endpoint for expert in probed})
            await self._pause(max(down[expert.endpoint].remaining_s for expert in probed))
            await pipeline.feed(self._probes(probed))

    def _still_missing(self, asked_again: set[str]) -> list[Expert]:
        """Return the experts of endpoints with calls that were not made, or that failed and were not asked again."""
        found = []
        for expert in self._experts:
            if isinstance(expert, BatchExpert | ToolExpert):
                continue
            missing = self._unanswered(expert, asks_again=False)
            if any(not has_failed or expert.name not in asked_again for _, has_failed in missing):
                found.append(expert)
        return found

    def _blocks(self, experts: Sequence[Expert], size: int, *, asks_again: bool) -> Iterator[Block]:
        """Yield what is missing of these experts, `size` instructions at a time.

        Args:
            experts: Whose answers.
            size: Instructions per block at most.
            asks_again: Whether to ask also what would plainly fail again.
        """
        for page in self._instructions.pages(size):
            ids = [instruction.id for instruction in page]
            missing: dict[str, list[str]] = {}
            for expert in experts:
                if expert.name in self._broke:
                    continue
                request = self._requests[expert.name]
                there = self._store.answered_among(ids, expert.name, request)
                if not asks_again:
                    failed = self._store.errors_among(ids, expert.name, request)
                    there |= {key for key, error in failed.items() if error.partition(":")[0] in FINAL}
                    self._failed_before |= {(expert.name, key) for key in failed if key not in there}
                if wanted := [key for key in ids if key not in there]:
                    missing[expert.name] = wanted
            asked = set().union(*missing.values())
            if self._stop.is_set():
                return
            if asked:
                yield Block([one for one in page if one.id in asked], missing)

    def _probes(self, experts: Sequence[Expert]) -> Iterator[Block]:
        """Yield, for each expert, a block of one instruction that is missing."""
        for expert in experts:
            for instruction, _ in self._unanswered(expert, asks_again=False):
                yield Block([instruction], {expert.name: [instruction.id]})
                break

    def _take(self, results: Iterable[Result], account: Account) -> None:
        """Write down what workers finished."""
        problem: ToolkitError | None = None
        finished: list[tuple[Response, bool]] = []
        for result in results:
            match result:
                case Finished():
                    key = result.response.expert, result.response.instruction_id
                    finished.append((result.response, result.is_repeat or key in self._failed_before))
                    self._failed_before.discard(key)
                case Broke():
                    if not self._stop.is_set():
                        self._broke.setdefault(result.expert, BudgetMetError(result.reason))
                case FailedCall():
                    error: type[ToolkitError] = getattr(errors, result.error)
                    problem = error(result.message)
        if finished:
            self._record_all(finished)
            self._recorded += len(finished)
            self._budget.spent_usd += sum((one.cost or 0.0) + one.at_risk for one, _ in finished)
        if account.at_most_usd > self._at_most_usd:
            self._store.expect_spent(account.at_most_usd)
            self._at_most_usd = account.at_most_usd
        # Beside what is in flight, this is what calls have cost that were lost with their worker.
        self._budget.reserved_usd = max(0.0, account.spent_usd - self._budget.spent_usd)
        if problem is not None:
            raise problem


def _may_come_back(down: Down, probes: int) -> bool:
    """Return whether an endpoint is worth a further probe once everything else is done."""
    most = LAST_PROBES_OF_A_LIMIT if down.reason.startswith("rate_limit") else LAST_PROBES
    return not down.is_fatal and probes < most and down.remaining_s <= LONGEST_RETRY_AFTER_S
