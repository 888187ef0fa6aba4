"""Instructions × responses × scores → a dataset folder that is whole or not there.

The folder is written under a hidden name inside the output folder and moved into place at the end; `dataset.json` is
the last piece to arrive. A move that was cut short is completed by the next build.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_build.src.dataset_summary import DatasetSummary, ExpertSummary, category_of
from dataset_build.src.dataset_tables import LabelTables, ResponseTables
from dataset_build.src.errors import DataError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.metric_agreement import MetricAgreement
from dataset_build.src.records import COLUMNS, SPLITS, Instruction, Response, Score, storable
from dataset_build.src.response_store import ResponseStore

DATASET_JSON = "dataset.json"
_STAGING, _READY = ".staging", ".ready"

#: Shares of train and validation; the rest is test.
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15


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

    Beside them `labels/*.parquet` holds the training view: one row per instruction with the score of every expert,
    null where there is none, and all experts that are best.

    A split without instructions gets no file. `on_instruction` is called after each instruction.
    """
    summary = DatasetSummary({expert.name: ExpertSummary(expert.model) for expert in experts})
    summary.agreement = MetricAgreement(["score", *evaluator.further])
    names = sorted(expert.name for expert in experts)
    writer = ResponseTables(folder / "data", instructions, evaluator.further)
    labels = LabelTables(folder / "labels", names)
    digest = hashlib.sha256()
    columns = sorted(experts, key=lambda expert: expert.name)
    try:
        for instruction in instructions.by_id():
            split = split_of(instruction, instructions.given_splits(instruction.text), seed)
            responses = store.of_instruction(instruction.id)
            scores: dict[str, float | None] = {}
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
                summary.count_metric(score)
                if score.value is None and response.text is not None:
                    summary.unscored[score.metric, score.reason or "no reason given"] += 1
                scores[expert.name] = score.value
            if scores:
                summary.responses += len(scores)
                best = summary.add(instruction, split, scores)
                labels.add(split, instruction, scores, best)
            on_instruction()
    finally:
        writer.close()
        labels.close()
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
