"""The first sentence of a passage as its summary: a baseline that is hard to beat on news."""

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.passages import sentences_of
from dataset_build.src.experts.tools.payload import payload_of

#: Characters looked at; the first sentence is near the beginning.
_MAX_LENGTH = 4000


class LeadSummary(ToolExpert):
    """Gives the first sentence of what the instruction is about; answers anything with several sentences."""

    tool_name = "lead_summary"
    tool_description = "Summary in one sentence: simply the first sentence of the passage."

    def solve(self, text: str) -> str:
        """Return the first sentence.

        Raises:
            CannotAnswerError: there is only one.
        """
        text = text[:_MAX_LENGTH]
        sentences = sentences_of(payload_of(text))
        if len(sentences) < 2:
            sentences = sentences_of(text)
        if len(sentences) < 2:
            raise CannotAnswerError("it is a single sentence")
        return sentences[0]
