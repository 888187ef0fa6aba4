"""The mixture of experts as one object: recommend, execute, remember, learn."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dataset_build import ChatCall, ConfigError, Expert, ExpertError, ToolkitError
from mixture_training.src.asking import Ask, MoEResult
from mixture_training.src.conversation import as_call, routing_text
from mixture_training.src.dispatcher import Dispatcher
from mixture_training.src.feedback_store import (
    Decision,
    Feedback,
    FeedbackStore,
    StoreUnavailableError,
    feedback_path,
)
from mixture_training.src.hub_places import is_from_hub
from mixture_training.src.live_router import LiveRouter
from mixture_training.src.loop_thread import LoopThread
from mixture_training.src.model_executor import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_TOTAL_TIMEOUT_S,
    Ended,
    Executor,
    Piece,
    Resumed,
)
from mixture_training.src.model_recommender import Recommendation
from mixture_training.src.receipt import Receipt
from mixture_training.src.response_cache import ResponseCache

if TYPE_CHECKING:
    from dataset_build import ExpertConfig
    from mixture_training.src.artifacts import Router
    from mixture_training.src.bandit import Explorer
    from mixture_training.src.storing.spool import DecisionWriter
    from mixture_training.src.updating import UpdateReport

__all__ = ["MoEController", "MoEResult", "build_experts"]

logger = logging.getLogger(__name__)

#: An instruction: a text, or the messages of a conversation as the OpenAI chat protocol has them.
Instruction: TypeAlias = str | Sequence[Mapping[str, Any]] | ChatCall
#: What a stream consists of: what was decided, the pieces, where another expert took over, and the result last.
Event: TypeAlias = Receipt | Piece | Resumed | MoEResult
GivenExperts: TypeAlias = Iterable[Expert] | str | Path | None


class MoEController:
    """Routes instructions to experts, runs them, and learns from feedback.

    Usable from several threads, and as a context manager that closes it. Wherever it takes an instruction, that is a
    text or a list of chat messages; `options` are further keys of the chat protocol (tools, response_format,
    max_tokens …), which go to the expert untouched.

    Args:
        router: The trained router.
        experts: Who can be called: experts, or the command-line shorthand (`embedded`, a YAML file). None means those
            the router was trained on, as far as it knows how to reach them.
        policy: Used where a call names none; None means the router's default.
        feedback: Where decisions are kept, a SQLite file or the URL of a database; None means beside the router's
            folder.
        timeout_s: Seconds one expert may take.
        total_timeout_s: Seconds all experts tried for one instruction may take.
        hedge_after_s: Seconds after which a second expert is asked beside the first; "p95" is the first's own
            95th percentile, None never asks.
        keep_texts: Whether instructions, responses and corrections are kept with the decisions. Without them the
            vectors are, which quick learning needs, but a full retrain cannot learn from feedback.
        cache: Answers that may be given again; True makes a cache of the usual limits.
        explorer: Asks others than the best now and then, to learn what they can do.
    """

    def __init__(
        self,
        router: "Router",
        *,
        experts: GivenExperts = None,
        policy: str | None = None,
        feedback: Path | str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        total_timeout_s: float = DEFAULT_TOTAL_TIMEOUT_S,
        hedge_after_s: float | Literal["p95"] | None = None,
        keep_texts: bool = False,
        cache: ResponseCache | bool = False,
        explorer: "Explorer | None" = None,
    ) -> None:
        self._live = LiveRouter(router, policy=policy)
        self._given = experts if experts is None or isinstance(experts, str | Path) else list(experts)
        self._feedback = feedback
        self._timeout_s, self._total_timeout_s, self._hedge_after_s = timeout_s, total_timeout_s, hedge_after_s
        self._keep_texts = keep_texts
        self._cache = (ResponseCache() if cache else None) if isinstance(cache, bool) else cache
        self._explorer = explorer
        self._lock = threading.RLock()
        self._loop: LoopThread | None = None
        self._executor: Executor | None = None
        self._dispatcher: Dispatcher | None = None
        self._store: FeedbackStore | None = None
        self._writer: DecisionWriter | None = None
        self._closed = False

    @classmethod
    def load(cls, folder: Path | str, **options: Any) -> "MoEController":  # noqa: ANN401 - those of the class
        """Return the controller of a saved router, its canary included; `options` are the arguments of the class.

        Experts are built, and the store of decisions is opened, when they are first needed.

        Raises:
            ConfigError: there is no router.
            DataError: it is damaged, or was written by a newer version.
        """
        from mixture_training.src.artifacts import Router

        controller = cls(Router.load(folder), **options)
        controller.refresh()
        return controller

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: Path | str,
        *,
        revision: str | None = None,
        **options: Any,  # noqa: ANN401 - those of the class
    ) -> "MoEController":
        """Return the controller of a saved router, or of `org/name` on the Hugging Face hub.

        A router of the hub is fetched into the hub's cache, and copied from there to
        `~/.local/share/moe-toolkit/routers` (or below `MOE_TOOLKIT_DATA`). Its decisions, feedback and versions lie
        beside that copy, and updates change it alone; once updated, it no longer follows the hub. Without network the
        copy is used as it is. Of the experts it names, only tools of the embedded pool are called; others (endpoints,
        functions) are for `experts` to name, since a stranger may have written the router.

        Args:
            name_or_folder: `org/name`, `hf:org/name@revision`, or a folder.
            revision: A branch, tag or commit; each has a copy of its own.
            options: The arguments of the class.

        Raises:
            ConfigError: there is none, or the hub does not answer within seconds and there is no copy of before.
            DataError: it is damaged, holds what no router does, or was written by a newer version.
        """
        from mixture_training.src.hub_router import find_router

        return cls.load(find_router(name_or_folder, revision), **options)

    def push_to_hub(self, name: str, **options: Any) -> str:  # noqa: ANN401 - those of the router
        """Put the router in use on the Hugging Face hub and return its address; `options` are the router's."""
        return self.router.push_to_hub(name, **options)

    @property
    def router(self) -> "Router":
        """The router in use."""
        return self._live.main.router

    def refresh(self) -> bool:
        """Use the router, and the canary, that are in the folder now; return whether anything changed."""
        return self._live.refresh()

    def recommend(self, instruction: Instruction, *, policy: str | None = None) -> Recommendation:
        """Return where the instruction should go and why; nothing is called and nothing is remembered."""
        text = instruction if isinstance(instruction, str) else routing_text(as_call(instruction))
        return self._live.main.recommender.recommend([text], policy=policy)[0]

    def process_instruction(
        self,
        instruction: Instruction,
        *,
        policy: str | None = None,
        options: Mapping[str, Any] | None = None,
        expert: str | None = None,
        session: str | None = None,
        user: str | None = None,
    ) -> MoEResult:
        """Route the instruction, run the expert, fall back down the ranking where one fails, and remember it.

        Args:
            instruction: A text or messages.
            policy: How score and cost are traded.
            options: Further keys of the request.
            expert: Who is to answer, whatever the router thinks; nobody is fallen back to.
            session: Whose turns belong together: its last expert has read the conversation, and is kept where that is
                worth it.
            user: Whose instruction it is; stored hashed.

        Raises:
            ConfigError: the router knows no connection to its experts, none of them can take the request, or there is
                no such policy.
            ExpertUnavailableError: every expert failed; the decision is remembered all the same.
        """
        ask = Ask(as_call(instruction, options), policy=policy, expert=expert, session=session, user=user)
        dispatcher = self._ready()
        return self._running().run(dispatcher.answer(ask))

    async def aprocess_instruction(
        self,
        instruction: Instruction,
        *,
        policy: str | None = None,
        options: Mapping[str, Any] | None = None,
        expert: str | None = None,
        session: str | None = None,
        user: str | None = None,
    ) -> MoEResult:
        """Do what `process_instruction` does without blocking the caller's event loop."""
        ask = Ask(as_call(instruction, options), policy=policy, expert=expert, session=session, user=user)
        dispatcher = await self._aready()
        return await asyncio.wrap_future(self._running().submit(dispatcher.answer(ask)))

    def stream(
        self,
        instruction: Instruction,
        *,
        policy: str | None = None,
        options: Mapping[str, Any] | None = None,
        expert: str | None = None,
        session: str | None = None,
        user: str | None = None,
    ) -> Iterator[Event]:
        """Yield the receipt, the pieces of the answer as they come, and the result last.

        The text of a piece is `event.piece.text`. A `Resumed` says that another expert goes on where one broke off.
        The arguments and errors are those of `process_instruction`; an answer that breaks off raises after its pieces.
        """
        ask = Ask(as_call(instruction, options), policy=policy, expert=expert, session=session, user=user)
        dispatcher = self._ready()
        for event in self._running().iterate(dispatcher.stream(ask)):
            if not isinstance(event, Ended):
                yield event

    async def astream(
        self,
        instruction: Instruction,
        *,
        policy: str | None = None,
        options: Mapping[str, Any] | None = None,
        expert: str | None = None,
        session: str | None = None,
        user: str | None = None,
    ) -> AsyncIterator[Event]:
        """Do what `stream` does without blocking the caller's event loop."""
        ask = Ask(as_call(instruction, options), policy=policy, expert=expert, session=session, user=user)
        dispatcher = await self._aready()
        async for event in self._running().aiterate(dispatcher.stream(ask)):
            if not isinstance(event, Ended):
                yield event

    def process_batch(
        self, instructions: Sequence[Instruction], *, policy: str | None = None, concurrency: int = 16
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
        asks = [Ask(as_call(instruction), policy=policy) for instruction in instructions]
        dispatcher = self._ready()

        async def run_all() -> list[MoEResult | ExpertError]:
            slots = asyncio.Semaphore(concurrency)

            async def run(ask: Ask) -> MoEResult | ExpertError:
                async with slots:
                    try:
                        return await dispatcher.answer(ask)
                    except ExpertError as failure:
                        return failure

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run(ask)) for ask in asks]
            return [task.result() for task in tasks]

        try:
            return self._running().run(run_all())
        except* ToolkitError as group:
            raise group.exceptions[0] from None

    def record_feedback(
        self,
        decision_id: str,
        score: float | None = None,
        *,
        preference: str | None = None,
        correction: str | None = None,
        comment: str | None = None,
        user: str | None = None,
        event: str | None = None,
    ) -> Feedback:
        """Remember how good a response was; `decision_id` is the `id` of a result. Give one of the first three.

        Args:
            decision_id: What is judged.
            score: From 0 (useless) to 1 (right).
            preference: The id of a response that was found worse than this one.
            correction: What would have been right; its text is kept only where texts are.
            comment: Why.
            user: Who judges; stored hashed.
            event: A name of this very judgement: sent twice, it counts once.

        Raises:
            ConfigError: an id is unknown, the score lies outside [0, 1], or not exactly one judgement is given.
        """
        given = [name for name in (score, preference, correction) if name is not None]
        if len(given) != 1:
            raise ConfigError(f"Give one of score, preference and correction; {len(given)} were given.")
        store, about = self.feedback_store, {"user": user, "event": event}
        if score is not None:
            return store.record(decision_id, score, comment, **about)
        if preference is not None:
            return store.prefer(decision_id, preference, comment, **about)
        assert correction is not None
        return store.correct(decision_id, correction, comment, keep_text=self._keep_texts, **about)

    def explain(self, decision_id: str) -> Receipt:
        """Return why an instruction went where it went; `decision_id` is the `id` of a result.

        Raises:
            ConfigError: the id is unknown.
            DataError: the decision was made before there were receipts.
        """
        decision = self.feedback_store.decision(decision_id)
        return Receipt.from_json(decision.receipt, decision.features)

    def update_models(self, kind: Literal["quick", "full"] = "quick", *, canary: float | None = None) -> "UpdateReport":
        """Learn from the feedback so far; a router that is not worse is saved as a new version and used from now on.

        Args:
            kind: "quick" corrects the scores by the vectors of the decisions, in milliseconds; "full" trains anew on
                the dataset and the feedback whose texts were kept.
            canary: Share of the traffic that tries the new version first; None puts it in use at once.

        Raises:
            ConfigError: the router has no folder.
        """
        from mixture_training.src.updating import update_router

        if self.router.folder is None:
            raise ConfigError("This router has no folder to write a new version to; save it with router.save(folder).")
        report = update_router(self.router.folder, self.feedback_store, kind=kind, canary=canary)
        self.refresh()
        return report

    @property
    def feedback_store(self) -> FeedbackStore:
        """The decisions and feedback; opened when first used."""
        with self._lock:
            self._check_open()
            if self._store is None:
                place = self._feedback
                if place is None:
                    if self.router.folder is None:
                        raise ConfigError("This router has no folder; say where decisions are kept: feedback=PATH.")
                    place = feedback_path(self.router.folder)
                self._store = FeedbackStore(place)
            return self._store

    def close(self) -> None:
        """Release the experts' connections and the feedback file; what is in flight is cancelled.

        From then on the controller recommends, but runs and remembers nothing. Closing twice is no mistake.
        """
        with self._lock:
            self._closed = True
            loop, executor, writer, store = self._loop, self._executor, self._writer, self._store
            self._dispatcher = self._executor = self._loop = self._writer = self._store = None
        if loop is not None:
            loop.cancel_all()
            if executor is not None:
                loop.run(executor.aclose())
            loop.close()
        if writer is not None:
            writer.close()
        if store is not None:
            store.close()

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

    async def _aready(self) -> Dispatcher:
        dispatcher = self._dispatcher
        return await asyncio.to_thread(self._ready) if dispatcher is None else dispatcher

    def _ready(self) -> Dispatcher:
        """Return what answers; the first call builds the experts and opens the store."""
        with self._lock:
            self._check_open()
            if self._dispatcher is None:
                if self._executor is None:
                    self._executor = Executor(
                        build_experts(self.router, self._given),
                        timeout_s=self._timeout_s,
                        total_timeout_s=self._total_timeout_s,
                        hedge_after_s=self._hedge_after_s,
                    )
                store = self.feedback_store
                self._dispatcher = Dispatcher(
                    self._live,
                    self._executor,
                    self._remember,
                    keep_texts=self._keep_texts,
                    hash_of=store.user_hash,
                    cache=self._cache,
                    explorer=self._explorer,
                )
            return self._dispatcher

    def _remember(self, decision: Decision) -> None:
        """Store a decision, or, while the database is away, keep it in a file until it is back."""
        store = self._store
        if store is None:
            return
        try:
            store.remember(decision)
        except StoreUnavailableError as problem:
            if self._writer is None:
                from mixture_training.src.storing.opening import spool_path
                from mixture_training.src.storing.spool import DecisionWriter

                folder = None if self.router.folder is None else spool_path(self.router.folder)
                self._writer = DecisionWriter(store, None if store.path is not None else folder)
                logger.warning("the database is away (%s): decisions wait in a file", problem)
            self._writer.append(decision)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError("This controller is closed; load another: MoEController.load(folder).")


def build_experts(router: "Router", given: Iterable[Expert] | str | Path | None = None) -> dict[str, Expert]:
    """Return the experts of a router that can be reached, by name, in its order.

    Args:
        router: Who chooses among them.
        given: Experts, or the command-line shorthand; None means those the router knows how to reach.

    Raises:
        ConfigError: there is none, or none that the router knows.
    """
    experts = {expert.name: expert for expert in _experts_of(router, given)}
    known = [name for name in router.expert_names if name in experts]
    if not known:
        raise ConfigError(
            f"None of the experts given ({', '.join(sorted(experts))}) is one the router chooses among: "
            f"{', '.join(router.expert_names)}. Give them these names."
        )
    unreachable = [name for name in router.expert_names if name not in experts]
    if unreachable:
        logger.warning("no connection to %s: passed over", ", ".join(unreachable))
    return {name: experts[name] for name in known}


def _experts_of(router: "Router", given: Iterable[Expert] | str | Path | None) -> list[Expert]:
    if given is not None and not isinstance(given, str | Path):
        return list(given)
    from dataset_build import ExpertConfig, load_experts, parse_expert

    if given is not None:
        return load_experts(parse_expert(str(given)))
    configs = [ExpertConfig(**card.config) for card in router.experts if card.config is not None]
    if configs and router.folder is not None and is_from_hub(Path(router.folder)):
        configs = _harmless(configs)
        if not configs:
            raise ConfigError(
                "This router came from the hub, so whom it would call, where and with which key, is for you to say "
                f"({', '.join(router.expert_names)}): MoEController.from_pretrained(name, experts=...) or "
                "`moe run --experts FILE.yaml`. Its router.json tells what its author used."
            )
    if not configs:
        raise ConfigError(
            "This router was trained on recorded answers and knows no connection to its experts "
            f"({', '.join(router.expert_names)}). Name them: MoEController.load(folder, experts=...) "
            "or `moe run --experts FILE.yaml`."
        )
    return _load_each(configs)


def _harmless(configs: "Sequence[ExpertConfig]") -> "list[ExpertConfig]":
    """Return those that stand for a tool of the embedded pool as it is, or for an echo."""
    from dataset_build import tools

    return [one for one in configs if not one.options() and (one.provider in tools or one.provider == "echo")]


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
