"""From a dataset in interchange form to the arrays that classifiers learn from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError, DataError, labels_of, matrix_of, parse_abilities, read_dataset_json, read_table

if TYPE_CHECKING:
    import pandas as pd

#: Share of the train rows that become a test or a validation split where the dataset has none.
TEST_SHARE, VALIDATION_SHARE = 0.20, 0.15
#: Fewer instructions than this teach nothing.
MINIMUM_TRAIN = 10

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingData:
    """Instructions and what every expert's response to them scored and cost.

    Attributes:
        ids: Instruction ids, length n.
        texts: Instructions, length n.
        categories: Category of each, or None where unknown, length n.
        splits: "train", "validation" or "test" for each, length n.
        experts: Expert names, length E; the columns of the matrices.
        scores: (n, E), in [0, 1]; NaN where there is no score (failed call, missing row, no reference).
        costs: (n, E), USD per call; NaN where unknown.
        latencies: (n, E), seconds; NaN where unknown.
        descriptions: One line per expert, for a routing language model; may be empty.
        abilities: The abilities each asks for, or None where they are unknown, length n; empty means all unknown.
        prompt_tokens: (n, E), tokens each expert read; NaN where unknown, None where all are.
        completion_tokens: (n, E), tokens each wrote; likewise.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str | None, ...]
    splits: tuple[str, ...]
    experts: tuple[str, ...]
    scores: FloatArray
    costs: FloatArray
    latencies: FloatArray
    descriptions: tuple[str, ...] = ()
    abilities: tuple[tuple[str, ...] | None, ...] = ()
    prompt_tokens: FloatArray | None = None
    completion_tokens: FloatArray | None = None

    def __post_init__(self) -> None:
        if not self.abilities:
            object.__setattr__(self, "abilities", (None,) * len(self.ids))
        if len(self.abilities) != len(self.ids):
            raise ValueError(f"{len(self.ids)} instructions and the abilities of {len(self.abilities)}.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def category_names(self) -> tuple[str, ...]:
        """The distinct known categories, sorted."""
        return tuple(sorted({category for category in self.categories if category is not None}))

    @property
    def ability_names(self) -> tuple[str, ...]:
        """The distinct known abilities, sorted."""
        return tuple(sorted({name for abilities in self.abilities for name in abilities or ()}))

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "TrainingData":
        """Return the given rows (indices or a mask), all experts kept."""
        picked = np.arange(len(self))[np.asarray(rows, dtype=None if len(rows) else np.intp)]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in picked),
            texts=tuple(self.texts[i] for i in picked),
            categories=tuple(self.categories[i] for i in picked),
            splits=tuple(self.splits[i] for i in picked),
            scores=self.scores[picked],
            costs=self.costs[picked],
            latencies=self.latencies[picked],
            abilities=tuple(self.abilities[i] for i in picked),
            prompt_tokens=None if self.prompt_tokens is None else self.prompt_tokens[picked],
            completion_tokens=None if self.completion_tokens is None else self.completion_tokens[picked],
        )

    def split(self, name: str) -> "TrainingData":
        """Return the rows of one split."""
        return self.take(np.array([split == name for split in self.splits], dtype=bool))

    def expert_means(self) -> FloatArray:
        """Return each expert's mean score over the rows where it has one, shape (E,); NaN where it has none."""
        counts = np.sum(~np.isnan(self.scores), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: FloatArray = np.nansum(self.scores, axis=0) / counts
        return means


def from_frame(frame: "pd.DataFrame", *, expert_descriptions: Mapping[str, str] | None = None) -> TrainingData:
    """Return the arrays of a dataset in interchange form.

    Instructions keep the order of their first row; experts are sorted by name. Rows without a split are
    "train".
    """
    import pandas as pd

    first = frame.drop_duplicates("instruction_id").set_index("instruction_id")
    labels = labels_of(frame)
    experts = labels.experts
    described = expert_descriptions or {}
    return TrainingData(
        ids=labels.ids,
        texts=tuple(first["instruction"]),
        categories=tuple(None if pd.isna(category) else str(category) for category in first["category"]),
        splits=tuple("train" if pd.isna(split) else str(split) for split in first["split"]),
        experts=experts,
        scores=labels.scores,
        costs=matrix_of(frame, "cost", labels.ids, experts),
        latencies=matrix_of(frame, "latency_s", labels.ids, experts),
        descriptions=tuple(described.get(expert, "") for expert in experts),
        abilities=_abilities(frame) if "abilities" in frame else (),
        prompt_tokens=_tokens(frame, "prompt_tokens", labels.ids, experts),
        completion_tokens=_tokens(frame, "completion_tokens", labels.ids, experts),
    )


def _tokens(frame: "pd.DataFrame", column: str, ids: Sequence[str], experts: Sequence[str]) -> FloatArray | None:
    """Return counts of tokens as a matrix, None where none is known."""
    if column not in frame or frame[column].isna().all():
        return None
    return matrix_of(frame, column, ids, experts)


def _abilities(frame: "pd.DataFrame") -> tuple[tuple[str, ...] | None, ...]:
    """Return the abilities of each instruction: those of its first row that tells them."""
    known: dict[str, tuple[str, ...] | None] = {}
    for key, cell in zip(frame["instruction_id"], frame["abilities"], strict=True):
        if known.get(key) is None:
            known[key] = parse_abilities(cell, where=f"Instruction {key}: abilities")
    return tuple(known.values())


def load_training_data(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    experts: Sequence[str] | None = None,
    seed: int = 0,
) -> TrainingData:
    """Read a dataset and give it the splits that training needs.

    Where there is no validation split, a part of train becomes one; where there is no test split either, a
    part becomes that: by hash of the text, so duplicates never straddle and the parts stay the same from
    run to run.

    Args:
        path: A built folder, a file in interchange form, or `hf:org/name`.
        columns: Canonical name -> name in the file.
        experts: Whom to read, the others being left out; None is all.
        seed: Changes which rows a made validation split gets; a made test split has the same rows for every seed.

    Raises:
        ConfigError: nothing is there, or it has no expert that `experts` names.
        DataError: it is not in interchange form, an expert has no scored row, or too little is left to learn from.
    """
    frame = read_table(path, columns=columns)
    facts = read_dataset_json(path)
    listed = {str(expert["name"]): str(expert.get("description") or "") for expert in facts.get("experts", [])}
    if experts is not None:
        frame, listed = _only(experts, frame, listed, path)
    data = from_frame(frame, expert_descriptions=listed)
    absent = sorted(set(listed) - set(data.experts)) + [
        expert for expert, mean in zip(data.experts, data.expert_means(), strict=True) if np.isnan(mean)
    ]
    if absent:
        raise DataError(
            f"{path}: expert {absent[0]!r} has no scored response, so nothing can be learned about it. "
            "Query it again (moe build --use_existing_dataset True) or name the others with --experts."
        )
    splits = make_splits(data, seed=seed)
    data = replace(data, splits=splits)
    if len(data.split("train")) < MINIMUM_TRAIN:
        raise DataError(
            f"{path} has {len(data.split('train'))} instructions to train on; at least {MINIMUM_TRAIN} are needed."
        )
    return data


def _only(
    experts: Sequence[str], frame: "pd.DataFrame", listed: Mapping[str, str], path: str | Path
) -> tuple["pd.DataFrame", dict[str, str]]:
    """Return the rows and the descriptions of some experts."""
    known = sorted({*frame["expert"], *listed})
    unknown = [name for name in experts if name not in known]
    if unknown:
        raise ConfigError(f"{path} has no expert {unknown[0]!r}; it has {', '.join(known)}.")
    rows = frame[frame["expert"].isin(experts)]
    return rows, {name: text for name, text in listed.items() if name in experts}


def make_splits(data: TrainingData, *, seed: int = 0) -> tuple[str, ...]:
    """Return the split of each row, with parts of train turned into the splits that are missing.

    A dataset without any test rows gives 20 % of train to test, one without validation rows 15 % of what
    remains to validation.
    """
    shares = {}
    if "test" not in data.splits:
        shares["test"] = TEST_SHARE
    if "validation" not in data.splits:
        shares["validation"] = VALIDATION_SHARE
    # The test rows are the same for every seed: a router trained with one is never judged on rows it has seen.
    salts = {"test": 0, "validation": seed}
    splits = list(data.splits)
    for name, share in shares.items():
        for row, text in enumerate(data.texts):
            digest = hashlib.sha256(f"{salts[name]}/{name}/{text}".encode("utf-8", "surrogatepass")).digest()
            if splits[row] == "train" and int.from_bytes(digest[:8]) / 2**64 < share:
                splits[row] = name
    return tuple(splits)
