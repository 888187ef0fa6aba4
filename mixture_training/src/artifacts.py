"""The router folder: write it, read it.

`router.json` (format version, experts, policy, metrics, guard and trade-offs, SHA-256 of every other file), `weights/`
(the classifier's own files), `routing.npz` (weights of the costs, measure of novelty, correction learned from
feedback), `training_data.parquet` (what it learned from, without the responses) and `README.md`.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataset_build import (
    ConfigError,
    DataError,
    Price,
    ToolkitError,
    abilities_text,
    read_table,
    sha256_of,
    write_table,
)
from mixture_training.src.array_files import check_arrays, save_arrays
from mixture_training.src.assurance import Assurance
from mixture_training.src.classifier import Classifier, classifiers
from mixture_training.src.correction import Correction
from mixture_training.src.costs import CostModel
from mixture_training.src.policy import parse_policy
from mixture_training.src.router_card import router_card
from mixture_training.src.training_data import TrainingData, from_frame
from mixture_training.src.version_folders import put_folder

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1
_JSON, _WEIGHTS, _DATA, _CARD = "router.json", "weights", "training_data.parquet", "README.md"
_ARRAYS = "routing.npz"
#: Bytes that no `router.json` of ours comes near: a forged one must not take all memory.
_LARGEST_JSON = 256 * 1024 * 1024


@dataclass(frozen=True)
class ExpertCard:
    """What a router knows about one expert.

    Attributes:
        name: As in the dataset.
        description: One line; may be empty.
        price: What it charges.
        config: The `ExpertConfig` it can be built from again, or None where only its recorded rows are known.
        mean_score: On train, over the rows that have a score.
        mean_cost: USD per call on train, or None where no cost was recorded.
    """

    name: str
    description: str
    price: Price
    config: dict[str, Any] | None
    mean_score: float
    mean_cost: float | None


@dataclass
class Router:
    """A trained classifier with everything needed to route by it.

    Attributes:
        classifier: Fitted; its `experts_` are the names of `experts`, in order.
        costs: What a call is expected to cost.
        experts: One card per column of a prediction.
        best_single: The expert with the highest mean score on train.
        default_policy: Used where a call names none.
        metrics: Evaluation on validation.
        data: What it was trained on: path, content hash, counts.
        model_type: Registered name of the classifier.
        options: How it was trained (encoder, seed …), so that it can be trained again.
        folder: Where it was loaded from or saved to.
        assurance: Calibration, intervals, novelty, guard and trade-offs; a router of before has none.
        correction: What feedback changes about the expected scores; None where nothing was learned from any.
    """

    classifier: Classifier
    costs: CostModel
    experts: tuple[ExpertCard, ...]
    best_single: str
    default_policy: str = "quality"
    metrics: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    model_type: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    assurance: Assurance = field(default_factory=Assurance)
    correction: Correction | None = None
    _training: TrainingData | None = None

    @property
    def expert_names(self) -> tuple[str, ...]:
        """The columns of a prediction."""
        return tuple(expert.name for expert in self.experts)

    def training_data(self) -> TrainingData:
        """Return the train and validation rows the router learned from.

        Raises:
            DataError: the router was not given any and has no folder that holds them.
        """
        if self._training is None:
            if self.folder is None:
                raise DataError("This router keeps no training data; train it again from the dataset.")
            frame = read_table(self.folder / _DATA)
            read = from_frame(frame, expert_descriptions={card.name: card.description for card in self.experts})
            self._training = _in_order(read, self.expert_names)
        return self._training

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write the router; the folder appears complete or not at all.

        Args:
            folder: Must not exist, or be empty, unless `overwrite`.
            overwrite: Replace a router that is there; a folder that holds anything else is never replaced.

        Raises:
            ConfigError: the folder is taken or cannot be written.
        """
        folder = Path(folder)
        check_output(folder, overwrite=overwrite)
        place = folder.resolve()  # a link to the router stays one
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        except OSError as problem:
            raise ConfigError(f"Cannot write the router to {folder}: {problem.strerror or problem}.") from None
        try:
            self._write(made)
            os.chmod(made, 0o755)
            put_folder(made, place)
        except OSError as problem:
            raise ConfigError(f"Cannot write the router to {folder}: {problem.strerror or problem}.") from None
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self.folder = folder
        return folder

    def _write(self, folder: Path) -> None:
        (folder / _WEIGHTS).mkdir()
        state = self.classifier.save(folder / _WEIGHTS)
        arrays = {
            **{f"costs.{name}": values for name, values in self.costs.arrays().items()},
            **{f"novelty.{name}": values for name, values in self.assurance.arrays().items()},
        }
        if self.correction is not None:
            arrays |= {f"correction.{name}": values for name, values in self.correction.arrays().items()}
        if arrays:
            save_arrays(folder / _ARRAYS, arrays)
        if self._training is not None:
            write_table(to_frame(self._training), folder / _DATA)
        elif self.folder is not None and (self.folder / _DATA).is_file():
            shutil.copyfile(self.folder / _DATA, folder / _DATA)
        content = {
            "format_version": FORMAT_VERSION,
            "model_type": self.model_type or self.classifier.kind,
            "classifier": {
                "kind": self.classifier.kind,
                "experts": list(self.classifier.experts_),
                "category_names": list(self.classifier.category_names_),
                "ability_names": list(self.classifier.ability_names_),
                "state": state,
            },
            "experts": [asdict(card) for card in self.experts],
            "best_single": self.best_single,
            "default_policy": self.default_policy,
            "costs": self.costs.to_state(),
            **self.assurance.to_state(),
            "correction": None if self.correction is None else self.correction.to_state(),
            "metrics": self.metrics,
            "data": self.data,
            "options": self.options,
            "files": {
                path.relative_to(folder).as_posix(): sha256_of(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        }
        text = json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / _JSON).write_text(text + "\n", encoding="utf-8", errors="replace")
        (folder / _CARD).write_text(router_card(content), encoding="utf-8", errors="replace")

    @classmethod
    def load(cls, folder: Path | str) -> "Router":
        """Return the router in `folder`.

        Raises:
            ConfigError: there is no router.
            DataError: a file is damaged, or it was written by a newer version of this toolkit.
        """
        folder = Path(folder)
        content = _read(folder)
        try:
            _verify(folder, content["files"])
            _check_fit(content)
            part = content["classifier"]
            classifier = classifiers[part["kind"]].load(folder / _WEIGHTS, part["state"])
            classifier.experts_ = tuple(part["experts"])
            classifier.category_names_ = tuple(part["category_names"])
            classifier.ability_names_ = tuple(part.get("ability_names", ()))  # a router of before has none
            costs, novelty, learned = _read_arrays(folder, content["files"])
            correction = content.get("correction")  # a router of before has none
            cards = tuple(ExpertCard(**{**card, "price": Price(**card["price"])}) for card in content["experts"])
            return cls(
                classifier=classifier,
                costs=CostModel.from_state(content["costs"], costs),
                experts=cards,
                best_single=content["best_single"],
                default_policy=content["default_policy"],
                metrics=content["metrics"],
                data=content["data"],
                model_type=content["model_type"],
                options=content["options"],
                folder=folder,
                assurance=Assurance.from_state(content, novelty, len(cards)),
                correction=None if correction is None else Correction.from_state(correction, learned, len(cards)),
            )
        except ToolkitError:
            raise
        except Exception as problem:  # what a damaged zip, array or model file raises is no closed list
            raise DataError(
                f"{folder / _JSON} is damaged ({type(problem).__name__}: {problem}); train the router again."
            ) from None

    @classmethod
    def from_pretrained(cls, name_or_folder: Path | str, *, revision: str | None = None) -> "Router":
        """Return the router in a folder, or `org/name` of the Hugging Face hub.

        One of the hub is copied to a folder of its own (see `hub_router.find_router`), so that it can be updated.

        Raises:
            ConfigError: there is none, or the hub does not answer within seconds and there is no copy of before.
            DataError: it is damaged, holds what no router does, or was written by a newer version.
        """
        from mixture_training.src.hub_router import find_router

        return cls.load(find_router(name_or_folder, revision))

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = True,
        token: str | None = None,
        commit_message: str = "Push a router of moe-toolkit",
        with_data: bool = True,
    ) -> str:
        """Put the router on the Hugging Face hub and return its address.

        What `save` writes goes there and nothing else: no decisions, feedback, keys, versions or other files beside
        it. Where its data and options name a path on this machine, its last part is told only. The experts' connections
        go along as `router.json` has them (addresses and names of variables, no keys).

        Args:
            name: `org/name`; made where it is absent, else a commit is added.
            private: Whether only its owner may see it; a repository that everybody sees is then refused.
            token: May write there; None means that of `HF_TOKEN` or of `hf auth login`.
            commit_message: What the hub shows beside the commit.
            with_data: Whether the instructions and scores it learned from go along; without them it routes, but
                cannot be learned again.

        Raises:
            ConfigError: the name is none, the token does not allow it, the hub cannot be reached, or the repository
                is public and `private` is meant.
        """
        from mixture_training.src.hub_router import push_router, without_paths

        copy = replace(self, data=without_paths(self.data), options=without_paths(self.options))
        if not with_data:
            copy.folder = copy._training = None
        with tempfile.TemporaryDirectory() as scratch:
            folder = copy.save(Path(scratch) / "router")
            return push_router(folder, name, private=private, token=token, commit_message=commit_message)


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Raise unless a router may be written to `folder`; called before the work, so that none is lost.

    Raises:
        ConfigError: it is taken, or its place cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; --output names the folder to write the router to.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / _JSON).is_file():
            raise ConfigError(f"{folder} holds something that is no router; choose another --output.")
        if not overwrite:
            raise ConfigError(f"{folder} already holds a router; give --overwrite, or choose another --output.")
    above = folder
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above if above != folder else folder.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write the router to {folder}: {above} cannot be written; choose another --output.")


def check_router(folder: Path) -> None:
    """Raise a ConfigError unless `folder` is that of a router."""
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; --router names the folder of a router.")
    if not (folder / _JSON).is_file():
        raise ConfigError(f"No router in {folder}: it has no {_JSON}. Train one with `moe train --output {folder}`.")


def _read(folder: Path) -> dict[str, Any]:
    check_router(folder)
    file = folder / _JSON
    try:
        if file.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"it has more than {_LARGEST_JSON} bytes")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        version = content["format_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"format_version is {version!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise DataError(f"{file} is damaged ({problem}); train the router again.") from None
    if version > FORMAT_VERSION:
        raise DataError(
            f"{folder} was written by a newer moe-toolkit (format version {version}; this one reads up to "
            f"{FORMAT_VERSION}). Upgrade moe-toolkit."
        )
    return dict(content)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_fit(content: Mapping[str, Any]) -> None:
    """Raise unless the parts of `router.json` are about the same experts and categories."""
    part, costs = content["classifier"], content["costs"]
    names = [card["name"] for card in content["experts"]]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"experts {names}")
    if part["experts"] != names or costs["experts"] != names or content["best_single"] not in names:
        raise ValueError("classifier, costs and best_single name other experts than `experts`")
    if part["category_names"] != costs["category_names"]:
        raise ValueError("classifier and costs name different categories")
    if None in costs["overall"] or any(None in row for row in costs["by_category"]):
        raise ValueError("a cost is missing")
    parse_policy(content["default_policy"])


def _read_arrays(folder: Path, files: Mapping[str, str]) -> tuple[dict[str, npt.NDArray[Any]], ...]:
    """Return the arrays of the costs, of novelty and of the correction, by name; a router of before has none."""
    found: tuple[dict[str, npt.NDArray[Any]], ...] = {}, {}, {}
    if _ARRAYS in files:
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            for name in arrays.files:
                part, _, rest = name.partition(".")
                found[("costs", "novelty", "correction").index(part)][rest] = arrays[name]
    return found


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    """Raise unless every recorded file is inside `folder`, as it was written."""
    inside = folder.resolve()
    for name, expected in files.items():
        parts = PurePosixPath(name).parts
        file = folder.joinpath(*parts)
        if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
            raise DataError(f"{folder / _JSON} lists {name!r}, which lies outside the folder; do not use this router.")
        if not file.is_file():
            raise DataError(f"{folder} is incomplete: {name} is missing. Copy or train the router again.")
        linked_out = not file.resolve().is_relative_to(inside)
        if linked_out and file.is_symlink() is False:
            raise DataError(f"{folder} leads outside itself through {name!r}; do not use this router.")
        if sha256_of(file) != expected:
            raise DataError(f"{file} is damaged (its SHA-256 differs). Copy or train the router again.")
        if file.suffix == ".npz":
            check_arrays(file)
    for file in sorted((folder / _WEIGHTS).rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name not in files and not file.name.startswith("."):
            raise DataError(f"{folder} holds {name}, which its {_JSON} does not list; do not use this router.")


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON-able value
    """Return `value` with NaN, which JSON has no word for, as null."""
    if isinstance(value, Mapping):
        return {str(key): _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_frame(data: TrainingData) -> "pd.DataFrame":
    """Return the rows of `data` in interchange form, one per (instruction, expert) that has a score or a cost."""
    import pandas as pd

    rows, columns = np.nonzero(~(np.isnan(data.scores) & np.isnan(data.costs) & np.isnan(data.latencies)))
    # An instruction nobody has a score for would vanish from a long table: it keeps one empty row.
    silent = np.setdiff1d(np.arange(len(data)), rows)
    rows, columns = np.concatenate([rows, silent]), np.concatenate([columns, np.zeros_like(silent)])
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    frame = pd.DataFrame(
        {
            "instruction_id": [data.ids[row] for row in rows],
            "instruction": [data.texts[row] for row in rows],
            "category": [data.categories[row] for row in rows],
            "split": [data.splits[row] for row in rows],
            "expert": [data.experts[column] for column in columns],
            "score": data.scores[rows, columns],
            "cost": data.costs[rows, columns],
            "latency_s": data.latencies[rows, columns],
        }
    )
    for name, counts in (("prompt_tokens", data.prompt_tokens), ("completion_tokens", data.completion_tokens)):
        if counts is not None:
            frame[name] = pd.array(counts[rows, columns]).astype("Int64")
    if any(abilities is not None for abilities in data.abilities):
        cells = [None if abilities is None else abilities_text(abilities) for abilities in data.abilities]
        frame["abilities"] = [cells[row] for row in rows]
    return frame


def _in_order(data: TrainingData, experts: tuple[str, ...]) -> TrainingData:
    """Return `data` with the columns of `experts`."""
    if data.experts == experts:
        return data
    from dataclasses import replace

    column = {name: index for index, name in enumerate(data.experts)}
    if set(column) != set(experts):
        raise DataError("The router's training data lists other experts than the router; train it again.")
    order = [column[name] for name in experts]
    return replace(
        data,
        experts=experts,
        scores=data.scores[:, order],
        costs=data.costs[:, order],
        latencies=data.latencies[:, order],
        prompt_tokens=None if data.prompt_tokens is None else data.prompt_tokens[:, order],
        completion_tokens=None if data.completion_tokens is None else data.completion_tokens[:, order],
        descriptions=tuple(data.descriptions[index] for index in order) if data.descriptions else (),
    )
