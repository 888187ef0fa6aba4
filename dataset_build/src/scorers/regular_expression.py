r"""Does an answer match a pattern?

    reference "\b(1[89]|20)\d\d-\d\d-\d\d\b", answer "It was on 1969-07-20."     1.0
    reference "(?i)par+is", answer "Rome"                                       0.0

The pattern is run by the package `regex`, which knows Python's syntax and more, and gives up in time: a pattern that
tries for ever on some answer costs that answer its score and nothing else.
"""

from typing import Any, Literal

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, UnscorableError
from dataset_build.src.scorers.bounded_patterns import BoundedPatterns


def extract_match(text: str, pattern: Any, *, whole: bool, timeout_s: float) -> str | None:  # noqa: ANN401
    """Return the part of `text` that a compiled pattern matches, or None.

    Args:
        text: An answer.
        pattern: Of the package `regex`.
        whole: Whether all of the answer has to match, white space at its ends aside.
        timeout_s: Seconds it may take.

    Raises:
        TimeoutError: it took longer.
    """
    if whole:
        match = pattern.fullmatch(text.strip(), timeout=timeout_s)
    else:
        match = pattern.search(text, timeout=timeout_s)
    return None if match is None else str(match.group())


class RegularExpression(Scorer):
    """1 when the pattern in the reference matches, else 0; null for a pattern that is wrong or too slow.

    An empty answer scores 0 whatever the pattern accepts.

    Args:
        match: "search" (anywhere in the answer) or "full" (the whole answer, white space at its ends aside).
        ignore_case: Whether letter case is ignored.
        timeout_s: Seconds a pattern may take for one answer.

    Raises:
        MissingDependencyError: the package `regex` is not installed.
    """

    metric = "regex"
    max_length = 1_000_000

    def __init__(
        self, *, match: Literal["search", "full"] = "search", ignore_case: bool = False, timeout_s: float = 1.0
    ) -> None:
        self.match = match
        self.ignore_case = ignore_case
        self.timeout_s = timeout_s
        self._patterns = BoundedPatterns(self.metric, ignore_case=ignore_case)

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return 1.0 or 0.0, or None for an empty pattern."""
        if not reference:
            return None
        pattern = self._patterns.compile(reference)
        if not text.strip():
            return 0.0
        try:
            found = extract_match(text, pattern, whole=self.match == "full", timeout_s=self.timeout_s)
        except TimeoutError:
            raise UnscorableError(f"the pattern took more than {self.timeout_s:g} s") from None
        return float(found is not None)
