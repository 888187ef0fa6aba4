"""A router learned again from its training data and the feedback, and what the gate needs to know of it.

Feedback is read anew from the store each time, so no judgement ever counts twice. A fifth of the judged instructions
(by hash, the same in every update) is held out of the fit, and with it every validation instruction. The fit knows no
weights: of the judgements of those who say more than their share, as many are left out, by hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dataset_build import ConfigError
from mixture_training.src.correction import Correction
from mixture_training.src.decisions import Judged
from mixture_training.src.feedback_store import ScoredInstruction
from mixture_training.src.gate import HeldOut, Traffic
from mixture_training.src.judgements import Judgements, read_judgements
from mixture_training.src.off_policy import FloatArray, IndexArray
from mixture_training.src.quick_update import choices, choices_of, empty_correction, traffic_of
from mixture_training.src.refitting import refit, share_of
from mixture_training.src.training_data import TrainingData

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: Share of the judged instructions that are compared on, not learned from.
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """The judged (instruction, expert) pairs of known experts whose text is kept.

    Attributes:
        learned: What the fit sees.
        held_out: What it does not.
        thinned: How many pairs were left out of both, because their users say more than their share.
    """

    learned: tuple[ScoredInstruction, ...]
    held_out: tuple[ScoredInstruction, ...]
    thinned: int = 0

    @property
    def pairs(self) -> tuple[ScoredInstruction, ...]:
        """All that are compared or learned from."""
        return self.learned + self.held_out


def split_feedback(
    rows: Sequence[ScoredInstruction], validation: TrainingData, judgements: Judgements, weights: FloatArray
) -> Split:
    """Return what is learned from and what is held out.

    Args:
        rows: Judged pairs of experts that the router knows.
        validation: Rows that are never learned from.
        judgements: The same feedback, one by one, by text.
        weights: How much each of those counts, (n,).
    """
    heard: dict[tuple[str, int], float] = {}
    for text, column, weight in zip(judgements.texts, judgements.columns.tolist(), weights.tolist(), strict=True):
        heard[text, column] = heard.get((text, column), 0.0) + weight
    column_of = {name: column for column, name in enumerate(validation.experts)}
    seen, learned, held_out = set(validation.texts), list[ScoredInstruction](), list[ScoredInstruction]()
    thinned = 0
    for row in rows:
        if heard.get((row.instruction, column_of[row.expert]), 1.0) <= share_of(f"{row.expert} {row.instruction}"):
            thinned += 1
        elif row.instruction in seen or share_of(row.instruction) < HELD_OUT_SHARE:
            held_out.append(row)
        else:
            learned.append(row)
    return Split(tuple(learned), tuple(held_out), thinned)


def check_texts(judged: Sequence[Judged], experts: Sequence[str]) -> None:
    """Raise where there is feedback, but no text to learn from.

    Raises:
        ConfigError: say what to do.
    """
    known = [one.decision for one in judged if one.decision.expert in experts]
    if known and not any(one.instruction for one in known):
        raise ConfigError(
            f"None of the {len(known)} judged decisions holds its text, which a full update learns from. Keep texts "
            "from now on (keep_texts), or update quickly: `moe update` without --full."
        )


@dataclass(frozen=True)
class Refit:
    """A router learned again.

    Attributes:
        router: Itself.
        held_out: The validation rows as the gate reads them; None where there are none.
        traffic: Judgements that were not learned from; None where there are none.
        quality: (old, new) scores of the chosen experts on the validation rows, NaN where unknown.
    """

    router: "Router"
    held_out: HeldOut | None
    traffic: Traffic | None
    quality: tuple[FloatArray, FloatArray] | None


def refitted(old: "Router", split: Split, judgements: Judgements, weights: FloatArray) -> Refit:
    """Return the router learned again, beside the old one on what it has not learned from.

    Args:
        old: The one in use.
        split: What to learn from.
        judgements: All feedback, one by one, by text.
        weights: How much each counts, (n,).
    """
    base = old.training_data()
    new = refit(old, base, split.learned)
    apart = {row.instruction for row in split.held_out}
    rows = np.array([text in apart for text in judgements.texts], dtype=bool)
    in_use, nothing = old.correction or empty_correction(old), empty_correction(new)
    traffic = None
    if rows.any():
        held = judgements.take(rows)
        renewed = predicted(new, held)
        traffic = traffic_of(
            held,
            weights[rows],
            (in_use.adjust(held.vectors, held.expected), choices_of(old, in_use, held)),
            (renewed[0], renewed[1]),
        )
    validation = base.split("validation")
    if not len(validation):
        return Refit(new, None, traffic, None)
    from mixture_training.src.metrics.references import pick
    from mixture_training.src.quick_update import validation_rows

    before, after = validation_rows(old), validation_rows(new)
    assert before is not None
    assert after is not None
    chosen = [
        choices(router, one, one.adjust(part.vectors, part.expected), part.costs, part.distances)
        for router, one, part in ((old, in_use, before), (new, nothing, after))
    ]
    return Refit(
        new,
        HeldOut(before.truth, before.expected, chosen[0], chosen[1], before.cells),
        traffic,
        (pick(before.truth, chosen[0]), pick(before.truth, chosen[1])),
    )


def predicted(router: "Router", judgements: Judgements) -> tuple[FloatArray, IndexArray]:
    """Return what a router without a correction expects of judged texts, (n, E), and chooses, (n,)."""
    different = tuple(dict.fromkeys(judgements.texts))
    row_of = {text: row for row, text in enumerate(different)}
    rows = np.array([row_of[text] for text in judgements.texts], dtype=np.intp)
    prediction = router.assurance.expect(router.classifier.predict(different))
    costs = router.costs.predict(different, prediction)
    chosen = choices(router, empty_correction(router), prediction.scores, costs, router.assurance.distances(prediction))
    return prediction.scores[rows], chosen[rows]


def evidence_of(router: "Router", judged: Sequence[Judged]) -> Traffic | None:
    """Return the judged decisions with a vector, which tell how experts have changed; None where there are none."""
    judgements = read_judgements(router, judged)
    if not len(judgements):
        return None
    correction: Correction = router.correction or empty_correction(router)
    expected = correction.adjust(judgements.vectors, judgements.expected)
    chosen = choices_of(router, correction, judgements)
    return traffic_of(judgements, judgements.influence().weights, (expected, chosen), (expected, chosen))
