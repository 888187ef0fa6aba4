"""Judged decisions as arrays: what quick learning and the gate read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.decisions import Decision, Judged
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
        texts: The instructions; empty where they were not asked for.
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
    texts: tuple[str, ...] = ()
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
        for name in ("versions", "texts"):
            parts[name] = tuple(parts[name][row] for row in picked.tolist()) if parts[name] else ()
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


def read_judgements(router: "Router", judged: Sequence[Judged], *, by_text: bool = False) -> Judgements:
    """Return judgements as arrays, ordered by when they were given.

    Left out are those of experts that the router does not know, and, counted, those without what it is to read.

    Args:
        router: The router in use, with or without a correction.
        judged: As the store gives them.
        by_text: Whether the texts are read, which are kept only where that was asked for, or else the vectors.
    """
    known = [one for one in judged if one.decision.expert in router.expert_names]
    usable = [one for one in known if one.decision.instruction] if by_text else _with_vectors(router, known)
    if not usable:
        return _empty(len(router.experts), len(known))
    usable.sort(key=lambda one: one.feedback.created)
    decisions = [one.decision for one in usable]
    n, every = len(usable), np.arange(len(usable))
    column_of = {name: column for column, name in enumerate(router.expert_names)}
    columns = np.array([column_of[one.expert or ""] for one in decisions], dtype=np.intp)
    propensities = np.array([_chances(one, router.expert_names) for one in decisions])
    texts = tuple(one.instruction or "" for one in decisions) if by_text else ()
    seen = _by_text(router, texts) if by_text else _by_vectors(router, decisions)
    first = np.array([not one.attempts or one.attempts[0].expert == one.expert for one in decisions], dtype=bool)
    by_name = np.array([one.policy == _BY_NAME for one in decisions], dtype=bool)
    hashes = list(texts) or [one.features_hash or one.id for one in decisions]
    _, instructions = np.unique(np.array(hashes), return_inverse=True)
    who = [one.feedback.user or (f"key {one.decision.key_id}" if one.decision.key_id else "") for one in usable]
    names = tuple(sorted(set(who) - {""}))
    number = {name: index for index, name in enumerate(names)}
    return Judgements(
        scores=np.array([one.score for one in usable]),
        columns=columns,
        vectors=seen.vectors,
        expected=seen.expected,
        costs=seen.costs,
        novelty=seen.novelty,
        propensities=propensities,
        is_drawn=first & ~by_name & (np.nan_to_num(propensities[every, columns]) > 0.0),
        users=np.array([number.get(name, OPERATOR) for name in who], dtype=np.intp),
        instructions=instructions.astype(np.intp),
        folds=np.array([fold_of(one) for one in hashes], dtype=np.intp),
        moments=np.array([datetime.fromisoformat(one.feedback.created).timestamp() for one in usable]),
        cells=category_cells([one.category for one in decisions], router.classifier.category_names_),
        versions=tuple(one.router_version for one in decisions),
        texts=texts,
        names=names,
        left_out=len(known) - n,
    )


@dataclass(frozen=True)
class _Seen:
    """What the router makes of instructions: vectors, scores without a correction, costs, novelty."""

    vectors: npt.NDArray[np.float32]
    expected: FloatArray
    costs: FloatArray
    novelty: FloatArray


def _with_vectors(router: "Router", judged: Sequence[Judged]) -> list[Judged]:
    """Return those whose decision kept a vector as wide as the router reads them."""
    width = _width(router)
    return [one for one in judged if one.decision.features is not None and len(one.decision.features) == width]


def _width(router: "Router") -> int | None:
    """Return the bytes of a vector that the router reads; None where it reads none."""
    vectors = router.classifier.vectors_of(["?"])
    return None if vectors is None else 2 * int(vectors.shape[1])


def vectors_in(router: "Router", decisions: Sequence[Decision]) -> tuple[npt.NDArray[np.float32], list[Decision]]:
    """Return the vectors, (n, d), of the decisions that kept one the router reads, and those n decisions."""
    width = _width(router)
    kept = [one for one in decisions if one.features is not None and len(one.features) == width]
    return _vectors(kept), kept


def _vectors(decisions: Sequence[Decision]) -> npt.NDArray[np.float32]:
    """Return the vectors of decisions that kept equally long ones, (n, d)."""
    read = np.frombuffer(b"".join(one.features or b"" for one in decisions), dtype="<f2")
    return np.nan_to_num(read.reshape(len(decisions), -1).astype(np.float32)) if decisions else np.empty((0, 0), "f4")


def _chances(decision: Decision, experts: Sequence[str]) -> list[float]:
    """Return the propensity of each expert; NaN where none were kept."""
    if not decision.propensities:
        return [float("nan")] * len(experts)
    return [float(decision.propensities.get(name, 0.0)) for name in experts]


def _by_vectors(router: "Router", decisions: Sequence[Decision]) -> _Seen:
    """Return what the router makes of the vectors that were kept, (n, …).

    Where the classifier reads more than the vector, the receipts tell what it expected, the correction in use taken off
    again; the experts' means where they tell nothing. Costs are those of the receipts.
    """
    from mixture_training.src.vector_classifier import VectorClassifier

    n = len(decisions)
    vectors = _vectors(decisions)
    column_of = {name: column for column, name in enumerate(router.expert_names)}
    told, costs = (np.full((n, len(column_of)), np.nan) for _ in range(2))
    novelty = np.full(n, np.nan)
    for row, decision in enumerate(decisions):
        for option in decision.receipt.get("options", ()):
            if option["expert"] in column_of:
                told[row, column_of[option["expert"]]] = option["expected_score"]
                costs[row, column_of[option["expert"]]] = option["expected_cost"]
        beyond = decision.receipt.get("novelty")
        novelty[row] = np.nan if beyond is None else beyond
    costs = np.where(np.isnan(costs), router.costs.overall[None, :], costs)
    if isinstance(router.classifier, VectorClassifier):
        prediction = router.assurance.expect(router.classifier.predict_vectors(vectors))
        distances = router.assurance.distances(prediction)
        return _Seen(vectors, prediction.scores, costs, novelty if distances is None else distances)
    if router.correction is not None:
        middle = np.full(told.shape, 0.5)
        told = told - (router.correction.adjust(vectors, middle) - middle)
    means = np.array([card.mean_score for card in router.experts])
    return _Seen(vectors, np.clip(np.where(np.isnan(told), means[None, :], told), 0.0, 1.0), costs, novelty)


def _by_text(router: "Router", texts: Sequence[str]) -> _Seen:
    """Return what the router makes of the texts, each of them read once, (n, …)."""
    different = tuple(dict.fromkeys(texts))
    row_of = {text: row for row, text in enumerate(different)}
    rows = np.array([row_of[text] for text in texts], dtype=np.intp)
    prediction = router.assurance.expect(router.classifier.predict(different))
    distances = router.assurance.distances(prediction)
    vectors = prediction.vectors if prediction.vectors is not None else np.empty((len(different), 0), dtype=np.float32)
    return _Seen(
        vectors[rows],
        prediction.scores[rows],
        router.costs.predict(different, prediction)[rows],
        np.full(len(rows), np.nan) if distances is None else distances[rows],
    )


def fold_of(text: str) -> int:
    """Return the part, from 0, that an instruction belongs to, by this text or hash of it alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) * FOLDS >> 64


def _empty(experts: int, left_out: int) -> Judgements:
    no_rows, no_numbers = np.empty((0, experts)), np.empty(0)
    none = np.empty(0, dtype=np.intp)
    return Judgements(
        no_numbers, none, np.empty((0, 0), dtype=np.float32), no_rows, no_rows, no_numbers, no_rows,
        np.empty(0, dtype=bool), none, none, none, no_numbers, none, left_out=left_out,
    )  # fmt: skip
