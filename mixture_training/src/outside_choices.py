"""Choices that were made elsewhere, read from a table so that they can be judged beside everything else.

The table is the one `moe route --dataset` writes: a row per instruction with `instruction_id` and `expert`, and, where
the router tells, one `score:<expert>` column per expert, from which its whole cost curve is drawn, and likewise
`cost:<expert>`. A router of any origin is judged by writing such a table.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_build import ConfigError, DataError
from mixture_training.src.methods import Given
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    import pandas as pd

_SCORE, _COST = "score:", "cost:"


def parse_choices(text: str) -> tuple[str, Path]:
    """Return (name, file) of `NAME=FILE`; without a name, that of the file.

    Raises:
        ConfigError: there is no such file.
    """
    name, equals, place = text.partition("=")
    file = Path(place if equals else text)
    if not file.is_file():
        raise ConfigError(f"No such file of choices: {file}. Write NAME=FILE; `moe route --dataset` makes one.")
    return (name if equals else file.stem), file


def read_choices(file: Path) -> Given:
    """Return the choices in a Parquet, CSV or JSONL table.

    Raises:
        DataError: it has no `instruction_id` and `expert`, names an instruction twice, or has a hole in its scores.
    """
    frame = _read(file)
    missing = [name for name in ("instruction_id", "expert") if name not in frame]
    if missing:
        raise DataError(f"{file} has no column {missing[0]!r}; a table of choices has instruction_id and expert.")
    ids = tuple(str(name) for name in frame["instruction_id"])
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise DataError(f"{file} has instruction {twice} twice; one choice each is expected.")
    chosen = [None if name is None or name != name or name == "" else str(name) for name in frame["expert"]]
    scored = [str(name).removeprefix(_SCORE) for name in frame.columns if str(name).startswith(_SCORE)]
    experts = tuple(dict.fromkeys([*scored, *sorted({name for name in chosen if name is not None})]))
    if scored and len(experts) > len(scored):
        raise DataError(f"{file} chooses {experts[len(scored)]!r}, for which it has no column {_SCORE}{experts[-1]}.")
    column = {name: number for number, name in enumerate(experts)}
    return Given(
        experts,
        scores=_cells(frame, _SCORE, experts, file) if scored else None,
        costs=_cells(frame, _COST, experts, file) if scored and f"{_COST}{experts[0]}" in frame else None,
        choice=np.array([-1 if name is None else column[name] for name in chosen], dtype=np.intp),
        ids=ids,
    )


def _cells(frame: "pd.DataFrame", prefix: str, experts: tuple[str, ...], file: Path) -> FloatArray:
    absent = [name for name in experts if f"{prefix}{name}" not in frame]
    if absent:
        raise DataError(f"{file} has no column {prefix}{absent[0]}; each expert needs one.")
    try:
        cells: FloatArray = frame[[f"{prefix}{name}" for name in experts]].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{file}: a {prefix}<expert> column holds something that is no number.") from None
    if not np.isfinite(cells).all():
        raise DataError(f"{file}: a {prefix}<expert> column has a hole; every instruction needs a number.")
    return cells


def _read(file: Path) -> "pd.DataFrame":
    import pandas as pd

    texts = {"instruction_id": str, "expert": str}
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        if file.suffix == ".csv":
            return pd.read_csv(file, dtype=texts)
        if file.suffix == ".jsonl":
            return pd.read_json(file, lines=True, dtype=texts)
    except (OSError, ValueError, UnicodeDecodeError) as problem:
        raise DataError(f"{file} is no readable table ({problem}).") from None
    raise ConfigError(f"{file} ends in {file.suffix!r}; expected .parquet, .csv or .jsonl.")
