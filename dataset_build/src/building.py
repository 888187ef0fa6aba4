"""The order of a build: check everything, open the journal, ask, score, write, move into place."""

import asyncio
import errno
import json
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_build.src.budget import Budget, BudgetMetError
from dataset_build.src.cleaning import CleaningReport
from dataset_build.src.config import BuildConfig
from dataset_build.src.dataset_builder import (
    DATASET_JSON,
    ExpertColumn,
    finish_publishing,
    publish,
    staging_folder,
    write_tables,
)
from dataset_build.src.dataset_card import dataset_facts, write_card
from dataset_build.src.dataset_summary import CategoryCell, DatasetSummary
from dataset_build.src.engine import load_engine
from dataset_build.src.errors import ConfigError, EarlyStopError
from dataset_build.src.existing_dataset import ExistingDataset
from dataset_build.src.experts.base import Expert
from dataset_build.src.hub import hub_left_alone
from dataset_build.src.ingredients import Ingredients
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.journal_file import DiskFullError
from dataset_build.src.journal_snapshot import snapshot
from dataset_build.src.judging.asking import Judged, ask_judges, open_book
from dataset_build.src.judging.audit import JudgeAudit
from dataset_build.src.judging.judgements import JUDGEMENTS, write_judgements
from dataset_build.src.judging.judges import PREFIX
from dataset_build.src.judging.pricing import plan_judging
from dataset_build.src.options import without_secrets
from dataset_build.src.planning import BuildPlan, make_plan
from dataset_build.src.progress import BuildProgress
from dataset_build.src.querying import count_answered
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore
from dataset_build.src.tagging import AbilitySummary

#: Options that say how a build runs, not what it makes.
NOT_OF_THE_DATASET = {
    "experts", "overwrite", "use_existing_dataset", "dry_run", "partial", "budget_usd", "engine", "ray_address",
}  # fmt: skip
# Notes in the journal: what kind of run it belongs to, and that its dataset was about to be moved into place.
_PURPOSE, _PUBLISHING = "purpose", "publishing"


@dataclass(frozen=True)
class BuildResult:
    """Where the dataset is and what is in it."""

    folder: Path
    summary: DatasetSummary
    asked: int
    cleaning: CleaningReport
    judges: Sequence[JudgeAudit] = ()
    abilities: AbilitySummary | None = None
    unused_rules: Sequence[str] = ()
    #: USD that calls may have cost which were in flight when a run of this build ended.
    lost_usd: float = 0.0
    #: USD of failed tries, charged or perhaps charged, that is in no response's cost.
    lost_tries_usd: float = 0.0


def build(
    config: BuildConfig, *, show_progress: bool = False, on_plan: Callable[[BuildPlan], None] | None = None
) -> BuildResult:
    """Build the dataset that `config` describes, resuming what an earlier run left.

    Nothing is written before sources, experts and metrics are known to exist.

    Args:
        config: What to build.
        show_progress: On stderr.
        on_plan: Told, before the first call, what is reused and what is paid, where a dataset is continued.

    Raises:
        ConfigError: something asked for does not exist, or a finished dataset is in the way.
        EarlyStopError: interrupted, the budget is met or the disk is full, with everything finished kept.
    """
    _check_output(config)
    with Ingredients(config) as ingredients:
        instructions, experts = ingredients.instructions, ingredients.experts
        ingredients.check()
        with _open_journal(config.output) as store:
            carried = _take_over(config, store)
            columns = ingredients.joined(carried, store)
            if carried is not None and on_plan is not None:
                on_plan(_plan(config, ingredients, columns, store))
            ingredients.panel.check_baselines([column.name for column in columns])
            judged = Judged(ingredients.panel, ingredients.evaluator, instructions, columns, store)
            asked = 0
            stop: BudgetMetError | None = None
            try:
                asked = _ask(config, instructions, experts, store, show_progress)
                _ask_judges(config, judged, show_progress)
                _ask_tagger(config, ingredients, store, show_progress)
            except BudgetMetError as problem:
                if not config.partial:
                    raise
                stop = problem
            if carried is None:
                _check_anyone_answered(instructions, experts, store)
            audits = open_book(judged)
            abilities = ingredients.tagging.tag(instructions, store)
            unused = ingredients.unused_rules()
            summary = _write(
                config, ingredients, columns, store, audits, abilities, show_progress, is_whole=stop is None
            )
            lost_usd, lost_tries_usd = store.lost_usd, store.lost_tries_usd
            store.delete()
    if stop is not None:
        raise EarlyStopError(
            f"{stop.reason}; the dataset in {config.output} holds what was answered, and --use_existing_dataset True "
            "with a higher --budget_usd adds the rest."
        )
    return BuildResult(
        config.output, summary, asked, ingredients.cleaner.report, audits, abilities, unused, lost_usd, lost_tries_usd
    )


def plan_build(config: BuildConfig) -> BuildPlan:
    """Return what `build` would ask and what that may cost, without a call and without writing anything."""
    with hub_left_alone(), Ingredients(config) as ingredients, TemporaryDirectory() as scratch:
        output, journal = config.output, Path(scratch) / JOURNAL_NAME
        if (output / JOURNAL_NAME).is_file():
            snapshot(output / JOURNAL_NAME, journal)
        with ResponseStore(journal) as store:
            existing = None
            if config.use_existing_dataset and (output / DATASET_JSON).is_file():
                existing = ExistingDataset(output)
                _count_earlier(existing, store)
            columns = ingredients.joined(existing, store)
            return _plan(config, ingredients, columns, store)


def _plan(
    config: BuildConfig, ingredients: Ingredients, columns: Sequence[ExpertColumn], store: ResponseStore
) -> BuildPlan:
    plan = make_plan(ingredients.instructions, ingredients.experts, store, timeout_s=config.timeout_s)
    judged = Judged(ingredients.panel, ingredients.evaluator, ingredients.instructions, columns, store)
    plan.experts.extend(plan_judging(judged, ingredients.experts, timeout_s=config.timeout_s))
    plan.experts.extend(ingredients.tagging.plan(ingredients.instructions, store, timeout_s=config.timeout_s))
    return replace(plan, renamed=ingredients.reuse.renamed, inherited=ingredients.reuse.inherited)


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
    existing = ExistingDataset(output)
    _count_earlier(existing, store)
    store.set_note(_PURPOSE, "continue")
    store.set_note(_PUBLISHING, None)
    return existing


def _count_earlier(existing: ExistingDataset, store: ResponseStore) -> None:
    """Have the journal count what the dataset that is continued cost, if its build has not come to its end."""
    if store.note(_PUBLISHING) == existing.content_hash:  # it was written from this very journal
        store.clear()
    store.count_earlier(existing.spent_usd)


def _check_anyone_answered(instructions: InstructionStore, experts: Sequence[Expert], store: ResponseStore) -> None:
    """Raise where every single call failed: such a dataset teaches nothing. The journal stays."""
    if count_answered(instructions, experts, store):
        return
    failures = (response.error for _, response in store.responses() if response.error)
    raise ConfigError(
        f"No expert gave a single answer; the first call ended in {next(failures, 'nothing')!r}. Nothing "
        "was written: mend that and run the same command again."
    )


def _ask(
    config: BuildConfig,
    instructions: InstructionStore,
    experts: Sequence[Expert],
    store: ResponseStore,
    show_progress: bool,
    *,
    noun: str = "responses to collect",
) -> int:
    """Query what is missing; return how many calls finished."""
    done = count_answered(instructions, experts, store)
    total = len(instructions) * len(experts)
    budget = Budget(config.budget_usd, store.spent_usd)
    with BuildProgress(
        total,
        done,
        is_shown=show_progress,
        budget_usd=config.budget_usd,
        spent_usd=budget.spent_usd if config.budget_usd is not None else 0.0,
        noun=noun,
    ) as progress:
        asking = load_engine(config.engine)(
            instructions,
            experts,
            store=store,
            config=config,
            budget=budget,
            on_response=progress.add,
            on_repeat=progress.add_repeat,
        )
        _run(asking)
    return progress.done - done


def _ask_judges(config: BuildConfig, judged: Judged, show_progress: bool) -> None:
    """Query the verdicts that are missing; whatever the engine, from this machine."""
    local = config.model_copy(update={"engine": "local"})

    def ask(prompts: InstructionStore, experts: Sequence[Expert]) -> None:
        _ask(local, prompts, experts, judged.store, show_progress, noun="verdicts to collect")

    ask_judges(judged, ask)


def _ask_tagger(config: BuildConfig, ingredients: Ingredients, store: ResponseStore, show_progress: bool) -> None:
    """Query the abilities that are missing; whatever the engine, from this machine."""
    local = config.model_copy(update={"engine": "local"})

    def ask(prompts: InstructionStore, experts: Sequence[Expert]) -> None:
        _ask(local, prompts, experts, store, show_progress, noun="tags to collect")

    ingredients.tagging.ask(ingredients.instructions, store, ask)


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
    ingredients: Ingredients,
    columns: Sequence[ExpertColumn],
    store: ResponseStore,
    audits: Sequence[JudgeAudit],
    abilities: AbilitySummary | None,
    show_progress: bool,
    *,
    is_whole: bool,
) -> DatasetSummary:
    output, evaluator = config.output, ingredients.evaluator
    try:
        staged = staging_folder(output)
        with BuildProgress(
            len(ingredients.instructions), 0, is_shown=show_progress, noun="instructions to score and write", lines=2
        ) as progress:
            summary = write_tables(
                staged,
                ingredients.instructions,
                columns,
                store=store,
                evaluator=evaluator,
                seed=config.seed,
                on_instruction=progress.step,
            )
        summary.judging = {name: CategoryCell(*cost) for name, cost in store.costs_of(PREFIX).items()}
        resolved = config.model_dump(mode="json", exclude=NOT_OF_THE_DATASET)
        for name in ("sources", "decontaminate"):
            resolved[name] = [without_secrets(source) for source in resolved[name]]
        for name in ("judges", "abilities"):
            resolved[name] = without_secrets(resolved[name])
        facts = dataset_facts(summary, columns, config, resolved=resolved, metric_versions=evaluator.versions())
        facts["cleaning"] = ingredients.cleaner.report.facts()
        if audits:
            facts["judges"] = {one.judge.name: without_secrets(one.facts()) for one in audits}
        if abilities is not None:
            facts["abilities"] = abilities.as_facts()
        if not is_whole:  # what continues it has so much less to spend
            facts["unfinished"] = {"spent_usd": store.spent_usd}
        if store.has_answers_of(PREFIX) or (output / JUDGEMENTS).is_file():
            write_judgements(staged, store)
        (staged / "README.md").write_text(write_card(summary, facts), encoding="utf-8")
        (staged / DATASET_JSON).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        store.set_note(_PUBLISHING, summary.content_hash)
        publish(output)
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise DiskFullError(
                f"The disk is full, and every response is kept in {output}; free some room: the same command only "
                "writes the dataset."
            ) from problem
        raise ConfigError(
            f"Cannot write {output}: {problem.strerror or problem}; choose another --output."
        ) from problem
    return summary
