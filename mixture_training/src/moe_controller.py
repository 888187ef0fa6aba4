"""The mixture of experts as one object: recommend, execute, remember, learn."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dataset_build import ConfigError, Expert, ExpertError, ExpertUnavailableError, ToolkitError
from mixture_training.src.feedback_store import Decision, Feedback, FeedbackStore, feedback_path, new_id, now
from mixture_training.src.loop_thread import LoopThread
from mixture_training.src.model_executor import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_TOTAL_TIMEOUT_S,
    Attempt,
    Execution,
    Executor,
)
from mixture_training.src.model_recommender import Option, Recommendation, Recommender

if TYPE_CHECKING:
    from dataset_build import ExpertConfig
    from mixture_training.src.artifacts import Router
    from mixture_training.src.updating import UpdateReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MoEResult:
    """One instruction, answered.

    Attributes:
        response: The answer.
        expert: Who gave it.
        category: What the router takes the instruction for; None for a router trained without categories.
        confidence: The probability of that category; None likewise.
        cost: USD of all attempts.
        latency_s: Seconds from the call to the answer, routing included.
        alternatives: The other experts, best first.
        id: What `record_feedback` takes.
        attempts: Every call that was made, the failed ones first.
        expected_score: What the router expected of the expert that answered.
        reason: Why the first expert tried was recommended.
        policy: How score and cost were traded.
        abilities: What the router thinks the instruction asks for; None for one trained without abilities.
    """

    response: str
    expert: str
    category: str | None
    confidence: float | None
    cost: float
    latency_s: float
    alternatives: tuple[Option, ...]
    id: str
    attempts: tuple[Attempt, ...]
    expected_score: float
    reason: str
    policy: str
    abilities: tuple[str, ...] | None = None


class MoEController:
    """Routes instructions to experts, runs them, and learns from feedback.

    Usable from several threads, and as a context manager that closes it.

    Args:
        router: The trained router.
        experts: Who can be called: experts, or the command-line shorthand (`embedded`, a YAML file). None means those
            the router was trained on, as far as it knows how to reach them.
        policy: Used where a call names none; None means the router's default.
        feedback: The SQLite file of decisions; None means beside the router's folder.
        timeout_s: Seconds one expert may take.
        total_timeout_s: Seconds all experts tried for one instruction may take.
    """

    def __init__(
        self,
        router: "Router",
        *,
        experts: Iterable[Expert] | str | Path | None = None,
        policy: str | None = None,
        feedback: Path | str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        total_timeout_s: float = DEFAULT_TOTAL_TIMEOUT_S,
    ) -> None:
        self.router = router
        self._recommender = Recommender(router, policy=policy)
        self._policy = policy
        self._given = experts if experts is None or isinstance(experts, str | Path) else list(experts)
        self._feedback = None if feedback is None else Path(feedback)
        self._timeout_s, self._total_timeout_s = timeout_s, total_timeout_s
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None
        self._executor: Executor | None = None
        self._store: FeedbackStore | None = None
        self._closed = False

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        experts: Iterable[Expert] | str | Path | None = None,
        policy: str | None = None,
        feedback: Path | str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        total_timeout_s: float = DEFAULT_TOTAL_TIMEOUT_S,
    ) -> "MoEController":
        """Return the controller of a saved router; the arguments are those of the class.

        Experts are built, and the feedback file is opened, when they are first needed.

        Raises:
            ConfigError: there is no router.
            DataError: it is damaged, or was written by a newer version.
        """
        from mixture_training.src.artifacts import Router

        return cls(
            Router.load(folder),
            experts=experts,
            policy=policy,
            feedback=feedback,
            timeout_s=timeout_s,
            total_timeout_s=total_timeout_s,
        )

    def recommend(self, instruction: str, *, policy: str | None = None) -> Recommendation:
        """Return where the instruction should go and why; nothing is called and nothing is remembered."""
        return self._recommender.recommend([instruction], policy=policy)[0]

    def process_instruction(self, instruction: str, *, policy: str | None = None) -> MoEResult:
        """Route the instruction, run the expert, fall back down the ranking where one fails, and remember it.

        Raises:
            ConfigError: the router knows no connection to its experts, or there is no such policy.
            ExpertUnavailableError: every expert failed; the decision is remembered all the same.
        """
        started = time.perf_counter()
        executor = self._ready()
        recommendation = self.recommend(instruction, policy=policy)
        execution = self._running().run(executor.run(instruction, _names(recommendation)))
        return self._finish(instruction, recommendation, execution, time.perf_counter() - started)

    async def aprocess_instruction(self, instruction: str, *, policy: str | None = None) -> MoEResult:
        """Do what `process_instruction` does without blocking the caller's event loop."""
        started = time.perf_counter()
        executor = await asyncio.to_thread(self._ready)
        recommendation = await asyncio.to_thread(self.recommend, instruction, policy=policy)
        running = self._running().submit(executor.run(instruction, _names(recommendation)))
        execution = await asyncio.wrap_future(running)
        elapsed = time.perf_counter() - started
        return await asyncio.to_thread(self._finish, instruction, recommendation, execution, elapsed)

    def process_batch(
        self, instructions: Sequence[str], *, policy: str | None = None, concurrency: int = 16
    ) -> list[MoEResult | ExpertError]:
        """Process many instructions at once, at most `concurrency` of them in flight.

        Returns:
            One entry per instruction, in order; where every expert failed, the error in place of a result.

        Raises:
            ConfigError: one text in place of a list, `concurrency` below 1, or as for `process_instruction`.
        """
        if isinstance(instructions, str):
            raise ConfigError("process_batch takes a list of instructions, and one text was given; put it into a list.")
        if concurrency < 1:
            raise ConfigError(f"concurrency is how many are in flight, at least 1; {concurrency} was given.")
        executor = self._ready()
        recommendations = self._recommender.recommend(list(instructions), policy=policy)

        async def run_all() -> list[Execution]:
            slots = asyncio.Semaphore(concurrency)

            async def run(text: str, recommendation: Recommendation) -> Execution:
                async with slots:
                    return await executor.run(text, _names(recommendation))

            return await asyncio.gather(*map(run, instructions, recommendations))

        results: list[MoEResult | ExpertError] = []
        executions = self._running().run(run_all())
        for text, recommendation, execution in zip(instructions, recommendations, executions, strict=True):
            try:
                results.append(self._finish(text, recommendation, execution, execution.latency_s))
            except ExpertError as failure:
                results.append(failure)
        return results

    def record_feedback(self, decision_id: str, score: float, *, comment: str | None = None) -> Feedback:
        """Remember how good a response was, from 0 to 1; `decision_id` is the `id` of a result.

        Raises:
            ConfigError: the id is unknown or the score lies outside [0, 1].
        """
        return self.feedback_store.record(decision_id, score, comment)

    def update_models(self) -> "UpdateReport":
        """Learn from the feedback so far; the better router is saved as a new version and used from now on.

        Raises:
            ConfigError: the router has no folder.
        """
        from mixture_training.src.updating import update_router

        if self.router.folder is None:
            raise ConfigError("This router has no folder to write a new version to; save it with router.save(folder).")
        report = update_router(self.router.folder, self.feedback_store)
        if report.promoted:
            from mixture_training.src.artifacts import Router

            self.router = Router.load(self.router.folder)
            self._recommender = Recommender(self.router, policy=self._policy)
        return report

    @property
    def feedback_store(self) -> FeedbackStore:
        """The decisions and feedback; opened when first used."""
        with self._lock:
            self._check_open()
            if self._store is None:
                path = self._feedback
                if path is None:
                    if self.router.folder is None:
                        raise ConfigError("This router has no folder; say where decisions are kept: feedback=PATH.")
                    path = feedback_path(self.router.folder)
                self._store = FeedbackStore(path)
            return self._store

    def close(self) -> None:
        """Release the experts' connections and the feedback file; what is in flight is cancelled.

        From then on the controller recommends, but runs and remembers nothing. Closing twice is no mistake.
        """
        with self._lock:
            self._closed = True
            if self._executor is not None and self._loop is not None:
                self._loop.run(self._executor.aclose())
            if self._loop is not None:
                self._loop.close()
            if self._store is not None:
                self._store.close()
            self._executor = self._loop = self._store = None

    def __enter__(self) -> "MoEController":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> LoopThread:
        with self._lock:
            self._check_open()
            if self._loop is None:
                self._loop = LoopThread()
            return self._loop

    def _ready(self) -> Executor:
        """Return the executor; the first call builds the experts."""
        with self._lock:
            self._check_open()
            if self._executor is None:
                experts = {expert.name: expert for expert in self._build_experts()}
                known = [name for name in self._recommender.experts if name in experts]
                if not known:
                    raise ConfigError(
                        f"None of the experts given ({', '.join(sorted(experts))}) is one the router chooses among: "
                        f"{', '.join(self._recommender.experts)}. Give them these names."
                    )
                unreachable = [name for name in self._recommender.experts if name not in experts]
                if unreachable:
                    logger.warning("no connection to %s: passed over", ", ".join(unreachable))
                self._executor = Executor(
                    {name: experts[name] for name in known},
                    timeout_s=self._timeout_s,
                    total_timeout_s=self._total_timeout_s,
                )
            return self._executor

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError("This controller is closed; load another: MoEController.load(folder).")

    def _build_experts(self) -> list[Expert]:
        if isinstance(self._given, list):
            return self._given
        from dataset_build import ExpertConfig, load_experts, parse_expert

        if self._given is not None:
            return load_experts(parse_expert(str(self._given)))
        configs = [ExpertConfig(**card.config) for card in self.router.experts if card.config is not None]
        if not configs:
            raise ConfigError(
                "This router was trained on recorded answers and knows no connection to its experts "
                f"({', '.join(self._recommender.experts)}). Name them: MoEController.load(folder, experts=...) "
                "or `moe run --experts FILE.yaml`."
            )
        return self._load_each(configs)

    @staticmethod
    def _load_each(configs: "Sequence[ExpertConfig]") -> list[Expert]:
        """Return the experts that can be loaded; one that cannot is named in the log, and only all of them raise."""
        from dataset_build import load_experts

        loaded: list[Expert] = []
        problem: ToolkitError | None = None
        for config in configs:
            try:
                loaded += load_experts([config])
            except ToolkitError as failure:
                logger.warning("expert %r is passed over: %s", config.name or config.provider, failure)
                problem = failure
        if not loaded and problem is not None:
            raise problem
        return loaded

    def _finish(
        self, instruction: str, recommendation: Recommendation, execution: Execution, latency_s: float
    ) -> MoEResult:
        """Remember the decision and return its result.

        Raises:
            ExpertUnavailableError: nobody answered.
        """
        answered = next((o for o in recommendation.ranking if o.expert == execution.expert), recommendation.ranking[0])
        decision = Decision(
            id=new_id(),
            created=now(),
            instruction=instruction,
            expert=execution.expert,
            response=execution.response,
            ranking=_names(recommendation),
            policy=recommendation.policy,
            category=recommendation.category,
            confidence=recommendation.confidence,
            expected_score=answered.expected_score,
            cost=execution.cost,
            latency_s=latency_s,
            attempts=execution.attempts,
        )
        self.feedback_store.remember(decision)
        if execution.expert is None or execution.response is None:
            tried = "; ".join(f"{attempt.expert}: {attempt.error}" for attempt in execution.attempts)
            raise ExpertUnavailableError(
                f"every expert failed ({tried}). Remembered as decision {decision.id}.",
                expert=recommendation.expert,
                kind="all_failed",
            )
        return MoEResult(
            response=execution.response,
            expert=execution.expert,
            category=recommendation.category,
            confidence=recommendation.confidence,
            cost=execution.cost,
            latency_s=latency_s,
            alternatives=tuple(o for o in recommendation.ranking if o.expert != execution.expert),
            id=decision.id,
            attempts=execution.attempts,
            expected_score=answered.expected_score,
            reason=recommendation.reason,
            policy=recommendation.policy,
            abilities=recommendation.abilities,
        )


def _names(recommendation: Recommendation) -> tuple[str, ...]:
    return tuple(option.expert for option in recommendation.ranking)
