"""What was asked and spent, as the page shows it: the last hour, the last days, and each key's budget."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixture_training.src.server.services import Services
    from mixture_training.src.storing.keys import Key
    from mixture_training.src.storing.reading import Brief

#: Columns of the chart of the last hour, and how long that hour is in seconds.
COLUMNS, WINDOW_S = 60, 3600.0
#: Decisions looked at; where there are more, the chart begins with the oldest of them.
MOST = 3000
#: Decisions listed one by one.
LISTED = 12
#: Days by the hour.
DAYS = 7


def sees_all(key: "Key | None") -> bool:
    """Return whether a key sees everybody's traffic: one without limits does, one with limits sees its own."""
    return key is None or (key.budget_usd is None and key.experts is None and key.policies is None)


def live_figures(services: "Services", key: "Key | None") -> dict[str, Any]:
    """Return the figures that `key` may see.

    Raises:
        StoreUnavailableError: the database is away.
    """
    moment = datetime.now(UTC)
    is_whole = sees_all(key)
    key_id = None if is_whole or key is None else key.id
    rows = services.store.brief(MOST, since=moment - timedelta(seconds=WINDOW_S), key_id=key_id)
    hours = services.store.traffic(moment - timedelta(days=DAYS)) if is_whole else None
    return {
        "now": moment.isoformat(timespec="seconds"),
        "scope": "all" if is_whole else "key",
        "recent": recent_figures(rows, moment, is_cut=len(rows) >= MOST),
        "latest": [_listed(row) for row in rows[:LISTED]],
        "hours": None if hours is None else [asdict(hour) for hour in hours],
        "experts": services.expert_health() if is_whole else None,
        "keys": _keys(services, key, is_whole),
    }


def recent_figures(rows: "Sequence[Brief]", moment: datetime, *, is_cut: bool) -> dict[str, Any]:
    """Return requests and USD in equal steps of time up to `moment`, and what they come to together.

    Args:
        rows: Newest first.
        moment: Where the last step ends.
        is_cut: Whether there are older ones within the hour that are not among `rows`.
    """
    span_s = WINDOW_S
    if is_cut and rows:
        span_s = max((moment - datetime.fromisoformat(rows[-1].created)).total_seconds(), 1.0)
    step_s = span_s / COLUMNS
    requests: dict[str, list[int]] = {}
    costs: dict[str, list[float]] = {}
    for row in rows:
        age_s = (moment - datetime.fromisoformat(row.created)).total_seconds()
        column = COLUMNS - 1 - min(max(int(age_s / step_s), 0), COLUMNS - 1)
        name = row.expert or ""
        requests.setdefault(name, [0] * COLUMNS)[column] += 1
        costs.setdefault(name, [0.0] * COLUMNS)[column] += row.cost
    return {
        "since": (moment - timedelta(seconds=span_s)).isoformat(timespec="seconds"),
        "step_s": step_s,
        "is_cut": is_cut,
        "requests": requests,
        "costs": costs,
        "summary": _summary(rows),
    }


def _summary(rows: "Sequence[Brief]") -> dict[str, Any]:
    ended = Counter(_ending(row) for row in rows)
    seconds = sorted(row.latency_s for row in rows if row.outcome == "answered")
    return {
        "requests": len(rows),
        **{name: ended[name] for name in ("first", "fallback", "failed", "cancelled")},
        "cost": math.fsum(row.cost for row in rows),
        "p50_s": _quantile(seconds, 0.5),
        "p95_s": _quantile(seconds, 0.95),
    }


def _ending(row: "Brief") -> str:
    """Return how a decision ended: by its first choice, by another, or by nobody."""
    if row.outcome != "answered":
        return row.outcome
    return "first" if row.expert == row.first else "fallback"


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that `share` of the values do not exceed; None where there is none."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None


def _listed(row: "Brief") -> dict[str, Any]:
    return {**asdict(row), "ending": _ending(row)}


def _keys(services: "Services", key: "Key | None", is_whole: bool) -> list[dict[str, Any]]:
    """Return what each key may spend and has spent; a key with limits sees itself."""
    return [
        {
            "name": one.name,
            "hint": one.hint,
            "budget_usd": one.budget_usd,
            "spent_usd": one.spent_usd,
            "requests_per_minute": one.requests_per_minute,
            "is_own": key is not None and one.id == key.id,
        }
        for one in services.store.keys.list()
        if not one.is_disabled and (is_whole or (key is not None and one.id == key.id))
    ]
