r"""Does an answer keep to the constraints an instruction states, as far as a program can tell?

    extra {"constraints": [{"id": "punctuation:no_comma"},
                           {"id": "length_constraints:number_words", "relation": "at least", "num_words": 300}]}
    extra {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}          (as IFEval is published)

J. Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv 2311.07911).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_text import listed
from dataset_build.src.scorers.base import Scorer, UnscorableError
from dataset_build.src.scorers.instruction_constraints import follows


def extract_constraints(extra: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, settings) of each constraint an instruction's extra fields state; null settings are left out.

    Raises:
        UnscorableError: they cannot be read.

    >>> extract_constraints({"constraints": '[{"id": "startend:end_checker", "end_phrase": "Bye."}]'})
    [('startend:end_checker', {'end_phrase': 'Bye.'})]
    """
    own = [_mapping(one) for one in listed(extra.get("constraints"))]
    found = [(str(one.pop("id", None)), one) for one in own]
    names, settings = listed(extra.get("instruction_id_list")), listed(extra.get("kwargs"))
    if settings and len(names) != len(settings):
        raise UnscorableError(f"{len(names)} names in `instruction_id_list`, {len(settings)} entries in `kwargs`")
    found += [(str(name), _mapping(one)) for name, one in zip(names, settings or [{}] * len(names), strict=True)]
    if not found:
        raise UnscorableError("no constraints: the fields `constraints` and `instruction_id_list` are empty")
    return found


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise UnscorableError("a constraint is a mapping with the key `id`, its settings beside it")
    return {str(name): one for name, one in value.items() if one is not None and one == one}


def readings(text: str) -> list[str]:
    """Return the texts that loose checking tries: with and without the first line, the last line, and asterisks."""
    lines = text.split("\n")
    cut = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cut, *(one.replace("*", "") for one in cut)]


class InstructionFollowing(Scorer):
    """1 when every constraint is kept, else 0: IFEval's accuracy per prompt. No reference is needed.

    Args:
        mode: "strict" reads the answer as it is; "loose" lets a constraint pass where the answer keeps to it without
            its first line ("Sure, here it is:"), its last line, or its asterisks.
        count: "all", or "share": the part of the constraints that is kept.
    """

    metric = "instruction_following"
    needs_reference = False
    max_length = 200_000

    def __init__(self, *, mode: Literal["strict", "loose"] = "strict", count: Literal["all", "share"] = "all") -> None:
        self.mode = mode
        self.count = count

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return the share of constraints kept, or whether all are."""
        constraints = extract_constraints(instruction.extra)
        texts: Sequence[str] = [text] if self.mode == "strict" else readings(text)
        kept = [any(follows(one, name, settings) for one in texts) for name, settings in constraints]
        return float(all(kept)) if self.count == "all" else sum(kept) / len(kept)
