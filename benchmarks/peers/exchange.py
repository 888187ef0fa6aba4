"""What a peer's process is given and gives back; runs inside that peer's environment, beside the adapters.

A problem is a folder: `problem.json` with the instructions of each split, the observed scores of train and validation
(null where there is none; those of test are never written), and `vectors.npz` with the encoder's vectors of all. An
answer is one JSON file.
"""

import contextlib
import io
import json
import logging
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: How many instructions are routed one at a time to measure the time of a route, after two that are not counted.
TIMED_ROUTES = 25

Array = npt.NDArray[Any]
#: An object of a peer's library, whose types are known only in its environment.
Foreign = Any


@dataclass(frozen=True)
class Split:
    """Rows of one split: instructions, their vectors (n, d), and scores (n, E) with NaN where there is none."""

    texts: list[str]
    vectors: Array
    scores: Array


@dataclass(frozen=True)
class Problem:
    """Everything a peer may know.

    Attributes:
        experts: Names, length E.
        prices: Mean USD of a call on train, length E.
        encoder: Folder of the sentence encoder, as transformers reads it.
        train: To learn from.
        validation: To choose settings by.
        test: To route; its scores are all NaN.
        seed: For whatever draws.
        dataset: Path of the dataset the problem was made of; only for methods of this project.
        folder: Where the problem lies; a method may write there, in a folder of its own.
    """

    experts: list[str]
    prices: list[float]
    encoder: str
    train: Split
    validation: Split
    test: Split
    seed: int
    dataset: str
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> "Problem":
        """Return the problem that the benchmark wrote."""
        told = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
        with np.load(folder / "vectors.npz") as vectors:
            splits: dict[str, Any] = {
                name: Split(
                    part["texts"],
                    vectors[name],
                    np.array(part.get("scores") or [[None] * len(told["experts"])] * len(part["texts"]), dtype=float),
                )
                for name, part in told.pop("splits").items()
            }
        return cls(**told, **splits, folder=folder)

    @property
    def best_single(self) -> int:
        """The expert with the highest mean score on train."""
        return int(np.argmax(np.nan_to_num(np.nanmean(self.train.scores, axis=0), nan=-1.0)))


@dataclass
class Answer:
    """What a method chose, and what that took.

    Attributes:
        choices: Index of the expert for each test row, −1 for none.
        curve: Choices again for each setting of the method's cost knob; empty where it has none.
        train_s: Seconds from the problem in memory to a router that can be asked; vectors of train are given.
        route_ms: Median milliseconds from a text to an expert's name, one at a time.
        memory_mb: Peak resident memory of the process.
        configuration: What a user has to write, files and calls; its lines are counted.
        broke: What did not work as documented, and what was done about it.
        settings: The hyper-parameters that were used, where they were chosen.
    """

    choices: list[int] = field(default_factory=list)
    curve: list[list[int]] = field(default_factory=list)
    train_s: float | None = None
    route_ms: float | None = None
    memory_mb: float | None = None
    configuration: str = ""
    broke: str = ""
    settings: str = ""


def answer(method: Callable[[Problem, str], Answer]) -> None:
    """Run `method` on the problem and under the name of the command line, and write what it answers.

    A method that fails answers with the class and the first line of its error.
    """
    folder, name, output = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    try:
        found = method(Problem.read(folder), name)
    except Exception as problem:  # whatever a peer raises is a finding
        traceback.print_exc()
        found = Answer(broke=describe(problem))
    found.memory_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    output.write_text(json.dumps(asdict(found)), encoding="utf-8")


def describe(problem: BaseException) -> str:
    """Return the class of an error and its first line."""
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:160]}" if lines else type(problem).__name__


def median_ms(route: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return the median milliseconds of routing one text."""
    rows = np.linspace(0, len(texts) - 1, min(TIMED_ROUTES, len(texts))).astype(int)
    spent = []
    with quiet():
        for row in [rows[0], rows[-1]]:
            route(texts[row])
        for row in rows:
            started = time.perf_counter()
            route(texts[row])
            spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e3


def mean_score(scores: Array, choices: Sequence[int]) -> float:
    """Return the mean score of the choices that have one."""
    picked = np.take_along_axis(scores, np.maximum(choices, 0)[:, None], axis=1)[:, 0]
    known = ~np.isnan(picked) & (np.asarray(choices) >= 0)
    return float(picked[known].mean()) if known.any() else -1.0


def best_experts(scores: Array, order: Sequence[int]) -> list[int]:
    """Return the best expert of each row, among equals the one that comes first in `order`; −1 without a score."""
    ordered = np.where(np.isnan(scores), -1.0, scores)[:, list(order)]
    return [-1 if row.max() < 0 else order[int(row.argmax())] for row in ordered]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a peer prints and logs out of the way."""
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        yield
    logging.disable(logging.NOTSET)
