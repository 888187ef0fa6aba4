"""What a scorer is: a response and a reference in, a score in [0, 1] out."""

from abc import ABC, abstractmethod
from typing import ClassVar

from dataset_build.src.records import CANNOT_ANSWER, Instruction, Score


class Scorer(ABC):
    """Compares the text of a response with what is known about a right answer.

    A scorer only ever sees answers: failed calls never reach it.
    """

    #: Registered name; stored with each score.
    metric: ClassVar[str] = ""
    #: Raise when scores change; stored in `dataset.json`.
    version: ClassVar[str] = "1"
    #: Whether an instruction without a reference can be scored.
    needs_reference: ClassVar[bool] = True

    def score(self, instruction: Instruction, text: str) -> Score:
        """Score one response; without a needed reference the score is null and says why.

        An answer that says it cannot answer is worth 0, whatever words it shares with the reference, unless the
        reference says the same.
        """
        if self.needs_reference and instruction.reference is None:
            return Score(None, self.metric, "no reference")
        if text.startswith(CANNOT_ANSWER) and not (instruction.reference or "").startswith(CANNOT_ANSWER):
            return Score(0.0, self.metric)
        value = self.compare(text, instruction.reference or "", instruction)
        if value is None or value != value:
            return Score(None, self.metric, "the metric could not judge it")
        return Score(min(1.0, max(0.0, float(value))), self.metric)

    @abstractmethod
    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the quality of `text` in [0, 1], or None when it cannot be judged."""
