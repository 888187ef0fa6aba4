"""What an evaluation comes to, in sentences: the headline, a verdict a method, cautions, diagnostics."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.reporting.formats import cost_unit, number, share, share_with_interval, with_interval

#: Fewer instructions than this get a caution.
_FEW = 30
#: The policy that gives up no score for money.
_BY_QUALITY = "quality"
#: A method that sends one expert more than this share does not route.
_ALL = 0.99
#: The share of errors that is accepted where "better" is claimed of several methods.
_SIGNIFICANT = 0.05

Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Verdict:
    """A sentence about one thing.

    Attributes:
        about: The method or the check.
        text: Whole sentences.
        tone: Whether it is good news.
    """

    about: str
    text: str
    tone: Tone


def title(result: EvaluationResult) -> str:
    """Return what was judged, on what, and how."""
    return f"{result.dataset}: {result.instructions:,} instructions of split {result.split}, policy {result.policy}"


def headline_method(result: EvaluationResult) -> str | None:
    """Return the method the headline is about: `auto`, or else the one with the highest mean score."""
    if not result.methods or "auto" in result.methods:
        return "auto" if result.methods else None

    def quality(name: str) -> float:
        value = result.methods[name].quality.value
        return -math.inf if math.isnan(value) else value

    return max(result.methods, key=quality)


def headline(result: EvaluationResult) -> Verdict:
    """Return what routing gains over always asking the best single expert, and what it saves at equal quality."""
    name = headline_method(result)
    best = result.references["best_single"].quality
    if name is None:
        return Verdict("", _without_methods(result), "open")
    entry = result.methods[name]
    gain = entry.vs_best_single
    if math.isnan(gain.value):
        text = f"{name} cannot be compared with always asking {result.best_single}: no row has a score of both."
        return Verdict(name, text, "open")
    text = (
        f"{name} {_word(gain)} always asking {result.best_single}: mean score {number(entry.quality.value)} against "
        f"{number(best.value)}, a difference of {with_interval(gain, sign='+')}"
    )
    text += f"{_taken_back(result, entry)}{_saving(result, entry)}."
    if result.instructions < _FEW:
        return Verdict(name, f"On {result.instructions} instructions, too few to tell: {text}", "open")
    if result.policy != _BY_QUALITY:
        return Verdict(name, f"{text}{_price(result, entry)}", "good" if gain.low > 0 else "open")
    return Verdict(name, f"{text}{_price(result, entry)}", "open" if _taken_back(result, entry) else _tone(gain))


def verdicts(result: EvaluationResult) -> Iterator[Verdict]:
    """Yield one sentence a method: what it gains over the best single expert, with intervals."""
    for name, entry in result.methods.items():
        gain, gap = entry.vs_best_single, entry.gap_closed
        if math.isnan(gain.value):
            continue
        text = f"{name} {_word(gain)} always asking {result.best_single}: {with_interval(gain, sign='+')}"
        if not math.isnan(gap.value):
            text += f", {share_with_interval(gap)} of the way to the oracle"
        mixing = entry.aiq_versus.get("zero_router")
        if mixing is not None and math.isfinite(mixing.value):
            word = _word(mixing).removeprefix("is ")
            text += f"; along the cost curve {word} mixing single experts: AIQ {with_interval(mixing, sign='+')}"
        back = _taken_back(result, entry)
        yield Verdict(name, f"{text}{back}.", "open" if back else _tone(gain))


def cautions(result: EvaluationResult) -> Iterator[str]:
    """Yield what keeps the figures from meaning what they seem to."""
    if result.instructions < _FEW:
        yield f"{result.instructions} instructions are too few; intervals from so few rows are too narrow."
    for name, entry in result.methods.items():
        if entry.unscored:
            yield (
                f"{name} chose an expert without a score for {entry.unscored} of {result.instructions} "
                "instructions; its mean leaves them out and does not compare with the others."
            )
    chosen = headline_method(result)
    if len(result.methods) > 1 and chosen != "auto":
        yield (
            f"{chosen} is the best of {len(result.methods)} methods on these very rows, which flatters it; "
            "choose between methods on the validation split."
        )
    for name, entry in result.methods.items():
        most = max(entry.share, key=lambda expert: entry.share[expert], default=None)
        if most is not None and entry.share[most] > _ALL and len(result.experts) > 1:
            yield f"{name} sends {share(entry.share[most])} of the instructions to {most}: it hardly routes."
    yield from result.cautions


def diagnostics(result: EvaluationResult) -> Iterator[Verdict]:
    """Yield what the checks of the data and of the method found."""
    found = result.diagnostics
    if found is None:
        return
    method = found.method or "the method"
    if found.duplicates is not None:
        yield _duplicates(found.duplicates.exact, found.duplicates.near, found.duplicates.judged)
    if found.shuffled is not None:
        gain = with_interval(found.shuffled.vs_best_single, sign="+")
        text = f"Fitted to scores dealt to other instructions, {method} reaches {gain} against {result.best_single}"
        if found.leaks:
            yield Verdict("Shuffled-label control", f"{text}. Only a LEAK from test to train explains a gain.", "bad")
        else:
            yield Verdict("Shuffled-label control", f"{text}: no leak.", "good")
    if found.category_only is not None:
        yield _category_only(method, found.category_only, found.category_share)
    if len(found.learning_curve) > 1:
        yield _learning(result)
    if found.left_out:
        yield _left_out(result)


def repeats(result: EvaluationResult) -> Iterator[Verdict]:
    """Yield what repeated splits say of each method."""
    for name, entry in result.methods.items():
        spread = entry.repeated.get("vs_best_single")
        if spread is not None:
            interval = Interval(spread.mean, spread.low, spread.high)
            text = f"Over {spread.splits} further splits: {with_interval(interval, sign='+')} against the best single."
            yield Verdict(name, text, _tone(interval))


def _without_methods(result: EvaluationResult) -> str:
    best, ideal = result.references["best_single"].quality.value, result.references["oracle"].quality.value
    return (
        f"No method was judged. Always asking {result.best_single} reaches {number(best)}, the best choice every time "
        f"{number(ideal)}: routing could gain up to {number(ideal - best)}."
    )


def _taken_back(result: EvaluationResult, entry: Result) -> str:
    """Return what correcting for the number of methods takes back of a gain that the interval shows."""
    if entry.vs_best_single.low > 0 and entry.p_holm > _SIGNIFICANT:
        return f"; not so after correction for {len(result.methods)} methods compared (Holm, p = {entry.p_holm:.2f})"
    return ""


def _saving(result: EvaluationResult, entry: Result) -> str:
    """Return what the same quality costs, if costs are known and it is reached."""
    saving = entry.cost_saving
    if not math.isfinite(saving):
        return ""
    found = entry.intervals.get("cost_saving", Interval(saving, math.nan, math.nan))
    if found.low <= 0 <= found.high:
        return f"; that it would cost less at equal quality is not shown, {share_with_interval(found)}"
    told = share_with_interval(found if saving >= 0 else Interval(-saving, -found.high, -found.low))
    return f"; set to the quality of {result.best_single} it would cost {told} {'less' if saving >= 0 else 'MORE'}"


def _price(result: EvaluationResult, entry: Result) -> str:
    """Return what is paid under the policy that was judged, beside what the best single expert costs."""
    unit, best = cost_unit(result), result.references["best_single"].cost
    if not math.isfinite(entry.cost + best):
        return ""
    return f" Under {result.policy} it pays {unit.tell(entry.cost)} {unit.phrase} instead of {unit.tell(best)}."


def _word(gain: Interval) -> str:
    if gain.low > 0:
        return "is better than"
    return "is WORSE than" if gain.high < 0 else "is not shown to differ from"


def _tone(gain: Interval) -> Tone:
    if gain.low > 0:
        return "good"
    return "bad" if gain.high < 0 else "open"


def _duplicates(exact: int, near: int, judged: int) -> Verdict:
    if not near:
        return Verdict(
            "Duplicates", f"None of the {judged:,} judged instructions is in train: nothing to copy.", "good"
        )
    part = share(near / max(judged, 1))
    text = (
        f"{near:,} of {judged:,} judged instructions ({part}) are in train or nearly so, {exact:,} of them word for "
        "word; what is reached on them may be remembered."
    )
    return Verdict("Duplicates", text, "bad" if near > judged / 100 else "open")


def _category_only(method: str, entry: Result, part: float) -> Verdict:
    text = f"A router that knows the category and nothing else reaches {with_interval(entry.vs_best_single, sign='+')}"
    if math.isnan(part):
        return Verdict("Category only", f"{text} against best single.", "open")
    if part >= 0.9:
        how = "better" if part > 1.0 else "nearly as well"
        end = f"{share(part)} of the gain of {method}: a table of categories would do {how}."
        return Verdict("Category only", f"{text}, {end}", "open")
    end = f"{share(max(part, 0.0))} of the gain of {method}: the rest comes from the instruction itself."
    return Verdict("Category only", f"{text}, {end}", "good")


def _learning(result: EvaluationResult) -> Verdict:
    assert result.diagnostics is not None
    points = result.diagnostics.learning_curve
    last = points[-1]
    half = min(points[:-1], key=lambda point: abs(point.instructions - last.instructions / 2))
    rise = last.quality.value - half.quality.value
    text = f"From {half.instructions:,} to {last.instructions:,} train instructions the mean score went {rise:+.3f}"
    if last.quality.value > half.quality.high:
        return Verdict("Learning curve", f"{text}: still rising, more rows would help.", "open")
    if last.quality.value < half.quality.low:
        return Verdict("Learning curve", f"{text}: it FELL with more rows, look at how the data is ordered.", "bad")
    return Verdict("Learning curve", f"{text}, within its interval: more rows alone will not change much.", "good")


def _left_out(result: EvaluationResult) -> Verdict:
    assert result.diagnostics is not None
    found = result.diagnostics.left_out
    worse = [name for name, one in found.items() if one.vs_best_single.high < 0]
    better = [name for name, one in found.items() if one.vs_best_single.low > 0]
    text = f"On a category that train never showed, it is better than best single in {len(better)} of {len(found)}"
    if worse:
        return Verdict("Unseen categories", f"{text} and WORSE in {len(worse)}: {', '.join(worse)}.", "bad")
    return Verdict("Unseen categories", f"{text} and worse in none.", "good")
