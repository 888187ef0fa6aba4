"""How far the instructions that come in are from those the router learned from, for the metrics."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mixture_training.src.drift import DriftMonitor
    from mixture_training.src.feedback_store import FeedbackStore
    from mixture_training.src.live_router import ActiveRouter

#: Decisions that are looked at, the latest ones.
RECENT = 400


class DriftWatch:
    """Measures the latest decisions against the router in use; what it compares with is read once per version."""

    def __init__(self) -> None:
        self._monitor: tuple[str, DriftMonitor] | None = None

    def measure(self, active: "ActiveRouter", store: "FeedbackStore") -> dict[str, float]:
        """Return the measures of drift by name, `alarm` among them; takes a while, and pandas.

        Raises:
            DataError: the router keeps no training data.
            StoreUnavailableError: the database is away.
        """
        from mixture_training.src.drift import DriftMonitor

        if self._monitor is None or self._monitor[0] != active.version:
            self._monitor = active.version, DriftMonitor(active.router)
        recent = [
            decision
            for decision in reversed(store.decisions(limit=RECENT, newest_first=True))
            if decision.features is not None and decision.router_version == active.version
        ]
        if not recent:
            return {}
        vectors = np.stack([np.frombuffer(one.features or b"", dtype="<f2") for one in recent]).astype(np.float32)
        found = self._monitor[1].measure(vectors, [one.category for one in recent])
        return {**found.measures(), "alarm": float(found.is_drifted)}
