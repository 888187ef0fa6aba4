"""What the router is and how good it was found to be, as the page shows it."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixture_training.src.server.access import may_use
from mixture_training.src.server.model_choice import CHEAP, MOE, QUALITY

if TYPE_CHECKING:
    from mixture_training.src.decisions import Decision
    from mixture_training.src.server.services import Services
    from mixture_training.src.storing.keys import Key

#: What of the metrics on validation is shown.
_METRICS = (
    "instructions", "policy", "best_single_name", "routed", "best_single", "random", "oracle", "vs_best_single",
    "gap_closed", "ece", "brier", "novel_share", "cost_error", "is_guarded",
)  # fmt: skip
#: Decisions whose instructions are held against those of training.
LATEST = 400
#: Columns of a trade-off table that are drawn.
_CURVE = ("weights", "costs", "qualities", "qualities_low", "qualities_high", "kept")


def router_figures(services: "Services", key: "Key | None") -> dict[str, Any]:
    """Return the router in use, its experts and its evaluation."""
    router = services.router
    metrics, assurance = router.metrics, router.assurance
    shares = metrics.get("shares") or {}
    tables = assurance.trade_offs
    reachable = set(services.experts)
    figures: dict[str, Any] = finite(
        {
            "version": services.router_version,
            "model_type": router.model_type,
            "encoder": router.options.get("encoder"),
            "data": {name: router.data.get(name) for name in ("train_instructions", "validation_instructions")},
            "best_single": router.best_single,
            "policies": {
                "default": services.default_policy,
                MOE: services.default_policy,
                QUALITY: "quality",
                CHEAP: services.cheap,
            },
            "has_trade_offs": tables is not None,
            "experts": [
                {
                    "name": card.name,
                    "description": card.description,
                    "mean_score": card.mean_score,
                    "mean_cost": card.mean_cost,
                    "share": shares.get(card.name),
                    "is_reachable": card.name in reachable,
                    "is_allowed": may_use(key, card.name),
                }
                for card in router.experts
            ],
            "metrics": {name: metrics.get(name) for name in _METRICS},
            "guard": None if assurance.guard is None else _guard(assurance.guard.to_state()),
            "trade_offs": None
            if tables is None
            else {name: _curve(table) for name, table in tables.to_state().items()},
            "is_corrected": router.correction is not None,
            "keeps_texts": services.config.keep_texts,
            "key": None
            if key is None
            else {
                "name": key.name,
                "hint": key.hint,
                "requests_per_minute": key.requests_per_minute,
                "policies": key.policies,
            },
        }
    )
    return figures


def version_figures(services: "Services") -> dict[str, Any]:
    """Return the versions of the router and the one on trial.

    Raises:
        ConfigError: the router folder is gone.
        DataError: what is written down about its versions is damaged.
        StoreUnavailableError: the database is away.
    """
    from mixture_training.src.version_folders import read_state
    from mixture_training.src.versions import list_versions, trial_text

    folder = Path(services.config.router)
    rows = list_versions(folder, services.store.judged())
    state = read_state(folder)
    canary = state.canary
    figures: dict[str, Any] = finite(
        {
            "versions": [asdict(row) for row in reversed(rows)],
            "canary": None
            if canary is None
            else {
                "version": canary.version,
                "share": canary.share,
                "since": canary.since,
                "text": trial_text(folder, state, services.store),
            },
            "watched": None if state.watch is None else state.watch.version,
        }
    )
    return figures


def drift_figures(services: "Services") -> dict[str, Any]:
    """Return in words how the latest instructions differ from those the router was trained for.

    Raises:
        DataError: the router keeps no training data.
        StoreUnavailableError: the database is away.
    """
    from mixture_training.src.drift import DriftMonitor

    router = services.router
    latest = [one for one in services.store.decisions(limit=LATEST, newest_first=True) if one.features is not None]
    size = max((len(one.features or b"") for one in latest[:1]), default=0)
    latest = [one for one in reversed(latest) if len(one.features or b"") == size]
    if not latest:
        return {"drift": "No instructions with their vectors are kept, so nothing can be compared."}
    vectors = np.frombuffer(b"".join(one.features or b"" for one in latest), dtype="<f2").reshape(len(latest), -1)
    drift = DriftMonitor(router).measure(np.nan_to_num(vectors.astype(np.float32)), [one.category for one in latest])
    return {"drift": str(drift), "is_drifted": drift.is_drifted}


def nearest_figures(services: "Services", decision: "Decision", count: int) -> list[dict[str, Any]]:
    """Return the training instructions most like that of a decision; none where its vector was not kept.

    Raises:
        DataError: the router keeps no training data.
    """
    from mixture_training.src.receipt import Receipt

    canary = services.live.canary
    active = canary if canary is not None and canary.version == decision.router_version else services.live.main
    if active.version != decision.router_version or not decision.receipt:
        return []
    receipt = Receipt.from_json(decision.receipt, decision.features)
    return [asdict(row) for row in receipt.nearest(active.router, count)]


def _guard(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in ("on", "quality", "cost")}


def _curve(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table[name] for name in _CURVE}


def finite(value: Any) -> Any:  # noqa: ANN401 - JSON-able values
    """Return `value` with None in place of every number that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value
