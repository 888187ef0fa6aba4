"""What asking the judges may cost, said before there is anything to judge."""

from dataclasses import replace

from dataset_build.src.budget import at_most_usd
from dataset_build.src.experts.base import Expert
from dataset_build.src.judging.asking import Judged
from dataset_build.src.judging.config import ALL
from dataset_build.src.judging.judges import Judge
from dataset_build.src.judging.prompts import question_prompt
from dataset_build.src.judging.questions import answers_of, questions_of, texts_of
from dataset_build.src.planning import ExpertPlan
from dataset_build.src.records import Instruction, Response

#: Canaries of a batch.
CANARIES = 3
#: Bytes a character of an answer that is not there yet has at most: as much as a token of it.
MOST_BYTES = 4


def plan_judging(judged: Judged, *, timeout_s: float) -> list[ExpertPlan]:
    """Return what every expert of every judge would be asked, and what that may cost.

    An answer that is not there yet is taken for as long as a judge is shown one, and a judge's every reply for one
    that has to be asked for again; so the upper bound is far above what it will be.
    """
    return [one for judge in judged.panel.judges.values() for one in _plan(judge, judged, timeout_s)]


def _plan(judge: Judge, judged: Judged, timeout_s: float) -> list[ExpertPlan]:
    experts = judge.load_experts()
    plans = [ExpertPlan(expert.name) for expert in experts]
    answers = 0
    dearest: list[float | None] = [0.0] * len(experts)
    for instruction in judged.of(judge):
        known = answers_of(instruction, judged.columns, judged.store)
        unknown = len(judged.columns) - len(known)
        answers += unknown + sum(len(texts_of(response)) for response in known.values())
        ids = list({one.id for one in questions_of(judge, instruction, known)})
        calls = _calls(judge, known, unknown)
        bare = replace(instruction, text=_bare(judge, instruction))
        for number, (plan, member) in enumerate(zip(plans, judge.members, strict=True)):
            done = len(judged.store.answered_among(ids, member.name, member.request)) if ids else 0
            each = _bound(experts[number], judge, bare, timeout_s)
            least = max(dearest[number] or 0.0, each or 0.0)
            dearest[number] = None if each is None or dearest[number] is None else least
            _add(plan, experts[number], bare, done, len(ids) - done + calls, each)
    canaries = CANARIES * -(-answers // judge.config.canary_batch) * (2 if judge.is_pairwise else 1)
    for plan, most in zip(plans, dearest, strict=True):
        plan.to_ask += canaries if answers else 0
        plan.most_usd = None if most is None or plan.most_usd is None else plan.most_usd + canaries * most
    return plans


def _add(plan: ExpertPlan, expert: Expert, bare: Instruction, done: int, to_ask: int, each: float | None) -> None:
    tokens = expert.estimate(bare).prompt_tokens * to_ask
    plan.reused += done
    plan.to_ask += to_ask
    plan.prompt_tokens += tokens
    plan.least_usd += expert.price.of_tokens(tokens, 0)
    plan.most_usd = None if each is None or plan.most_usd is None else plan.most_usd + each * to_ask


def _calls(judge: Judge, known: dict[str, Response], unknown: int) -> int:
    """Return how many questions the answers that are not there yet add."""
    if not judge.is_pairwise:
        return unknown
    if judge.config.baseline == ALL:
        total = len(known) + unknown
        return total * (total - 1) - len(known) * (len(known) - 1)
    return 2 * unknown if judge.config.baseline in known else 2 * (len(known) + unknown - 1)


def _bare(judge: Judge, instruction: Instruction) -> str:
    """Return the prompt about answers that have no text."""
    answers = ("", "") if judge.is_pairwise else ("",)
    return question_prompt(judge.config, judge.rubric, instruction, answers, "0" * 16)


def _bound(expert: Expert, judge: Judge, bare: Instruction, timeout_s: float) -> float | None:
    """Return the most that one question may cost, the one that repairs its reply included."""
    answers = 2 if judge.is_pairwise else 1
    longest = "x" * (judge.config.most_characters * MOST_BYTES * answers)
    most = at_most_usd(expert, replace(bare, text=bare.text + longest), expert.timeout_s or timeout_s)
    return None if most is None else 2.5 * most
