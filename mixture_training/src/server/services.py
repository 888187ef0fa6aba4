"""What one worker answers requests with, opened together and closed in the order that loses nothing."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixture_training.src.server.access import Access, may_use
from mixture_training.src.server.connections import Connections
from mixture_training.src.server.drift_watch import DriftWatch
from mixture_training.src.server.measures import make_measures
from mixture_training.src.server.model_choice import ModelChoice, cheap_policy, choose_model
from mixture_training.src.server.rate_slots import RateSlots
from mixture_training.src.server.request_log import RequestLog
from mixture_training.src.server.tracing import Tracing

if TYPE_CHECKING:
    from dataset_build import ChatCall
    from mixture_training.src.artifacts import Router
    from mixture_training.src.dispatcher import Dispatcher
    from mixture_training.src.feedback_store import FeedbackStore
    from mixture_training.src.live_router import LiveRouter
    from mixture_training.src.model_executor import Executor
    from mixture_training.src.server.serve_config import ServeConfig
    from mixture_training.src.storing.keys import Key
    from mixture_training.src.storing.spool import DecisionWriter

#: Seconds between two looks at the router folder, two looks after its versions, and two rounds of forgetting.
REFRESH_S, TEND_S, FORGET_S = 1.0, 30.0, 86_400.0
#: Model names whose meaning is remembered, and how many characters they have at most.
_MOST_CHOICES, _LONGEST_CHOICE = 1000, 200


class Services:
    """Everything behind the routes.

    Attributes:
        config: The set-up.
        live: The router in use.
        executor: Calls experts.
        dispatcher: Decides and answers.
        store: Decisions, feedback and keys.
        writer: Takes decisions on their way there.
        access: Who may ask.
        measures: What is counted.
        log: One line per request.
        tracing: Spans; None without.
        connections: Those that are open.
        is_draining: Whether the end has begun.
        in_flight: Requests being answered.
        working: Those of them that call experts.
    """

    def __init__(
        self,
        config: "ServeConfig",
        *,
        live: "LiveRouter",
        executor: "Executor",
        dispatcher: "Dispatcher",
        store: "FeedbackStore",
        writer: "DecisionWriter",
        rates: RateSlots,
        worker: int = 0,
        tracing: Tracing | None = None,
    ) -> None:
        self.config = config
        self.live = live
        self.executor = executor
        self.dispatcher = dispatcher
        self.store = store
        self.writer = writer
        self.worker = worker
        self.measures = make_measures()
        self.log = RequestLog(is_on=config.access_log, worker=worker)
        self.tracing = tracing
        self.connections = Connections(config)
        self.access = Access(None if config.no_auth else store.keys, rates, config)
        self._rates = rates
        self.is_draining = False
        self.in_flight = self.working = 0
        self._choices: dict[str, ModelChoice] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._look_at_router()

    def _look_at_router(self) -> None:
        """Note what depends on the router in use."""
        active = self.live.main
        self.router: Router = active.router
        self.router_version: str = active.version
        self.default_policy = self.config.policy or self.router.default_policy
        self.cheap = cheap_policy(self.router)
        self.experts = tuple(name for name in self.router.expert_names if name in self.executor.experts)
        self._mean_usd = {card.name: card.mean_cost or 0.0 for card in self.router.experts}
        self._choices.clear()

    def choose(self, model: str, key: "Key | None") -> ModelChoice:
        """Return what a client means by `model`; `key` is told of its own experts only.

        Raises:
            ApiError: nothing is called so.
        """
        choice = self._choices.get(model)
        if choice is None:
            choice = choose_model(model, self.experts, self.cheap, shown=lambda name: may_use(key, name))
            if len(self._choices) < _MOST_CHOICES and len(model) <= _LONGEST_CHOICE:
                self._choices[model] = choice
        return choice

    def most_usd(self, key: "Key | None", expert: str | None, call: "ChatCall") -> float:
        """Return the most a request may cost, at the dearest expert that may answer it; 0 for a key without a budget.

        Where nothing bounds what an expert writes, it is taken for what its calls cost on average.
        """
        if key is None or key.budget_usd is None:
            return 0.0
        names = [name for name in self.experts if may_use(key, name)] if expert is None else [expert]
        return max((self._most_usd_of(name, call) for name in names), default=0.0)

    def _most_usd_of(self, name: str, call: "ChatCall") -> float:
        expert, mean = self.executor.experts[name], self._mean_usd.get(name, 0.0)
        return max(mean, expert.price.at_most(expert.estimate_chat(call)) or 0.0)

    def expert_health(self) -> dict[str, dict[str, Any]]:
        """Return how each expert is: its circuit, calls in flight and calls waiting."""
        return {
            name: {
                "circuit": "open" if health.is_open else "closed",
                "in_flight": health.in_flight,
                "waiting": health.waiting,
            }
            for name, health in self.executor.health().items()
        }

    def measure(self) -> None:
        """Set what is measured when somebody looks, or each second."""
        self.measures.state(
            in_flight=self.in_flight,
            connections=len(self.connections),
            dropped=self.connections.dropped + self.connections.evicted,
            spool=self.writer.pending,
        )
        for name, state in self.expert_health().items():
            self.measures.expert(name, **state)
        trial = self.live.canary
        self.measures.versions({self.router_version: "main", **({} if trial is None else {trial.version: "canary"})})

    def start(self) -> None:
        """Start what is done from time to time; on the loop."""
        chores = [self._flush_log(), self._keep_fresh()]
        if self.worker == 0:  # once for all workers
            chores += [self._tend(), self._forget(), self._watch_drift(), self._learn()]
        self._chores = [asyncio.create_task(chore) for chore in chores]
        self.connections.walk()

    async def _flush_log(self) -> None:
        from mixture_training.src.server.request_log import FLUSH_S

        while True:
            await asyncio.sleep(FLUSH_S)
            self.log.flush()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                if await asyncio.to_thread(self.live.refresh):
                    self._look_at_router()
                    self.log.event("router", version=self.router_version)
                self.measure()
            except Exception as problem:  # whatever it is, the router in use stays in use
                self.log.problem("refresh", problem)

    async def _tend(self) -> None:
        from mixture_training.src import versions

        folder = Path(self.config.router)
        while True:
            await asyncio.sleep(TEND_S)
            try:
                done = await asyncio.to_thread(versions.tend, folder, self.store)
                if done:
                    self.log.event("versions", done=str(done))
            except Exception as problem:
                self.log.problem("tend", problem)

    async def _forget(self) -> None:
        days = self.config.retention_days
        while days is not None:
            try:
                count = await asyncio.to_thread(self._forget_before, datetime.now(UTC) - timedelta(days=days))
                self.log.event("retention", forgotten=count)
            except Exception as problem:
                self.log.problem("retention", problem)
            await asyncio.sleep(FORGET_S)

    def _forget_before(self, moment: datetime) -> int:
        from mixture_training.src.storing.spool import forget_rejected

        count = self.store.forget_before(moment)
        return count + forget_rejected(self.writer.folder, before=moment.isoformat(timespec="milliseconds"))

    async def _watch_drift(self) -> None:
        every_s, watch = self.config.drift_every_s, DriftWatch()
        while every_s is not None:
            await asyncio.sleep(every_s)
            try:
                self.measures.drift(await asyncio.to_thread(watch.measure, self.live.main, self.store))
            except Exception as problem:
                self.log.problem("drift", problem)

    async def _learn(self) -> None:
        from mixture_training.src.server.learning import update

        every_s = self.config.update_every_s
        while every_s is not None:
            await asyncio.sleep(every_s)
            try:
                found = await update(self.config)
                self.log.event("update", **found)
                self.measures.updated(_became(found))
            except Exception as problem:  # such as no process to be had; the next time comes
                self.log.problem("update", problem)
                self.measures.updated("failed")

    async def aclose(self) -> None:
        """Close everything; what was decided is written first."""
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        self.connections.stop()
        await self.executor.aclose()
        started = time.perf_counter()
        done = await asyncio.to_thread(self.writer.close)
        self.log.event("stopped", flushed=done, seconds=round(time.perf_counter() - started, 3))
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        self.store.close()
        self._rates.close()
        self.log.flush()


def _became(update: Mapping[str, Any]) -> str:
    """Return what became of an update, in a word."""
    if "failed" in update:
        return "failed"
    if update["promoted"]:
        return "promoted"
    return "kept" if update["canary"] is None else "on_trial"
