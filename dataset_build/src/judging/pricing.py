"""What asking the judges may cost, said before there is anything to judge."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dataset_build.src.budget import at_most_usd
from dataset_build.src.experts.base import Expert
from dataset_build.src.judging.asking import Judged
from dataset_build.src.judging.config import ALL
from dataset_build.src.judging.judges import Judge
from dataset_build.src.judging.prompts import question_prompt
from dataset_build.src.judging.questions import answers_of, prompt_of, questions_of, texts_of
from dataset_build.src.planning import ExpertPlan
from dataset_build.src.records import Instruction, Response

#: Canaries of a batch.
CANARIES = 3
#: Bytes a character of an answer that is not there yet has at most: as much as a token of it.
MOST_BYTES = 4
#: As long as the random text that fences are made of.
NONCE = "0" * 32


def plan_judging(judged: Judged, experts: Sequence[Expert], *, timeout_s: float) -> list[ExpertPlan]:
    """Return what every expert of every judge would be asked, and what that may cost.

    An answer that is not there yet is taken for as long as its expert may write and a judge is shown, and a judge's
    every reply for one that has to be asked for again; so the upper bound is above what it will be.

    Args:
        judged: What there is to judge, and the judges.
        experts: Who is asked for the answers that are not there yet.
        timeout_s: Seconds one call may take.
    """
    return [one for judge in judged.panel.judges.values() for one in _plan(judge, judged, experts, timeout_s)]


def _plan(judge: Judge, judged: Judged, answering: Sequence[Expert], timeout_s: float) -> list[ExpertPlan]:
    experts = judge.load_experts()
    plans = [ExpertPlan(expert.name) for expert in experts]
    answers = 0
    dearest: list[float | None] = [0.0] * len(experts)
    for instruction in judged.of(judge):
        known = answers_of(instruction, judged.columns, judged.store)
        unknown = [expert for expert in answering if expert.name not in known]
        answers += len(unknown) + sum(len(texts_of(response)) for response in known.values())
        questions = {one.id: one for one in questions_of(judge, instruction, known)}
        bare = replace(instruction, text=_bare(judge, instruction))
        longest = replace(bare, text=bare.text + "x" * _most_bytes(judge, instruction, known, unknown))
        later = _calls(judge, known, len(unknown))
        for number, (plan, member) in enumerate(zip(plans, judge.members, strict=True)):
            expert = experts[number]
            done = judged.store.answered_among(list(questions), member.name, member.request) if questions else set()
            plan.reused += len(done)
            now = [
                replace(bare, text=prompt_of(judge, one, NONCE)) for key, one in questions.items() if key not in done
            ]
            for prompt, most, count in [*((one, one, 1) for one in now), (bare, longest, later)]:
                each = _bound(expert, most, timeout_s)
                dearest[number] = _larger(dearest[number], each)
                _add(plan, expert, prompt, count, each)
    canaries = CANARIES * -(-answers // judge.config.canary_batch) * (2 if judge.is_pairwise else 1)
    for plan, usd in zip(plans, dearest, strict=True):
        plan.to_ask += canaries if answers else 0
        plan.most_usd = None if usd is None or plan.most_usd is None else plan.most_usd + canaries * usd
    return plans


def _add(plan: ExpertPlan, expert: Expert, prompt: Instruction, count: int, each: float | None) -> None:
    tokens = expert.estimate(prompt).prompt_tokens * count
    plan.to_ask += count
    plan.prompt_tokens += tokens
    plan.least_usd += expert.price.of_tokens(tokens, 0)
    if count:
        plan.most_usd = None if each is None or plan.most_usd is None else plan.most_usd + each * count


def _larger(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else max(first, second)


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


def _most_bytes(
    judge: Judge, instruction: Instruction, known: Mapping[str, Response], unknown: Sequence[Expert]
) -> int:
    """Return how much a question holds beside its form, where an answer that is not there yet is in it."""
    shown = judge.config.most_characters * MOST_BYTES
    sizes = [len(text.encode("utf-8", "surrogatepass")) for one in known.values() for text in texts_of(one)]
    for expert in unknown:
        tokens = expert.estimate(instruction).most_completion_tokens
        sizes.append(shown if tokens is None else tokens * MOST_BYTES)
    return min(shown, max(sizes, default=0)) * (2 if judge.is_pairwise else 1)


def _bound(expert: Expert, prompt: Instruction, timeout_s: float) -> float | None:
    """Return the most that one question may cost, the one that repairs its reply included."""
    most = at_most_usd(expert, prompt, expert.timeout_s or timeout_s)
    return None if most is None else 2.5 * most
