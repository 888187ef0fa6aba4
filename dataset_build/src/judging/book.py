"""The verdicts of all judges, read from the journal: from a response to its score."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataset_build.src.judging.judges import METRIC, Judge, Member
from dataset_build.src.judging.neutralising import is_cut
from dataset_build.src.judging.questions import (
    Column,
    Question,
    answers_of,
    opponents_of,
    question,
    repair_id,
    settled_comparison,
    settled_grade,
)
from dataset_build.src.judging.verdicts import UnreadableReplyError, Verdict, read_verdict
from dataset_build.src.records import Instruction, Response, Score
from dataset_build.src.response_store import ResponseStore
from dataset_build.src.scorers.answer_text import visible_answer


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge said of an answer and another, in both orders.

    Attributes:
        shown_first: 1 where the answer won when it was A, 0.5 for a tie, 0 where it lost.
        shown_second: The same when it was B.
    """

    shown_first: float
    shown_second: float

    @property
    def is_consistent(self) -> bool:
        """Whether the order made no difference."""
        return self.shown_first == self.shown_second

    @property
    def value(self) -> float:
        """The share of the win; a tie where the order decided."""
        return self.shown_first if self.is_consistent else 0.5


@dataclass(slots=True)
class Opinion:
    """What one expert of a judge thinks of one answer.

    Attributes:
        member: The expert.
        value: In [0, 1]; None where it gave no readable verdict.
        problem: Why not.
        comparisons: Of a pairwise judge, those that were asked.
        verdicts: Readable replies.
        repaired: Those of them that came at the second attempt.
    """

    member: Member
    value: float | None = None
    problem: str | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    verdicts: int = 0
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class _Flags:
    """From which instruction on which experts are not to be trusted, by batch."""

    first_ids: list[bytes]
    fallen: list[Mapping[str, Sequence[str]]]


class VerdictBook:
    """What judges said of the responses in a journal.

    Args:
        store: The journal.
        columns: The experts of the dataset.
    """

    def __init__(self, store: ResponseStore, columns: Sequence[Column]) -> None:
        self._store = store
        self._columns = columns
        self._answers: tuple[str, dict[str, Response]] = ("", {})
        self._flags: dict[str, _Flags] = {}

    def score(self, judge: Judge, instruction: Instruction, text: str) -> Score:
        """Return the mean of what the judge's experts think of an answer; null with the reason where none has a view.

        Beside a score, the reason tells what lessens it: an expert that fell for a canary, a part that was not shown.
        """
        if not judge.is_pairwise and settled_grade(instruction, text) == 0.0:
            return Score(0.0, METRIC)
        opinions = self.opinions(judge, instruction, text)
        values = [one.value for one in opinions if one.value is not None]
        if not values:
            problems = dict.fromkeys(f"{one.member.short_name}: {one.problem}" for one in opinions)
            return Score(None, METRIC, f"no verdict ({'; '.join(problems)})")
        remarks = []
        fallen = self.fallen(judge, instruction)
        for one in opinions:
            if one.value is not None and one.member.name in fallen:
                kinds = ", ".join(fallen[one.member.name])
                remarks.append(f"flagged: {one.member.short_name} fell for the canary ({kinds})")
        if is_cut(visible_answer(text), judge.config.most_characters):
            remarks.append(f"the judge saw at most {judge.config.most_characters:,} characters")
        return Score(sum(values) / len(values), METRIC, "; ".join(remarks) or None)

    def opinions(self, judge: Judge, instruction: Instruction, text: str) -> list[Opinion]:
        """Return what each expert of a judge thinks of an answer, which is one of those in the journal."""
        if not judge.is_pairwise:
            one = question(judge, instruction, text)
            replies = self._store.of_instruction(one.id)
            return [self._graded(judge, member, one, replies) for member in judge.members]
        opinions = [Opinion(member) for member in judge.members]
        others = opponents_of(judge, text, self.answers(instruction))
        shares: list[list[float]] = [[] for _ in opinions]
        for other in others:
            settled = settled_comparison(instruction, text, other)
            for opinion, known in zip(opinions, shares, strict=True):
                if settled is not None:
                    known.append(settled)
                elif compared := self.compare(judge, opinion, instruction, text, other):
                    known.append(compared.value)
        for opinion, known in zip(opinions, shares, strict=True):
            if known:
                opinion.value = sum(known) / len(known)
            elif not others:
                opinion.value, opinion.problem = self._unopposed(judge, instruction)
        return opinions

    def compare(
        self, judge: Judge, opinion: Opinion, instruction: Instruction, text: str, other: str
    ) -> Comparison | None:
        """Return what an expert said of two answers in both orders, noted in its opinion; None where one is missing."""
        found = []
        for one in (question(judge, instruction, text, other), question(judge, instruction, other, text)):
            found.append(self._verdict(judge, opinion, one, self._store.of_instruction(one.id)))
        first, second = found
        if first is None or second is None:
            return None
        comparison = Comparison(first.value, 1.0 - second.value)
        opinion.comparisons.append(comparison)
        return comparison

    def answers(self, instruction: Instruction) -> dict[str, Response]:
        """Return expert -> response of those that answered; the latest instruction's are remembered."""
        if self._answers[0] != instruction.id:
            self._answers = (instruction.id, answers_of(instruction, self._columns, self._store))
        return self._answers[1]

    def flag(self, judge: Judge, batches: Sequence[tuple[str, Mapping[str, Sequence[str]]]]) -> None:
        """Remember which experts fell for which canaries.

        Args:
            judge: Theirs.
            batches: The first id of every batch, in order, with expert -> kinds of canaries.
        """
        first_ids = [_key(first_id) for first_id, _ in batches]
        self._flags[judge.name] = _Flags(first_ids, [fallen for _, fallen in batches])

    def fallen(self, judge: Judge, instruction: Instruction) -> Mapping[str, Sequence[str]]:
        """Return expert -> canaries that it fell for in the batch of an instruction."""
        flags = self._flags.get(judge.name)
        place = bisect_right(flags.first_ids, _key(instruction.id)) if flags is not None else 0
        return flags.fallen[place - 1] if flags is not None and place else {}

    def _graded(
        self, judge: Judge, member: Member, one: Question, replies: Mapping[tuple[str, str], Response]
    ) -> Opinion:
        opinion = Opinion(member)
        verdict = self._verdict(judge, opinion, one, replies)
        if verdict is not None:
            opinion.value = verdict.value
        return opinion

    def _verdict(
        self, judge: Judge, opinion: Opinion, one: Question, replies: Mapping[tuple[str, str], Response]
    ) -> Verdict | None:
        member = opinion.member
        reply = replies.get((member.name, member.request))
        if reply is None or reply.text is None:
            opinion.problem = "not asked" if reply is None else f"failed call, {reply.error_kind}"
            return None
        try:
            verdict = read_verdict(reply.text, judge.config, is_cut=reply.finish_reason == "length")
        except UnreadableReplyError as first_problem:
            second = self._store.of_instruction(repair_id(one.id, member.name)).get((member.name, member.request))
            try:
                if second is None or second.text is None:
                    raise first_problem
                verdict = read_verdict(second.text, judge.config, is_cut=second.finish_reason == "length")
            except UnreadableReplyError as problem:
                opinion.problem = f"unreadable reply, {problem}"
                return None
            opinion.repaired += 1
        opinion.verdicts += 1
        return verdict

    def _unopposed(self, judge: Judge, instruction: Instruction) -> tuple[float | None, str | None]:
        """Return the view of an answer that meets no other: the baseline is as good as itself."""
        if judge.config.baseline in self.answers(instruction):
            return 0.5, None
        return None, "there is no other answer to compare with"


def _key(instruction_id: str) -> bytes:
    return instruction_id.encode("utf-8", "surrogatepass")
