"""The option nearest in meaning to the message, by the MiniLM sentence encoder."""

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.choice_requests import read_request
from dataset_build.src.experts.tools.encoding_tool import EncodingTool

#: Below this cosine similarity the best option has nothing to do with the message.
_FLOOR = 0.02


class MinilmRouter(EncodingTool):
    """Encodes the message and each option and picks the most similar; the letters alone mean nothing to it."""

    tool_name = "minilm_router"
    tool_description = "Sorts an English message into one of the lettered options by meaning (MiniLM); slower."

    def solve(self, text: str) -> str:
        """Return the letter of the option.

        Raises:
            CannotAnswerError: there are no options, or none is at all similar.
        """
        request = read_request(text)
        vectors = self.encoder().encode([request.message, *request.options.values()])
        similarities = vectors[1:] @ vectors[0]
        best = int(similarities.argmax())
        if similarities[best] < _FLOOR:
            raise CannotAnswerError("no option is about the message")
        return list(request.options)[best]
