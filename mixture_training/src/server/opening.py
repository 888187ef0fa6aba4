"""Opens what one worker answers with: the router, its experts, the database, and what stands between them."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError, ToolkitError
from mixture_training.src.server.rate_slots import RateSlots
from mixture_training.src.server.services import Services
from mixture_training.src.server.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixture_training.src.artifacts import Router
    from mixture_training.src.bandit import Explorer
    from mixture_training.src.decisions import Decision
    from mixture_training.src.feedback_store import FeedbackStore
    from mixture_training.src.server.serve_config import ServeConfig
    from mixture_training.src.storing.spool import DecisionWriter


def open_store(config: "ServeConfig") -> "FeedbackStore":
    """Return the database of a server.

    Raises:
        ConfigError: it cannot be opened.
        DataError: it is no such database.
    """
    from mixture_training.src.feedback_store import FeedbackStore, feedback_path

    return FeedbackStore(config.feedback or feedback_path(Path(config.router)))


def open_services(config: "ServeConfig", *, worker: int = 0, rates: int | None = None) -> Services:
    """Open everything for one worker; called on its loop.

    Args:
        config: The set-up.
        worker: Its number.
        rates: The descriptor of the file in which workers count requests together; None for one worker.

    Raises:
        ToolkitError: the router, an expert or the database cannot be used; the message says what to do.
    """
    from mixture_training.src.dispatcher import Dispatcher
    from mixture_training.src.live_router import LiveRouter
    from mixture_training.src.model_executor import Executor
    from mixture_training.src.moe_controller import build_experts
    from mixture_training.src.response_cache import ResponseCache
    from mixture_training.src.storing.spool import DecisionWriter

    live = LiveRouter.load(config.router, policy=config.policy)
    router = live.main.router
    executor = Executor(
        build_experts(router, config.experts),
        timeout_s=config.timeout_s,
        total_timeout_s=config.request_timeout_s,
        retries=config.retries,
        hedge_after_s=config.hedge_after_s,
        concurrency=config.expert_concurrency,
        after_break=config.after_break,
    )
    store = open_store(config)
    writer = DecisionWriter(store, _spool_of(config, store))
    dispatcher = Dispatcher(
        live,
        executor,
        _remembering(writer, keep_texts=config.keep_texts),
        keep_texts=config.keep_texts,
        keep_features=config.keep_features,
        hash_of=store.user_hash,
        cache=ResponseCache(kept_s=config.cache_s) if config.cache_s else None,
        explorer=_explorer_of(config),
    )
    return Services(
        config,
        live=live,
        executor=executor,
        dispatcher=dispatcher,
        store=store,
        writer=writer,
        rates=RateSlots(rates),
        worker=worker,
        tracing=Tracing() if config.otel else None,
    )


def _explorer_of(config: "ServeConfig") -> "Explorer | None":
    """Return what explores; each worker has its part of the money."""
    if config.explore is None:
        return None
    from mixture_training.src.bandit import Explorer

    return Explorer(
        config.explore,
        usd_total=config.explore_budget_usd / config.workers,
        quality_per_decision=config.explore_quality,
    )


def _spool_of(config: "ServeConfig", store: "FeedbackStore") -> Path | None:
    if config.spool is not None:
        return Path(config.spool)
    from mixture_training.src.storing.opening import spool_path

    return None if store.path is not None else spool_path(config.router)


def _remembering(writer: "DecisionWriter", *, keep_texts: bool) -> "Callable[[Decision], None]":
    """Return what takes decisions; without texts, what endpoints said of a failure is left out, as it may quote one."""

    def remember(decision: "Decision") -> None:
        if not keep_texts and any(attempt.error is not None for attempt in decision.attempts):
            kinds = [(attempt, attempt.error and attempt.error.partition(":")[0]) for attempt in decision.attempts]
            decision = replace(decision, attempts=tuple(replace(attempt, error=kind) for attempt, kind in kinds))
        with suppress(ToolkitError):  # a full disk is logged and counted by the writer, and the answer is given
            writer.append(decision)

    return remember


def check_policy(config: "ServeConfig", router: "Router") -> None:
    """Raise now rather than at the first request where the router cannot keep the policy.

    Raises:
        ConfigError: it cannot, or there is no such policy.
    """
    from mixture_training.src.model_recommender import Recommender

    try:
        Recommender(router, policy=config.policy).table(["a"])
    except ConfigError as problem:
        raise ConfigError(f"--policy {config.policy}: {problem}") from None
