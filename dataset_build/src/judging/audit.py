"""Whether judges can be trusted: what each said of canaries, of the same pair in both orders, and beside the others."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from dataset_build.src.judging.book import Opinion, VerdictBook
from dataset_build.src.judging.judges import Judge
from dataset_build.src.judging.questions import (
    Batch,
    Canary,
    Column,
    batches,
    canaries_of,
    settled_grade,
    texts_of,
)
from dataset_build.src.records import Instruction
from dataset_build.src.response_store import ResponseStore

#: A rubric judge that gives a canary this share of its scale fell for it, whatever it gives to others.
CANARY_SHARE = 0.3


@dataclass(slots=True)
class MemberAudit:
    """What one expert of a judge did.

    Attributes:
        verdicts: Readable verdicts on real answers.
        repaired: Those of them that came at the second attempt.
        without: Answers that it has no view of, by reason.
        canaries: Kind -> how many it judged.
        fallen: Kind -> how many it fell for.
        pairs: Pairs that it judged in both orders.
        inconsistent: Those of them where the order decided.
        first_wins: Verdicts for the answer shown first, ties as one half, of `2 * pairs`.
    """

    verdicts: int = 0
    repaired: int = 0
    without: Counter[str] = field(default_factory=Counter)
    canaries: Counter[str] = field(default_factory=Counter)
    fallen: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    inconsistent: int = 0
    first_wins: float = 0.0

    def add(self, opinion: Opinion) -> None:
        """Count an opinion of a real answer."""
        self.verdicts += opinion.verdicts
        self.repaired += opinion.repaired
        if opinion.value is None:
            self.without[opinion.problem or "no verdict"] += 1
        for one in opinion.comparisons:
            self.pairs += 1
            self.inconsistent += not one.is_consistent
            self.first_wins += one.shown_first + 1.0 - one.shown_second


@dataclass(slots=True)
class JudgeAudit:
    """What a judge did over a whole dataset.

    Attributes:
        members: Expert -> what it did.
        answers: Answers it was to judge.
        batches: In which it judged them.
        flagged: Answers in batches where at least one of its experts fell for a canary.
        shared: Answers that at least two of its experts judged.
        variance_sum: The sum of the variances between them.
    """

    judge: Judge
    members: dict[str, MemberAudit]
    answers: int = 0
    batches: int = 0
    flagged: int = 0
    shared: int = 0
    variance_sum: float = 0.0

    @property
    def disagreement(self) -> float | None:
        """The standard deviation between the experts' views of an answer, pooled; None with a single expert."""
        return math.sqrt(self.variance_sum / self.shared) if self.shared else None

    def facts(self) -> dict[str, Any]:
        """Return what `dataset.json` says of it."""
        judge = self.judge
        members = {
            member.short_name: {
                "config": member.config.model_dump(mode="json", exclude_none=True),
                "request": member.request,
                "verdicts": self.members[member.name].verdicts,
                "repaired": self.members[member.name].repaired,
                "without_verdict": dict(self.members[member.name].without),
                "canaries": dict(self.members[member.name].canaries),
                "fell_for": dict(self.members[member.name].fallen),
                **_order_facts(self.members[member.name]),
            }
            for member in judge.members
        }
        return {
            "version": judge.version,
            "mode": judge.config.mode,
            "rubric": judge.rubric,
            "answers": self.answers,
            "batches": self.batches,
            "flagged": self.flagged,
            "disagreement": self.disagreement,
            "experts": members,
        }

    def warnings(self) -> list[str]:
        """Return what a user should know before trusting the scores."""
        found = []
        for member in self.judge.members:
            one = self.members[member.name]
            who = f"judge {self.judge.name}: {member.short_name}"
            for kind, count in sorted(one.fallen.items()):
                found.append(
                    f"{who} fell for {count:,} of {one.canaries[kind]:,} canaries of the kind {kind!r}; the scores of "
                    "those batches are flagged in score_reason"
                )
            for reason, count in one.without.most_common():
                found.append(f"{who} has no verdict on {count:,} answers: {reason}")
            if one.pairs and one.inconsistent > one.pairs / 2:
                found.append(
                    f"{who} let the order decide in {one.inconsistent:,} of {one.pairs:,} pairs, which count as ties"
                )
        return found


def audit(
    judge: Judge, judged: Iterator[Instruction], columns: Sequence[Column], store: ResponseStore, book: VerdictBook
) -> JudgeAudit:
    """Go through what a judge said, and tell the book which scores to flag."""
    result = JudgeAudit(judge, {member.name: MemberAudit() for member in judge.members})
    flags: list[tuple[str, Mapping[str, Sequence[str]]]] = []
    for batch in batches(judge, judged, columns, store):
        fallen = _audit_batch(result, batch, book)
        flags.append((batch.first_id, fallen))
    book.flag(judge, flags)
    return result


def _audit_batch(result: JudgeAudit, batch: Batch, book: VerdictBook) -> dict[str, list[str]]:
    """Count a batch; return expert -> kinds of canaries that it fell for."""
    judge = result.judge
    views: dict[str, list[float]] = {member.name: [] for member in judge.members}
    texts = [(item[0], text) for item in batch.items for response in item[1].values() for text in texts_of(response)]
    for instruction, text in texts:
        if judge.is_pairwise or settled_grade(instruction, text) is None:
            _count(result, book.opinions(judge, instruction, text), views)
    fallen: dict[str, list[str]] = {}
    for canary in canaries_of(judge, batch):
        for opinion in _opinions_of_canary(judge, canary, book):
            if opinion.value is None:
                continue
            member = result.members[opinion.member.name]
            member.canaries[canary.kind] += 1
            if _fell(judge, opinion.value, views[opinion.member.name]):
                member.fallen[canary.kind] += 1
                fallen.setdefault(opinion.member.name, []).append(canary.kind)
    result.answers += len(texts)
    result.batches += 1
    result.flagged += len(texts) if fallen else 0
    return fallen


def _count(result: JudgeAudit, opinions: Sequence[Opinion], views: Mapping[str, list[float]]) -> None:
    known = [one.value for one in opinions if one.value is not None]
    if len(known) > 1:
        mean = sum(known) / len(known)
        result.shared += 1
        result.variance_sum += sum((value - mean) ** 2 for value in known) / (len(known) - 1)
    for one in opinions:
        result.members[one.member.name].add(one)
        if one.value is not None:
            views[one.member.name].append(one.value)


def _opinions_of_canary(judge: Judge, canary: Canary, book: VerdictBook) -> list[Opinion]:
    if not judge.is_pairwise:
        return book.opinions(judge, canary.instruction, canary.text)
    opinions = [Opinion(member) for member in judge.members]
    if canary.text == canary.opponent:
        return opinions
    for opinion in opinions:
        compared = book.compare(judge, opinion, canary.instruction, canary.text, canary.opponent)
        opinion.value = None if compared is None else compared.value
    return opinions


def _fell(judge: Judge, value: float, real: Sequence[float]) -> bool:
    """Return whether a judge fell for a canary.

    By rubric: it gave 30 % of the scale or more, or as much as the median real answer of the batch, unless that is the
    lowest grade itself. Pairwise: the canary did not lose.
    """
    if judge.is_pairwise:
        return value >= 0.5
    return value >= CANARY_SHARE or (value > 0.0 and bool(real) and value >= median(real))


def _order_facts(one: MemberAudit) -> dict[str, Any]:
    if not one.pairs:
        return {}
    share_first = one.first_wins / (2 * one.pairs)
    return {"pairs": one.pairs, "order_decided": one.inconsistent, "share_of_first": share_first}
