"""Judged decisions as arrays: what quick learning and the gate read."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.decisions import Judged
from mixture_training.src.gate import category_cells
from mixture_training.src.influence import OPERATOR, Influence, weigh
from mixture_training.src.off_policy import FloatArray, IndexArray

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: The policy of a decision that named its expert: nothing was routed there.
_BY_NAME = "expert"
#: Parts of the judged instructions that are held out in turn; the first is that which a full update holds out.
FOLDS = 5


@dataclass(frozen=True)
class Judgements:
    """n judgements with what their decisions kept, oldest first.

    Attributes:
        scores: In [0, 1], (n,).
        columns: Who had answered, (n,).
        vectors: What was routed by, (n, d).
        expected: What the router expects without any correction, (n, E).
        costs: Expected USD, (n, E).
        novelty: Above 1 for a novel instruction, (n,); NaN where nothing tells.
        propensities: Of each expert, (n, E); NaN where they were not kept.
        is_drawn: Whether who answered is who was drawn by them, (n,).
        users: Who judged, (n,), from 0; `OPERATOR` for the operator.
        instructions: Which instruction, (n,), from 0.
        folds: Which part an instruction belongs to, by its hash, (n,).
        moments: When it was judged, seconds since 1970, (n,).
        cells: Number of the likeliest category, (n,).
        versions: Which router decided, length n.
        names: Of the users.
        left_out: Judgements without a vector that the router reads.
    """

    scores: FloatArray
    columns: IndexArray
    vectors: npt.NDArray[np.float32]
    expected: FloatArray
    costs: FloatArray
    novelty: FloatArray
    propensities: FloatArray
    is_drawn: npt.NDArray[np.bool_]
    users: IndexArray
    instructions: IndexArray
    folds: IndexArray
    moments: FloatArray
    cells: IndexArray
    versions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: npt.NDArray[np.bool_] | IndexArray) -> "Judgements":
        """Return some of them."""
        picked = np.arange(len(self))[rows]
        parts: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            parts[one.name] = value[picked] if isinstance(value, np.ndarray) else value
        parts["versions"] = tuple(self.versions[row] for row in picked.tolist()) if self.versions else ()
        return Judgements(**parts)

    def influence(self) -> Influence:
        """Return how much each counts."""
        return weigh(
            self.scores,
            self.columns,
            self.users,
            self.instructions,
            self.moments,
            vectors=self.vectors,
            names=self.names,
        )


def read_judgements(router: "Router", judged: Sequence[Judged]) -> Judgements:
    """Return judgements as arrays, ordered by when they were given.

    Left out are those of experts that the router does not know, and, counted, those without a vector it reads.

    Args:
        router: The router in use, with or without a correction.
        judged: As the store gives them.
    """
    column_of = {name: column for column, name in enumerate(router.expert_names)}
    known = [one for one in judged if one.decision.expert in column_of]
    width = _width(router)
    usable = [one for one in known if one.decision.features and (width is None or len(one.decision.features) == width)]
    usable = [one for one in usable if len(one.decision.features or b"") == len(usable[0].decision.features or b"")]
    usable.sort(key=lambda one: one.feedback.created)
    n, experts = len(usable), len(column_of)
    if not n:
        return _empty(experts, len(known))
    decisions = [one.decision for one in usable]
    vectors = np.frombuffer(b"".join(one.features or b"" for one in decisions), dtype="<f2").reshape(n, -1)
    vectors = np.nan_to_num(vectors.astype(np.float32))
    columns = np.array([column_of[one.expert or ""] for one in decisions], dtype=np.intp)
    propensities, told, costs = (
        np.full((n, experts), np.nan),
        np.full((n, experts), np.nan),
        np.full((n, experts), np.nan),
    )
    novelty = np.full(n, np.nan)
    for row, decision in enumerate(decisions):
        if decision.propensities:
            propensities[row] = 0.0
        for name, chance in decision.propensities.items():
            if name in column_of:
                propensities[row, column_of[name]] = chance
        for option in decision.receipt.get("options", ()):
            if option["expert"] in column_of:
                told[row, column_of[option["expert"]]] = option["expected_score"]
                costs[row, column_of[option["expert"]]] = option["expected_cost"]
        beyond = decision.receipt.get("novelty")
        novelty[row] = np.nan if beyond is None else beyond
    every = np.arange(n)
    first = np.array([not one.attempts or one.attempts[0].expert == one.expert for one in decisions], dtype=bool)
    by_name = np.array([one.policy == _BY_NAME for one in decisions], dtype=bool)
    hashes = [one.features_hash or one.id for one in decisions]
    _, instructions = np.unique(np.array(hashes), return_inverse=True)
    who = [one.feedback.user or (f"key {one.decision.key_id}" if one.decision.key_id else "") for one in usable]
    names = tuple(sorted(set(who) - {""}))
    number = {name: index for index, name in enumerate(names)}
    return Judgements(
        scores=np.array([one.score for one in usable]),
        columns=columns,
        vectors=vectors,
        expected=_expected(router, vectors, told),
        costs=np.where(np.isnan(costs), router.costs.recorded.overall[None, :], costs),
        novelty=novelty,
        propensities=propensities,
        is_drawn=first & ~by_name & (np.nan_to_num(propensities[every, columns]) > 0.0),
        users=np.array([number.get(name, OPERATOR) for name in who], dtype=np.intp),
        instructions=instructions.astype(np.intp),
        folds=np.array([fold_of(one) for one in hashes], dtype=np.intp),
        moments=np.array([_seconds(one.feedback.created) for one in usable]),
        cells=category_cells([one.category for one in decisions], router.classifier.category_names_),
        versions=tuple(one.router_version for one in decisions),
        names=names,
        left_out=len(known) - n,
    )


def fold_of(text: str) -> int:
    """Return the part, from 0, that an instruction belongs to, by this text or hash of it alone."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) * FOLDS >> 64


def _width(router: "Router") -> int | None:
    """Return the bytes of a vector that the router reads; None where that is not known before reading one."""
    vectors = router.classifier.vectors_of(["?"])
    return None if vectors is None else 2 * int(vectors.shape[1])


def _expected(router: "Router", vectors: npt.NDArray[np.float32], told: FloatArray) -> FloatArray:
    """Return what the router expects without its correction, (n, E).

    From the vectors, where the classifier reads nothing else; else from what the receipts tell, the correction in use
    taken off again, and the experts' means where they tell nothing.
    """
    from mixture_training.src.vector_classifier import VectorClassifier

    if isinstance(router.classifier, VectorClassifier):
        return router.assurance.expect(router.classifier.predict_vectors(vectors)).scores
    if router.correction is not None:
        middle = np.full(told.shape, 0.5)
        told = told - (router.correction.adjust(vectors, middle) - middle)
    means = np.array([card.mean_score for card in router.experts])
    return np.clip(np.where(np.isnan(told), means[None, :], told), 0.0, 1.0)


def _seconds(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()


def _empty(experts: int, left_out: int) -> Judgements:
    no_rows, no_numbers = np.empty((0, experts)), np.empty(0)
    none = np.empty(0, dtype=np.intp)
    return Judgements(
        no_numbers, none, np.empty((0, 0), dtype=np.float32), no_rows, no_rows, no_numbers, no_rows,
        np.empty(0, dtype=bool), none, none, none, no_numbers, none, left_out=left_out,
    )  # fmt: skip
