"""How good a judge (an expert that grades, or compares) finds an answer.

Its verdicts were collected before; here they are looked up. What the judges of a build are is stated in its
configuration under `judges`.
"""

from typing import TYPE_CHECKING

from dataset_build.src.errors import ConfigError
from dataset_build.src.records import Instruction, Score
from dataset_build.src.scorers.base import Scorer

if TYPE_CHECKING:
    from dataset_build.src.judging.judges import Judge, JudgePanel


class JudgeScorer(Scorer):
    """The mean of what the experts of a judge think of an answer.

    Args:
        name: Of the judge; None means the only one there is.
    """

    metric = "judge"
    needs_reference = False

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._panel: JudgePanel | None = None

    def consult(self, panel: "JudgePanel | None") -> None:
        """Say where the judge is to be found.

        Raises:
            ConfigError: it is not there.
        """
        if panel is None:
            raise ConfigError("The metric 'judge' needs a judge; state one under `judges:` in the configuration.")
        panel.find(self._name)
        self._panel = panel

    @property
    def judge(self) -> "Judge":
        """The judge."""
        assert self._panel is not None, "consult() comes first"
        return self._panel.find(self._name)

    def score(self, instruction: Instruction, text: str) -> Score:
        """Return the judge's score of one response, or null with the reason."""
        if self._panel is None or self._panel.book is None:
            return Score(None, self.metric, "the judge was not asked")
        return self._panel.book.score(self.judge, instruction, text)

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the same without the reason."""
        return self.score(instruction, text).value
