"""The order of a build: check everything, open the journal, ask, score, write, move into place."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dataset_build.src.config import BuildConfig, ExpertConfig
from dataset_build.src.dataset_builder import (
    DATASET_JSON,
    DatasetSummary,
    ExpertColumn,
    finish_publishing,
    publish,
    staging_folder,
    write_tables,
)
from dataset_build.src.dataset_card import dataset_facts, write_card
from dataset_build.src.errors import ConfigError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.existing_dataset import ExistingDataset
from dataset_build.src.experts.base import Expert
from dataset_build.src.options import names_secret
from dataset_build.src.progress import BuildProgress
from dataset_build.src.querying import count_answered, query_all
from dataset_build.src.records import Instruction
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore, request_key

# Notes in the journal: what kind of run it belongs to, and that its dataset was about to be moved into place.
_PURPOSE, _PUBLISHING = "purpose", "publishing"


@dataclass(frozen=True)
class BuildResult:
    """Where the dataset is and what is in it."""

    folder: Path
    summary: DatasetSummary
    asked: int


def build(config: BuildConfig, *, show_progress: bool = False) -> BuildResult:
    """Build the dataset that `config` describes, resuming what an earlier run left.

    Nothing is written before sources, experts and metrics are known to exist.

    Raises:
        ConfigError: something asked for does not exist, or a finished dataset is in the way.
        EarlyStopError: interrupted, with everything finished kept.
    """
    from dataset_build.src.data_loader import load_instructions
    from dataset_build.src.model_loader import expert_configs, load_experts

    _check_output(config)
    evaluator = Evaluator(config.metric)
    experts = load_experts(config.experts)
    configs = expert_configs(config.experts)
    instructions: Sequence[Instruction] = load_instructions(config.sources, seed=config.seed, limit=config.max_iter)
    evaluator.check(instructions)
    for expert in experts:
        expert.check()
    columns = [_column(expert, expert_config) for expert, expert_config in zip(experts, configs, strict=True)]
    with _open_journal(config.output) as store:
        carried = _take_over(config, store)
        if carried is not None:
            keeps_metric = "metric" not in config.model_fields_set
            instructions = _union(instructions, carried.instructions(), keeps_metric=keeps_metric)
            evaluator.check(instructions)
            store.put_many(carried.responses())
            names = {column.name for column in columns}
            columns += [column for column in carried.experts if column.name not in names]
        asked = _ask(config, instructions, experts, store, show_progress)
        if carried is None:
            _check_anyone_answered(instructions, experts, store)
        summary = _write(config, instructions, columns, store, evaluator)
        store.delete()
    return BuildResult(config.output, summary, asked)


def _check_output(config: BuildConfig) -> None:
    """Refuse an output that must not be touched, before anything is loaded or written."""
    output = config.output
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"--output {output} is a file; give a folder.")
    if (output / DATASET_JSON).is_file():
        if not (config.overwrite or config.use_existing_dataset or (output / JOURNAL_NAME).exists()):
            raise _in_the_way(output)
    elif not (output / JOURNAL_NAME).exists() and any(output.iterdir()):
        raise ConfigError(f"--output {output} holds other files and no dataset; give an empty or a new folder.")


def _in_the_way(output: Path) -> ConfigError:
    return ConfigError(
        f"{output} holds a finished dataset; continue from it with --use_existing_dataset True, replace it with "
        "--overwrite, or choose another --output."
    )


def _open_journal(output: Path) -> ResponseStore:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ConfigError(f"Cannot make the folder {output}: {problem.strerror}; choose another --output.") from None
    return ResponseStore(output / JOURNAL_NAME)


def _take_over(config: BuildConfig, store: ResponseStore) -> ExistingDataset | None:
    """Decide what of earlier runs counts; return the finished dataset to continue from, if any.

    An unfinished journal is always used: its responses are keyed by instruction and request, so what does not fit is
    simply never looked up. Only `--overwrite` of a finished dataset starts with an empty journal, and only the first
    time: a run that was interrupted resumes.
    """
    output = config.output
    finish_publishing(output)
    is_finished = (output / DATASET_JSON).is_file()
    was_publishing = store.note(_PUBLISHING) is not None
    if not is_finished or not (config.overwrite or config.use_existing_dataset):
        if is_finished and not was_publishing:
            raise _in_the_way(output)
        return None
    if config.overwrite:
        if store.note(_PURPOSE) != "overwrite":
            store.clear()
            store.set_note(_PURPOSE, "overwrite")
        return None
    store.set_note(_PURPOSE, "continue")
    store.set_note(_PUBLISHING, None)
    return ExistingDataset(output)


def _column(expert: Expert, config: ExpertConfig) -> ExpertColumn:
    request = request_key(expert)
    facts = {
        "name": expert.name,
        "provider": expert.provider,
        "description": expert.description,
        "price": asdict(expert.price),
        "config": without_secrets(config.model_dump(mode="json", exclude_none=True)),
        "request": request,
    }
    return ExpertColumn(expert.name, request, facts)


def _union(fresh: Sequence[Instruction], existing: Sequence[Instruction], *, keeps_metric: bool) -> list[Instruction]:
    """Return both without repeats; an instruction that is in both keeps the split it has, and the metric if told to."""
    known = {instruction.id: instruction for instruction in existing}
    merged = []
    for one in fresh:
        before = known.pop(one.id, None)
        if before is not None:
            metric = one.metric or before.metric if keeps_metric else one.metric
            one = replace(one, split=before.split or one.split, metric=metric)
        merged.append(one)
    return merged + list(known.values())


def _check_anyone_answered(
    instructions: Sequence[Instruction], experts: Sequence[Expert], store: ResponseStore
) -> None:
    """Raise where every single call failed: such a dataset teaches nothing. The journal stays."""
    if count_answered(instructions, experts, store):
        return
    failures = [response.error for response in store.of_instruction(instructions[0].id).values() if response.error]
    raise ConfigError(
        f"No expert gave a single answer; the first call ended in {failures[0] if failures else 'nothing'!r}. Nothing "
        "was written: mend that and run the same command again."
    )


def _ask(
    config: BuildConfig,
    instructions: Sequence[Instruction],
    experts: Sequence[Expert],
    store: ResponseStore,
    show_progress: bool,
) -> int:
    """Query what is missing; return how many calls finished."""
    done = count_answered(instructions, experts, store)
    total = len(instructions) * len(experts)
    with BuildProgress(total, done, is_shown=show_progress) as progress:
        asking = query_all(
            instructions,
            experts,
            store=store,
            config=config,
            on_response=progress.add,
        )
        _run(asking)
    return progress.done - done


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; inside a running event loop (a notebook) in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(asyncio.run, work).result()


def _write(
    config: BuildConfig,
    instructions: Sequence[Instruction],
    columns: Sequence[ExpertColumn],
    store: ResponseStore,
    evaluator: Evaluator,
) -> DatasetSummary:
    output = config.output
    try:
        staged = staging_folder(output)
        summary = write_tables(staged, instructions, columns, store=store, evaluator=evaluator, seed=config.seed)
        resolved = config.model_dump(mode="json", exclude={"experts", "overwrite", "use_existing_dataset"})
        resolved["sources"] = [without_secrets(source) for source in resolved["sources"]]
        facts = dataset_facts(summary, columns, config, resolved=resolved, metric_versions=evaluator.versions())
        (staged / "README.md").write_text(write_card(summary, facts), encoding="utf-8")
        (staged / DATASET_JSON).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        store.set_note(_PUBLISHING, summary.content_hash)
        publish(output)
    except OSError as problem:
        raise ConfigError(
            f"Cannot write {output}: {problem.strerror or problem}; choose another --output."
        ) from problem
    return summary


def without_secrets(value: Any) -> Any:  # noqa: ANN401
    """Return plain values without the entries whose key names a secret; names of environment variables stay."""
    if isinstance(value, Mapping):
        return {key: without_secrets(inner) for key, inner in value.items() if not names_secret(str(key))}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value
