"""What tools that compare meanings share: the sentence encoder, loaded once."""

from typing import TYPE_CHECKING

from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.records import Price

if TYPE_CHECKING:
    from dataset_build.src.minilm import MiniLM


class EncodingTool(ToolExpert):
    """A tool that encodes sentences with MiniLM.

    Reimers and Gurevych, "Sentence-BERT" (2019).
    """

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._encoder: MiniLM | None = None

    def warm_up(self) -> None:
        """Load the encoder."""
        self.encoder()

    def encoder(self) -> "MiniLM":
        """Return the encoder, loaded at the first call."""
        if self._encoder is None:
            from dataset_build.src.minilm import MiniLM

            self._encoder = MiniLM.load()
        return self._encoder
