"""What a build would ask and what that may cost, said before the first call."""

from collections.abc import Sequence
from dataclasses import dataclass

from dataset_build.src.budget import at_most_usd
from dataset_build.src.experts.base import BatchExpert, Expert, ToolExpert
from dataset_build.src.instruction_store import PAGE, InstructionStore
from dataset_build.src.response_store import ResponseStore, request_key
from dataset_build.src.workers import available_cores


@dataclass(slots=True)
class ExpertPlan:
    """What one expert would be asked.

    Attributes:
        name: The expert.
        reused: Answers that are there already.
        to_ask: Calls to make.
        failed_before: Those of them that failed in an earlier run.
        prompt_tokens: Tokens that the calls would read, as well as can be told.
        least_usd: What reading alone costs.
        likely_usd: The whole cost by the mean of the answers that are there; None where there is none.
        most_usd: The most it can cost: every answer as long as allowed, every call as long as its deadline where time
            is priced. None where nothing bounds it.
    """

    name: str
    reused: int = 0
    to_ask: int = 0
    failed_before: int = 0
    prompt_tokens: int = 0
    least_usd: float = 0.0
    likely_usd: float | None = None
    most_usd: float | None = 0.0


@dataclass(frozen=True)
class BuildPlan:
    """What a build would do.

    Attributes:
        instructions: How many there are.
        experts: What each would be asked.
        spent_usd: What earlier runs of the same build spent.
        lost_usd: The part of it that calls may have cost which were in flight when a run ended.
        renamed: Instructions that a continued dataset has from a source of another name.
        inherited: Instructions that take over the answers it has to the same text with another reference.
    """

    instructions: int
    experts: list[ExpertPlan]
    spent_usd: float = 0.0
    lost_usd: float = 0.0
    renamed: int = 0
    inherited: int = 0

    @property
    def most_usd(self) -> float | None:
        """The most the whole can cost; None where nothing bounds it."""
        bounds = [expert.most_usd for expert in self.experts]
        return None if None in bounds else sum(bound or 0.0 for bound in bounds)


def make_plan(
    instructions: InstructionStore, experts: Sequence[Expert], store: ResponseStore | None, *, timeout_s: float
) -> BuildPlan:
    """Return what is left to ask.

    Args:
        instructions: What to ask.
        experts: Whom to ask.
        store: The journal of earlier runs; None where there is none.
        timeout_s: Seconds one call may take.
    """
    plans = [_plan(expert, instructions, store, timeout_s) for expert in experts]
    if store is None:
        return BuildPlan(len(instructions), plans)
    return BuildPlan(len(instructions), plans, store.spent_usd, store.lost_usd)


def _plan(expert: Expert, instructions: InstructionStore, store: ResponseStore | None, timeout_s: float) -> ExpertPlan:
    plan = ExpertPlan(expert.name)
    request = request_key(expert)
    price = expert.price
    has_tokens = not isinstance(expert, ToolExpert)
    cores = available_cores() if isinstance(expert, BatchExpert) else 1
    for page in instructions.pages(PAGE):
        ids = [instruction.id for instruction in page]
        done = set() if store is None else store.answered_among(ids, expert.name, request)
        failed = {} if store is None else store.errors_among(ids, expert.name, request)
        plan.reused += len(done)
        for instruction in page:
            if instruction.id in done:
                continue
            plan.to_ask += 1
            plan.failed_before += instruction.id in failed
            if has_tokens:
                tokens = expert.estimate(instruction).prompt_tokens
                plan.prompt_tokens += tokens
                plan.least_usd += price.of_tokens(tokens, 0)
            bound = at_most_usd(expert, instruction, expert.timeout_s or timeout_s, cores)
            plan.most_usd = None if bound is None or plan.most_usd is None else plan.most_usd + bound
    mean_usd = None if store is None else store.mean_usd(expert.name, request)
    if mean_usd is not None:
        plan.likely_usd = mean_usd * plan.to_ask
    return plan
