"""What a user is told before the first call: paid answers that would be dropped, options that will do nothing."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from dataset_build.src.config import BuildConfig
from dataset_build.src.dataset_builder import ExpertColumn
from dataset_build.src.errors import ConfigError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.existing_dataset import ExistingDataset
from dataset_build.src.experts.base import Expert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.judging.judges import PREFIX
from dataset_build.src.records import Price, storable
from dataset_build.src.response_store import ResponseStore

#: USD from which on the answers of what is no model are not to be dropped.
WORTH_KEEPING_USD = 0.001


def refuse_to_drop(
    instructions: InstructionStore,
    columns: Sequence[ExpertColumn],
    store: ResponseStore,
    output: Path,
    existing: ExistingDataset | None = None,
) -> None:
    """Refuse to go on where an unfinished build left answers that the dataset will not hold: the journal goes at last.

    What tools answered for next to nothing may go. Answers to an earlier text of an instruction are warned of
    elsewhere, and judges' replies are kept with any dataset.

    Args:
        instructions: Of the dataset.
        columns: The experts of the dataset.
        store: The journal.
        output: Where it is.
        existing: The dataset that is continued; what it holds is in the journal once a run was killed.

    Raises:
        ConfigError: there are such answers.
    """
    used = {(storable(column.name), column.request) for column in columns}
    unused = {
        (key, expert, request): (usd, model)
        for key, expert, request, usd, model in store.answers()
        if not expert.startswith(PREFIX) and ((expert, request) not in used or key not in instructions)
    }
    for request, response in existing.responses() if existing is not None and unused else ():
        unused.pop((storable(response.instruction_id), storable(response.expert), request), None)
    usd = sum(cost for cost, _ in unused.values())
    if usd < WORTH_KEEPING_USD and not any(model for _, model in unused.values()):
        return
    others = sorted({expert for _, expert, request in unused if (expert, request) not in used})
    of = f"of {', '.join(others)} as configured then" if others else "to other instructions"
    raise ConfigError(
        f"An unfinished build in {output} holds {len(unused):,} answers ({of}; USD {usd:.4g}) that "
        "this configuration has no use for; run the same configuration as before, choose another --output, or add "
        "--overwrite, which drops them."
    )


def forewarnings(
    config: BuildConfig,
    instructions: InstructionStore,
    columns: Sequence[ExpertColumn],
    evaluator: Evaluator,
    priced: Sequence[Expert],
    existing: ExistingDataset | None,
    *,
    is_resumed: bool,
) -> Iterator[str]:
    """Yield which options do not do what they seem to.

    Args:
        config: Of the build.
        instructions: Of the dataset.
        columns: The experts of the dataset.
        evaluator: Which knows whose metric is the default one.
        priced: Everybody who is asked: experts, judges, taggers.
        existing: The dataset that is continued, if any.
        is_resumed: Whether there is a journal of an unfinished build.
    """
    if config.use_existing_dataset and existing is None and not is_resumed:
        yield (
            f"There is no dataset in {config.output} to continue: all {len(columns):,} experts are asked all "
            f"{len(instructions):,} instructions."
        )
    for name in _changed(columns, existing.experts if existing is not None else ()):
        yield (
            f"{name} has other options than in {config.output}: it is asked anew, and its answers there are not kept; "
            "give it another name to keep both."
        )
    if "metric" in config.model_fields_set and not any(evaluator.is_default_for(one) for one in instructions):
        yield (
            f"The metric {config.metric} judges nothing: every instruction has its metric from its source or a rule; "
            f"--metrics 'source:*={config.metric}' goes over what sources say."
        )
    unpriced = [one.name for one in priced if one.price == Price() and one.model is not None]
    if config.budget_usd is not None and unpriced:
        yield f"No price is known for {', '.join(unpriced)}: the cap of --budget_usd does not cover them."


def _changed(columns: Sequence[ExpertColumn], before: Collection[ExpertColumn]) -> list[str]:
    requests = {column.name: column.request for column in before}
    return [column.name for column in columns if requests.get(column.name, column.request) != column.request]
