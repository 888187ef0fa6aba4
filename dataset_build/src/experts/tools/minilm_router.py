"""The option nearest in meaning to the message, by the MiniLM sentence encoder."""

from typing import TYPE_CHECKING

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.choice_requests import read_request
from dataset_build.src.records import Price

if TYPE_CHECKING:
    from dataset_build.src.minilm import MiniLM

#: Below this cosine similarity the best option has nothing to do with the message.
_FLOOR = 0.02


class MinilmRouter(ToolExpert):
    """Encodes the message and each option and picks the most similar; the letters alone mean nothing to it.

    Reimers and Gurevych, "Sentence-BERT" (2019).
    """

    tool_name = "minilm_router"
    tool_description = "Sorts an English message into one of the lettered options by meaning (MiniLM); slower."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._encoder: MiniLM | None = None

    def warm_up(self) -> None:
        """Load the encoder."""
        self._loaded()

    def solve(self, text: str) -> str:
        """Return the letter of the option.

        Raises:
            CannotAnswerError: there are no options, or none is at all similar.
        """
        request = read_request(text)
        vectors = self._loaded().encode([request.message, *request.options.values()])
        similarities = vectors[1:] @ vectors[0]
        best = int(similarities.argmax())
        if similarities[best] < _FLOOR:
            raise CannotAnswerError("no option is about the message")
        return list(request.options)[best]

    def _loaded(self) -> "MiniLM":
        if self._encoder is None:
            from dataset_build.src.minilm import MiniLM

            self._encoder = MiniLM.load()
        return self._encoder
