"""What a judge is, as a configuration states it."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

#: Opponents that every response is compared with when the baseline is not one expert.
ALL = "all"
#: The largest number a scale may end with.
LARGEST_SCALE = 1_000


def _as_options(value: object) -> object:
    return {"provider": value} if isinstance(value, str) else value


def _as_scale(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(-?\d{1,9})\s*\.\.\s*(-?\d{1,9})\s*", value)
    if found is None:
        raise ValueError(f"a scale is written as its lowest and highest number, such as 1..10; given: {value[:40]!r}")
    return int(found[1]), int(found[2])


class JudgeConfig(BaseModel):
    """One judge: who judges, by what rubric.

    Attributes:
        experts: Who judges, each with the options it would have under `experts`; several are averaged.
        mode: `rubric` gives each response a number; `pairwise` says which of two is better, asked in both orders.
        rubric: What to judge by: a text, or the name of a `.txt` or `.md` file; None means the toolkit's own.
        scale: The lowest and the highest number of a rubric, also written `1..10`.
        baseline: Of `pairwise`: the expert whose responses all others are compared with, or `all` for every other.
        uses_reference: Whether the judge is shown the reference, where there is one.
        structured: Whether endpoints of the OpenAI protocol are asked for replies by JSON schema; one that cannot is
            asked without.
        most_characters: Of an instruction, a reference and a response each; the middle of a longer one is left out.
        canary_batch: Responses per batch; each batch is judged together with three canaries.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True)

    experts: Annotated[list[Annotated[dict[str, Any], BeforeValidator(_as_options)]], Field(min_length=1)]
    mode: Literal["rubric", "pairwise"] = "rubric"
    rubric: Annotated[str, Field(min_length=1)] | None = None
    scale: Annotated[tuple[int, int], BeforeValidator(_as_scale)] = (1, 10)
    baseline: Annotated[str, Field(min_length=1)] = ALL
    uses_reference: bool = True
    structured: bool = True
    most_characters: Annotated[int, Field(ge=200)] = 20_000
    canary_batch: Annotated[int, Field(ge=1)] = 200

    @model_validator(mode="after")
    def _check_scale(self) -> "JudgeConfig":
        low, high = self.scale
        if not -LARGEST_SCALE <= low < high <= LARGEST_SCALE:
            raise ValueError(f"A scale goes from a lower to a higher number, within ±{LARGEST_SCALE}")
        return self
