"""Instructions × responses × scores → a dataset folder that is whole or not there.

The folder is written under a hidden name inside the output folder and moved into place at the end; `dataset.json` is
the last piece to arrive. A move that was cut short is completed by the next build.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.errors import DataError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.metric_agreement import MetricAgreement
from dataset_build.src.records import (
    CALL_COLUMNS,
    COLUMNS,
    SPLITS,
    Instruction,
    Response,
    Score,
    serves_another_model,
    storable,
)
from dataset_build.src.response_store import ResponseStore

if TYPE_CHECKING:
    import pyarrow as pa

DATASET_JSON = "dataset.json"
#: How the columns begin that hold the scores by further metrics.
FURTHER_PREFIX = "metric:"
_STAGING, _READY = ".staging", ".ready"

#: Shares of train and validation; the rest is test.
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
#: Rows per Parquet row group, and at most in memory per split.
ROW_GROUP = 20_000


@dataclass(frozen=True, slots=True)
class ExpertColumn:
    """One expert of the dataset: whose responses to take from the journal, and what `dataset.json` says of it.

    Attributes:
        name: As the dataset calls it.
        request: The key of its responses in the journal.
        facts: What `dataset.json` says of it.
        model: What its endpoint was asked for, where there is such a thing.
    """

    name: str
    request: str
    facts: Mapping[str, Any]
    model: str | None = None


@dataclass(slots=True)
class CostCell:
    """What one expert cost and scored in one category; failed calls are not in the score."""

    calls: int = 0
    cost_sum: float = 0.0
    scored: int = 0
    score_sum: float = 0.0


@dataclass(slots=True)
class ExpertSummary:
    """What one expert did over the whole dataset.

    Attributes:
        answered: Calls that gave an answer.
        missing: Instructions that it was never asked, because it was down or the money was spent.
        scored: Answers with a score.
        score_sum: The sum of those scores.
        cost_sum: USD of all its calls.
        errors: Failed calls by kind.
        truncated: Answers that reached their length limit.
        estimated: Answers whose tokens are our estimate.
        other_models: Models that answered in place of the one asked for.
        by_category: Category -> cost and score.
    """

    model: str | None = None
    answered: int = 0
    missing: int = 0
    scored: int = 0
    score_sum: float = 0.0
    cost_sum: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    estimated: int = 0
    other_models: Counter[str] = field(default_factory=Counter)
    by_category: dict[str, CostCell] = field(default_factory=dict)

    @property
    def mean_score(self) -> float | None:
        """Mean over the scored responses; failed calls are not in it. None when there is none."""
        return self.score_sum / self.scored if self.scored else None

    def add(self, response: Response, score: Score, category: str) -> None:
        """Count one response."""
        cost = response.cost or 0.0
        self.cost_sum += cost
        cell = self.by_category.setdefault(category, CostCell())
        cell.calls += 1
        cell.cost_sum += cost
        if response.text is None:
            self.errors[response.error_kind or "error"] += 1
            return
        self.answered += 1
        self.truncated += response.finish_reason == "length"
        self.estimated += response.tokens_estimated
        if serves_another_model(self.model, response.model):
            self.other_models[response.model or ""] += 1
        if score.value is not None:
            self.scored += 1
            self.score_sum += score.value
            cell.scored += 1
            cell.score_sum += score.value


@dataclass(slots=True)
class DatasetSummary:
    """What the dataset holds, counted while it is written.

    Attributes:
        compared: Instructions on which at least two experts have a score.
        nobody_right: Those of them where every score is 0.
        all_equal: Those of them where all scores are the same.
        unscored: (metric, why) -> answers without a score: no reference, or the scorer could not judge them.
        agreement: How the scores and those by further metrics go together.
    """

    experts: dict[str, ExpertSummary]
    instructions: int = 0
    responses: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    nobody_right: int = 0
    all_equal: int = 0
    unscored: Counter[tuple[str, str]] = field(default_factory=Counter)
    agreement: MetricAgreement = field(default_factory=lambda: MetricAgreement(["score"]))
    content_hash: str = ""

    def add(self, instruction: Instruction, split: str, scores: Sequence[float | None]) -> None:
        """Count one instruction and the scores of its responses."""
        self.instructions += 1
        self.categories[category_of(instruction)] += 1
        self.splits[split] += 1
        known = [score for score in scores if score is not None]
        if len(known) > 1:
            self.compared += 1
            self.nobody_right += max(known) == 0.0
            self.all_equal += min(known) == max(known)


def category_of(instruction: Instruction) -> str:
    """Return the category as reports call it."""
    return instruction.category or "(none)"


def assign_splits(instructions: Sequence[Instruction], seed: int) -> dict[str, str]:
    """Return instruction id -> split: the source's own, else by hash of seed and text.

    Instructions of the same text share a split. Where sources disagree about one text the strictest wins (test over
    validation over train), so that nothing that is tested on is ever trained on.

    Raises:
        DataError: a source names a split that does not exist.
    """
    of_text: dict[str, set[str]] = {}
    for instruction in instructions:
        if instruction.split is not None:
            of_text.setdefault(instruction.text, set()).add(instruction.split)
    return {one.id: split_of(one, of_text.get(one.text, ()), seed) for one in instructions}


def split_of(instruction: Instruction, given: Collection[str], seed: int) -> str:
    """Return the split of an instruction.

    Args:
        instruction: Which one.
        given: The splits that sources gave to instructions of its text.
        seed: Of the hash that decides where no source does.

    Raises:
        DataError: a source names a split that does not exist.
    """
    if not given:
        return _split_by_hash(instruction.text, seed)
    for split in sorted(given):
        if split not in SPLITS:
            raise DataError(
                f"Instruction {instruction.id} of {instruction.source} has split {split!r}; expected one of "
                f"{', '.join(SPLITS)}."
            )
    return max(given, key=SPLITS.index)


def _split_by_hash(text: str, seed: int) -> str:
    digest = hashlib.sha256(f"{seed}\n{text}".encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return SPLITS[(place >= TRAIN_SHARE) + (place >= TRAIN_SHARE + VALIDATION_SHARE)]


def write_tables(
    folder: Path,
    instructions: InstructionStore,
    experts: Sequence[ExpertColumn],
    *,
    store: ResponseStore,
    evaluator: Evaluator,
    seed: int,
    on_instruction: Callable[[], None] = lambda: None,
) -> DatasetSummary:
    """Score every response in the journal and write `data/*.parquet`, sorted by instruction id and expert.

    A split without instructions gets no file. `on_instruction` is called after each instruction.
    """
    summary = DatasetSummary({expert.name: ExpertSummary(expert.model) for expert in experts})
    summary.agreement = MetricAgreement(["score", *evaluator.further])
    writer = _SplitWriter(folder / "data", instructions, evaluator.further)
    digest = hashlib.sha256()
    columns = sorted(experts, key=lambda expert: expert.name)
    try:
        for instruction in instructions.by_id():
            split = split_of(instruction, instructions.given_splits(instruction.text), seed)
            responses = store.of_instruction(instruction.id)
            scores: list[float | None] = []
            for expert in columns:
                response = responses.get((expert.name, expert.request))
                if response is None:
                    summary.experts[expert.name].missing += 1
                    continue
                score = evaluator.score(instruction, response)
                row = _row(instruction, split, response, score)
                further = [evaluator.score(instruction, response, metric).value for metric in evaluator.further]
                row |= zip(writer.further_columns, further, strict=True)
                summary.agreement.add([score.value, *further])
                writer.add(split, row, instruction.extra)
                digest.update(_deterministic(row, response, further))
                summary.experts[expert.name].add(response, score, category_of(instruction))
                summary.metrics[score.metric] += 1
                if score.value is None and response.text is not None:
                    summary.unscored[score.metric, score.reason or "no reason given"] += 1
                scores.append(score.value)
            if scores:
                summary.responses += len(scores)
                summary.add(instruction, split, scores)
            on_instruction()
    finally:
        writer.close()
    summary.content_hash = digest.hexdigest()
    return summary


def _row(instruction: Instruction, split: str, response: Response, score: Score) -> dict[str, Any]:
    row = {
        "instruction_id": instruction.id,
        "instruction": instruction.text,
        "category": instruction.category,
        "reference": instruction.reference,
        "source": instruction.source,
        "split": split,
        "expert": response.expert,
        "response": response.text,
        "score": score.value,
        "metric": score.metric,
        "cost": response.cost,
        "prompt_tokens": response.prompt_tokens,
        "completion_tokens": response.completion_tokens,
        "latency_s": response.latency_s,
        "error": response.error,
        "model": response.model,
        "finish_reason": response.finish_reason,
        "first_token_s": response.first_token_s,
        "cached_tokens": response.cached_tokens,
        "reasoning_tokens": response.reasoning_tokens,
        "tokens_estimated": response.tokens_estimated if response.text is not None else None,
        "samples": json.dumps(response.samples) if response.samples else None,
        "metric_version": score.version,
        "score_reason": None if response.text is None else score.reason,
    }
    return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}


#: Columns that two builds of the same configuration agree on: what they asked and were told, not what was measured.
_AGREED = list(COLUMNS)[: list(COLUMNS).index("cost")]


def _deterministic(row: Mapping[str, Any], response: Response, further: Sequence[float | None]) -> bytes:
    agreed = [row[name] for name in _AGREED]
    return json.dumps([*agreed, response.error_kind, *response.samples, *further]).encode() + b"\n"


#: Types of the values of a further column -> its type; anything else is text.
_KINDS = {
    frozenset({bool}): "bool",
    frozenset({int}): "int64",
    frozenset({float}): "double",
    frozenset({int, float}): "double",
}


class _SplitWriter:
    """Parquet files, one per split, written a row group at a time."""

    def __init__(self, folder: Path, instructions: InstructionStore, further: Sequence[str]) -> None:
        import pyarrow as pa

        self.further_columns = [f"{FURTHER_PREFIX}{metric}" for metric in further]
        self._folder = folder
        self._extras = _extra_columns(instructions)
        kinds = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}
        self._schema = pa.schema(
            [(name, kinds[kind]) for name, kind in {**COLUMNS, **CALL_COLUMNS}.items()]
            + [(name, pa.float64()) for name in self.further_columns]
            + [(name, kind) for name, (_, kind) in self._extras.items()]
        )
        self._rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._files: dict[str, Any] = {}
        folder.mkdir(parents=True)

    def add(self, split: str, row: dict[str, Any], extra: Mapping[str, Any]) -> None:
        for name, (key, kind) in self._extras.items():
            row[name] = _as_kind(extra.get(key), kind)
        self._rows[split].append(row)
        if len(self._rows[split]) >= ROW_GROUP:
            self._flush(split)

    def close(self) -> None:
        for split in SPLITS:
            self._flush(split)
        for file in self._files.values():
            file.close()

    def _flush(self, split: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        if not self._rows[split]:
            return
        if split not in self._files:
            path = self._folder / f"{split}.parquet"
            self._files[split] = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._files[split].write_table(pa.Table.from_pylist(self._rows[split], schema=self._schema))
        self._rows[split] = []


def _extra_columns(instructions: InstructionStore) -> "dict[str, tuple[str, pa.DataType]]":
    """Return column name -> (key in `Instruction.extra`, type), sorted.

    Values of mixed types become text, and so do whole numbers beyond 64 bits.
    """
    import pyarrow as pa

    kinds: dict[str, set[type]] = {}
    for extra in instructions.extras():
        for key, value in extra.items():
            found = kinds.setdefault(key, set())
            if value is not None:
                is_beyond = type(value) is int and abs(value) >= 2**63
                found.add(str if is_beyond else type(value))
    columns: dict[str, tuple[str, pa.DataType]] = {}
    for key in sorted(kinds):
        kind = _KINDS.get(frozenset(kinds[key]), "string")
        taken = key in COLUMNS or key in CALL_COLUMNS
        columns[f"{key}_of_instruction" if taken else key] = (key, pa.type_for_alias(kind))
    return columns


def _as_kind(value: object, kind: "pa.DataType") -> object:
    import pyarrow as pa

    if value is None or kind != pa.string():
        return float(value) if isinstance(value, int) and kind == pa.float64() else value
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, default=str)
    return storable(str(value))


def staging_folder(output: Path) -> Path:
    """Return an empty place inside `output` to write the parts of a dataset to."""
    staged = output / _STAGING
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    return staged


def publish(output: Path) -> None:
    """Move the staged parts into place. Killed at any moment, the next build's `finish_publishing` completes it."""
    ready = output / _READY
    shutil.rmtree(ready, ignore_errors=True)
    (output / _STAGING).rename(ready)  # from here on the new dataset is whole
    finish_publishing(output)


def finish_publishing(output: Path) -> None:
    """Complete a move that was cut short; does nothing when there was none."""
    ready = output / _READY
    if (ready / DATASET_JSON).is_file():
        (output / DATASET_JSON).unlink(missing_ok=True)  # while the parts change there is no dataset
        for part in _parts(ready):
            old = output / part.name
            if old.is_dir():
                shutil.rmtree(old)
            part.replace(old)
        (ready / DATASET_JSON).replace(output / DATASET_JSON)
    shutil.rmtree(ready, ignore_errors=True)


def _parts(ready: Path) -> Iterator[Path]:
    return (part for part in sorted(ready.iterdir()) if part.name != DATASET_JSON)
