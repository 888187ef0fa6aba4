"""What a scorer is: a response and a reference in, a score in [0, 1] out."""

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any, ClassVar

from dataset_build.src.errors import MissingDependencyError, ToolkitError
from dataset_build.src.records import CANNOT_ANSWER, Instruction, Score
from dataset_build.src.scorers.answer_text import listed, visible_answer

#: The extra field of an instruction that holds further right answers, beside its reference.
ACCEPTED = "accepted_answers"


class UnscorableError(ToolkitError):
    """A response cannot be scored; the message is the reason that is stored with the null score."""


class Scorer(ABC):
    """Compares the text of a response with what is known about a right answer.

    A scorer only ever sees answers: failed calls never reach it. Its options are the keyword arguments of its
    constructor, where a package it needs is imported too, so that what is missing is known before anything is paid.
    """

    #: Registered name; stored with each score.
    metric: ClassVar[str] = ""
    #: Raise when scores change; stored in `dataset.json`.
    version: ClassVar[str] = "1"
    #: Whether an instruction without a reference can be scored.
    needs_reference: ClassVar[bool] = True
    #: Characters of an answer or a reference; a longer one gets a null score that says so, for a score of its beginning
    #: would be a wrong one. None: any length is read, or the scorer reads the end, where answers stand.
    max_length: ClassVar[int | None] = None

    def score(self, instruction: Instruction, text: str) -> Score:
        """Score one response; without a needed reference the score is null and says why.

        An answer that says it cannot answer is worth 0, whatever words it shares with the reference, unless the
        reference says the same. What a model thought aloud between `<think>` and `</think>` is no part of its answer.
        Of several right answers (the reference, and those in the instruction's extra field `accepted_answers`: a
        list, a JSON list, or `a|b|c`) the one that gives the highest score counts.
        """
        if self.needs_reference and instruction.reference is None:
            return Score(None, self.metric, "no reference")
        reference = instruction.reference or ""
        if text.startswith(CANNOT_ANSWER) and not reference.startswith(CANNOT_ANSWER):
            return Score(0.0, self.metric)
        shown = text if "think>" in reference else visible_answer(text)
        others = listed(instruction.extra.get(ACCEPTED)) if ACCEPTED in instruction.extra else ()
        best: float | None = None
        try:
            for right in (reference, *map(str, others)):
                value = self._bounded(shown, right, instruction)
                if value is not None and value == value and (best is None or value > best):
                    best = value
        except UnscorableError as reason:
            return Score(None, self.metric, str(reason))
        if best is None:
            return Score(None, self.metric, "the metric could not judge it")
        return Score(min(1.0, max(0.0, float(best))), self.metric)

    def _bounded(self, text: str, reference: str, instruction: Instruction) -> float | None:
        if self.max_length is not None:
            for what, given in (("answer", text), ("reference", reference)):
                if len(given) > self.max_length:
                    raise UnscorableError(
                        f"the {what} has {len(given):,} characters; {self.metric} reads at most {self.max_length:,}"
                    )
        return self.compare(text, reference, instruction)

    def close(self) -> None:  # noqa: B027
        """Release processes; the scorer is not used afterwards."""

    @abstractmethod
    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the quality of `text` in [0, 1], or None when it cannot be judged.

        Raises:
            UnscorableError: it cannot be judged, and this is why.
        """


def needed(module: str, *, metric: str) -> Any:  # noqa: ANN401 - a module, whose attributes are its own
    """Return a module of an optional package.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f'The metric {metric!r} needs {package}: pip install "moe-toolkit[scorers]"'
        ) from error
