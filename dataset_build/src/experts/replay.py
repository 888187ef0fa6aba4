"""Recorded responses: any dataset in interchange form, played back at no cost and without any model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.errors import ConfigError, DataError, ExpertRefusedError
from dataset_build.src.experts.base import Expert
from dataset_build.src.interchange import read_dataset_json, read_table
from dataset_build.src.records import Answer, Instruction, Price
from dataset_build.src.registry import nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class _Recording:
    """What one expert said: by instruction id, and by text where the text had one answer only."""

    by_id: dict[str, Answer | str] = field(default_factory=dict)
    by_text: dict[str, Answer | str | None] = field(default_factory=dict)


class ReplayExpert(Expert):
    """Answer with what was recorded: the same text, tokens, cost and latency, or the same error.

    An instruction is found by its id, else by its text when all records of that text agree. The two failures of its
    own are `not_recorded` (no row) and `no_text` (a row with a score but without the response's text).

    Args:
        name: What to call it here.
        path: A built folder or a file in interchange form.
        expert: What it is called in the file; None means `name`.
        price: For recorded calls without a cost but with tokens.
        description: As for every expert.
    """

    provider = "replay"

    def __init__(
        self,
        name: str,
        path: str | Path,
        expert: str | None = None,
        *,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name, price=price, description=description)
        self._path = Path(path)
        self._expert = expert or name
        recordings = _recordings(self._path)
        if self._expert not in recordings:
            known = list(recordings)
            raise ConfigError(
                f"{path} holds no expert {self._expert!r}.{nearest(self._expert, known)} It has: {', '.join(known)}."
            )
        self._recording = recordings[self._expert]

    async def answer(self, instruction: Instruction) -> Answer:
        """Return the recorded answer.

        Raises:
            ExpertRefusedError: the recorded call failed (the kind is the recorded one), or none was recorded.
        """
        record = self._recording.by_id.get(instruction.id) or self._recording.by_text.get(instruction.text)
        if record is None:
            raise ExpertRefusedError(f"{self._path} has no response to this", expert=self.name, kind="not_recorded")
        if isinstance(record, Answer):
            return record
        kind, _, message = record.partition(": ")
        raise ExpertRefusedError(message, expert=self.name, kind=kind)

    def fingerprint(self) -> str:
        """Return the file, its expert and the moment it was last written."""
        return f"{self.provider}:{self._path.resolve()}:{_stamp(self._path)}:{self._expert}"


def recorded_experts(path: str | Path) -> dict[str, Mapping[str, Any]]:
    """Return every expert recorded in `path`, with its description and price where a built folder states them.

    Raises:
        ConfigError: nothing is there.
        DataError: it is not in interchange form.
    """
    stated = {facts["name"]: facts for facts in read_dataset_json(path).get("experts", [])}
    return {name: stated.get(name, {}) for name in _recordings(Path(path))}


def _recordings(path: Path) -> dict[str, _Recording]:
    if not path.exists():
        raise ConfigError(f"No such file of recorded responses: {path}.")
    return _read(str(path), _stamp(path))


def _stamp(path: Path) -> str:
    """Return what changes when the recording changes."""
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    return ",".join(f"{file.stat().st_mtime_ns}-{file.stat().st_size}" for file in files)


@lru_cache(maxsize=2)
def _read(path: str, _stamp: str) -> dict[str, _Recording]:
    """Return all recordings of a file; one reading serves all its experts."""
    frame = read_table(path)
    if frame["response"].isna().all() and frame["error"].isna().all():
        raise DataError(f"{path} holds no response and no error, so there is nothing to replay; it needs `response`.")
    return {str(name): _recording(rows) for name, rows in frame.groupby("expert", sort=False)}


def _recording(rows: "pd.DataFrame") -> _Recording:
    recording = _Recording()
    for row in rows.to_dict("records"):
        record = _record(row)
        recording.by_id[row["instruction_id"]] = record
        text = row["instruction"]
        same = recording.by_text.get(text, record) == record
        recording.by_text[text] = record if same else None
    return recording


def _record(row: Mapping[Any, Any]) -> Answer | str:
    """Return a row as an answer, or as the error `kind: message`."""
    error, response = _present(row["error"]), _present(row["response"])
    if error is not None:
        kind, colon, message = str(error).partition(": ")
        return f"{kind}: {message}" if colon else f"refused: {error}"
    if response is None:
        return "no_text: the record has no response text"
    prompt_tokens, completion_tokens = _present(row["prompt_tokens"]), _present(row["completion_tokens"])
    return Answer(
        text=str(response),
        prompt_tokens=None if prompt_tokens is None else int(prompt_tokens),
        completion_tokens=None if completion_tokens is None else int(completion_tokens),
        cost=_present(row["cost"]),
        latency_s=_present(row["latency_s"]),
        model=_present(row["model"]),
    )


def _present(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    """Return a cell, with every spelling of "nothing" (None, NaN, NA) as None."""
    import pandas as pd

    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    return None if missing else value
