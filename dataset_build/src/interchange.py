"""Read and write the interchange form: one row per (instruction, expert), as Parquet, JSONL or CSV.

Whatever comes in is checked here, once, so that everything downstream may rely on it.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.errors import ConfigError, DataError, MissingDependencyError
from dataset_build.src.hub import call_hub, in_one_line
from dataset_build.src.records import COLUMNS, MOST_TOKENS, REQUIRED_COLUMNS, SPLITS, instruction_id, storable
from dataset_build.src.registry import nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

FORMATS = (".parquet", ".jsonl", ".csv")
FORMAT_VERSION = 1


def read_table(path: str | Path, *, columns: Mapping[str, str] | None = None) -> "pd.DataFrame":
    """Return a dataset in interchange form, checked.

    Args:
        path: A built dataset folder, a `.parquet`, `.jsonl` or `.csv` file, or `hf:org/name`.
        columns: Canonical name -> name in the file, where they differ.

    Returns:
        Every column of `records.COLUMNS` (null where the file has none), then the file's further columns.
        A missing `instruction_id` is computed; a score beside an error is dropped, because a failed call
        has no score.

    Raises:
        ConfigError: nothing is there, or the mapping names a column that does not exist.
        DataError: the content is not in interchange form; the message names column and row.
    """
    where = str(path)
    table = _from_hub(where) if where.startswith("hf:") else _from_disk(Path(path))
    return _check(_rename(table, columns or {}, where), where)


def write_table(frame: "pd.DataFrame", path: str | Path) -> None:
    """Write rows in interchange form; the ending of `path` chooses Parquet (zstd), JSONL or CSV.

    Lone surrogates, which no UTF-8 file can hold, become U+FFFD. In CSV an empty text is quoted and a null is
    not, so both survive.

    Raises:
        ConfigError: the ending is none of the three, or the place cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path = Path(path)
    _known_format(path)
    table = pa.Table.from_pandas(_typed(frame), preserve_index=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pa.parquet.write_table(table, path, compression="zstd")
        elif path.suffix == ".csv":
            pa.csv.write_csv(table, path)
        else:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
    except OSError as problem:
        raise ConfigError(f"Cannot write {path}: {problem.strerror or problem}.") from None


def read_dataset_json(path: str | Path) -> dict[str, Any]:
    """Return the `dataset.json` of a built folder; empty for a plain file or a hub id.

    Raises:
        DataError: it is damaged, or written by a newer version of this toolkit.
    """
    file = Path(path) / "dataset.json"
    if str(path).startswith("hf:") or not file.is_file():
        return {}
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        version = int(facts["format_version"])
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{file} is damaged ({problem}); build the dataset again.") from None
    if version > FORMAT_VERSION:
        raise DataError(
            f"{file} has format version {version}; this moe-toolkit reads up to {FORMAT_VERSION}. Upgrade moe-toolkit."
        )
    return dict(facts)


def _known_format(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path} ends in {path.suffix!r}; expected one of {', '.join(FORMATS)}.")


def _from_disk(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet

    if not path.exists():
        raise ConfigError(f"No such dataset: {path}. Give a built folder, a {', '.join(FORMATS)} file, or hf:org/name.")
    try:
        if path.is_dir():
            parts = [path / "data" / f"{split}.parquet" for split in SPLITS]
            found = [part for part in parts if part.is_file()]
            if not found:
                raise DataError(
                    f"{path} is no dataset folder: it has no data/train.parquet. Build one with `moe build`."
                )
            return pa.concat_tables([pa.parquet.read_table(part) for part in found], promote_options="permissive")
        _known_format(path)
        if path.suffix == ".parquet":
            return pa.parquet.read_table(path)
        return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"Cannot read {path}: {' '.join(str(problem).split())[:300]}") from None


def _read_csv(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.csv

    types = {name: pa.string() for name, kind in COLUMNS.items() if kind == "string"}
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _read_jsonl(path: Path) -> "pa.Table":
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as problem:
                    raise DataError(f"{path}, line {number} is not valid JSON: {problem}.") from None
                if not isinstance(row, dict):
                    raise DataError(f"{path}, line {number} holds a {type(row).__name__}; an object was expected.")
                rows.append(row)
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8: {problem}.") from None
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _array(values: list[Any]) -> "pa.Array[Any]":
    """Return a column; whole numbers that fit no column become infinite, which is complained of later."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except OverflowError:
        return pa.array([float("inf") if isinstance(one, int) and abs(one) >= 2**63 else one for one in values])
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON allows and no file can hold
        return pa.array([one.encode("utf-8", "replace").decode() if isinstance(one, str) else one for one in values])


def _from_hub(where: str) -> "pa.Table":
    import pyarrow as pa

    try:
        import datasets
    except ImportError:
        raise MissingDependencyError(
            f'Reading {where} needs the datasets package: pip install "moe-toolkit[train]"'
        ) from None
    name = where.removeprefix("hf:")
    what = f"data set {name!r}"
    if not Path(name).exists():  # that the hub answers is found out first; the download itself may take long
        call_hub(what, lambda: datasets.load_dataset_builder(name))
    splits = in_one_line(what, lambda: datasets.load_dataset(name))
    tables = []
    for split, part in splits.items():
        table = part.data.table
        if "split" not in table.column_names:
            table = table.append_column("split", pa.array([split] * len(table), pa.string()))
        tables.append(table)
    return pa.concat_tables(tables, promote_options="permissive")


def _rename(table: "pa.Table", columns: Mapping[str, str], where: str) -> "pa.Table":
    for canonical, given in columns.items():
        if canonical not in COLUMNS:
            known = list(COLUMNS)
            raise ConfigError(f"Unknown column {canonical!r}.{nearest(canonical, known)} Known: {', '.join(known)}.")
        if given not in table.column_names:
            have = list(table.column_names)
            raise ConfigError(
                f"{where} has no column {given!r} (for {canonical}).{nearest(given, have)} It has: {', '.join(have)}."
            )
    back = {given: canonical for canonical, given in columns.items()}
    kept = [name for name in table.column_names if name in back or name not in columns]
    return table.select(kept).rename_columns([back.get(name, name) for name in kept])


def _typed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the frame with every interchange column present, typed and first."""
    import pandas as pd

    typed: dict[str, pd.Series[Any]] = {}
    for name, kind in COLUMNS.items():
        column = frame[name] if name in frame else pd.Series([None] * len(frame), index=frame.index, dtype="object")
        if kind == "string":
            present = column.notna()
            texts = column.astype("object").where(present, None)
            typed[name] = texts.map(lambda value: storable(str(value)), na_action="ignore").astype("str")
        else:
            numbers = pd.to_numeric(column)
            typed[name] = numbers.astype("float64") if kind == "double" else numbers.round().astype("Int64")
    further = {name: frame[name] for name in frame.columns if name not in COLUMNS}
    return pd.DataFrame({**typed, **further}).reset_index(drop=True)


def _check(table: "pa.Table", where: str) -> "pd.DataFrame":
    if len(table) == 0:
        raise DataError(f"{where} has no rows.")
    have = list(table.column_names)
    frame = table.to_pandas()
    if "instruction_id" not in frame and "instruction" in frame:
        frame["instruction_id"] = _ids(frame)
    for name in REQUIRED_COLUMNS:
        if name not in frame:
            raise DataError(
                f"{where} has no column {name!r}.{nearest(name, have)} It has: {', '.join(have)}. "
                f"Map it with --columns {name}=YOUR_COLUMN."
            )
    for name, kind in COLUMNS.items():
        if kind != "string" and name in frame:
            _check_numbers(frame, name, where)
    frame = _typed(frame)
    _check_values(frame, where)
    _check_keys(frame, where)
    scored_failures = frame["error"].notna() & frame["score"].notna()
    if scored_failures.any():
        logger.warning("%s: dropped %d scores of failed calls", where, int(scored_failures.sum()))
        frame.loc[scored_failures, "score"] = None
    return frame


def _check_values(frame: "pd.DataFrame", where: str) -> None:
    for name in ("instruction_id", "instruction", "expert"):
        if frame[name].isna().any():
            raise DataError(f"{where}, row {_first(frame[name].isna())}: {name} is missing.")
    scores = frame["score"]
    wrong = scores.notna() & ~scores.between(0.0, 1.0)
    if wrong.any():
        row = _first(wrong)
        raise DataError(
            f"{where}, row {row}: score {scores[row]:g} of expert {frame['expert'][row]!r} lies outside [0, 1]. "
            "Scale the scores before reading them."
        )
    split_wrong = frame["split"].notna() & ~frame["split"].isin(SPLITS)
    if split_wrong.any():
        row = _first(split_wrong)
        raise DataError(f"{where}, row {row}: split {frame['split'][row]!r} is none of {', '.join(SPLITS)}.")


def _check_keys(frame: "pd.DataFrame", where: str) -> None:
    twice = frame.duplicated(["instruction_id", "expert"])
    if twice.any():
        row = _first(twice)
        raise DataError(
            f"{where}, row {row}: instruction {frame['instruction_id'][row]!r} has a second row of expert "
            f"{frame['expert'][row]!r}. Keep one row per instruction and expert."
        )
    for name in ("instruction", "split"):
        per_id = frame.groupby("instruction_id")[name].nunique(dropna=False)
        if (per_id > 1).any():
            raise DataError(f"{where}: instruction {per_id.idxmax()!r} has rows with different values of {name}.")


def _ids(frame: "pd.DataFrame") -> list[str]:
    source, reference = frame.get("source"), frame.get("reference")
    return [
        instruction_id(_text(source, row), str(text), _text(reference, row))
        for row, text in enumerate(frame["instruction"])
    ]


def _text(column: "pd.Series[Any] | None", row: int) -> str | None:
    value = None if column is None else column.iloc[row]
    return None if value is None or value != value else str(value)


def _first(mask: "pd.Series[bool]") -> int:
    return int(mask.to_numpy().argmax())


def _check_numbers(frame: "pd.DataFrame", name: str, where: str) -> None:
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(frame[name], errors="coerce")
    unreadable = numbers.isna() & frame[name].notna() & (frame[name].astype("str") != "")
    if unreadable.any():
        row = _first(unreadable)
        raise DataError(f"{where}, row {row}: {name} is {frame[name].iloc[row]!r}; a number was expected.")
    if np.isinf(numbers.astype("float64")).any():
        raise DataError(f"{where}, row {_first(numbers.isin([np.inf, -np.inf]))}: {name} is infinite.")
    absurd = (numbers.astype("float64").abs() > MOST_TOKENS) & (COLUMNS[name] == "int64")
    if absurd.any():
        row = _first(absurd)
        raise DataError(f"{where}, row {row}: {name} is {numbers.iloc[row]:g}, more than any call has; correct it.")
    frame[name] = numbers
