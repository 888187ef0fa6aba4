r"""Is an answer JSON?

    '{"a": [1, 2]}'                    1.0
    '```json\n{"a": [1, 2]}\n```'      1.0     (0.0 with `whole`)
    "{'a': [1, 2,]}"                   0.0

By RFC 8259; a number or a string alone is JSON too.
"""

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, UnscorableError
from dataset_build.src.scorers.json_text import NotJsonError, TooDeepError, extract_json


class JsonValid(Scorer):
    """1 when the answer is JSON or holds it in a code fence or on lines of its own, else 0. No reference is needed.

    Args:
        whole: Whether nothing may stand around the JSON, not even a fence.
    """

    metric = "json_valid"
    needs_reference = False
    max_length = 1_000_000

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        try:
            extract_json(text, whole=self.whole)
        except NotJsonError:
            return 0.0
        except TooDeepError as problem:
            raise UnscorableError(str(problem)) from None
        return 1.0
