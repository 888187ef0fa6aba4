"""A running server that learns from each judgement at once, without waiting for an update: opt-in.

What it learns is in memory only and has passed no gate; `moe update` reads the same judgements from the store, and the
next router that is loaded replaces it.
"""

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mixture_training.src.correction import Correction

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

_DAY_S = 86_400.0


class OnlineLearner:
    """Corrects one loaded router; safe to use from several threads.

    Judgements are learned in small parts, because a part costs as much as a single one. A recommender reads the
    router's correction once per call, so it sees the one before a part or the one after.

    Args:
        router: Its `correction` is replaced.
        every: Judgements that are learned at once.
    """

    def __init__(self, router: "Router", *, every: int = 10) -> None:
        self._router = router
        self._every = every
        self._waiting: list[tuple[npt.NDArray[np.floating] | None, int, float, float, float]] = []
        self._lock = threading.Lock()
        router.correction = Correction.of(router)

    def observe(
        self,
        vector: npt.NDArray[np.floating] | None,
        expert: str,
        score: float,
        expected: float,
        *,
        weight: float = 1.0,
        moment: float | None = None,
    ) -> None:
        """Take note of one judgement.

        Args:
            vector: (d,), what was decided by; a judgement without one that the router reads is not learned from.
            expert: Who answered; of one that the router does not know nothing is learned.
            score: In [0, 1].
            expected: Of the same expert, without any correction (`RoutingTable.uncorrected`).
            weight: How much it counts, from 0 to 1: less for users who judge much.
            moment: When, in seconds since 1970; None means now.
        """
        with self._lock:
            correction = Correction.of(self._router)
            if expert not in self._router.expert_names or (vector is None and correction.axes is not None):
                return
            at = (time.time() if moment is None else moment) / _DAY_S
            self._waiting.append((vector, self._router.expert_names.index(expert), score - expected, weight, at))
            if len(self._waiting) >= self._every:
                self._learn(correction)

    def flush(self) -> None:
        """Learn what is waiting."""
        with self._lock:
            self._learn(Correction.of(self._router))

    def _learn(self, correction: Correction) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        vectors, columns, residuals, weights, moments = zip(*waiting, strict=True)
        self._router.correction = correction.learn(
            None if correction.axes is None else np.stack(vectors),
            np.array(columns, dtype=np.intp),
            np.array(residuals),
            np.array(weights),
            moments=np.array(moments),
        )
