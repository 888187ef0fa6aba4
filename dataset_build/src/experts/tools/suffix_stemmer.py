"""Base forms by cutting endings: the Snowball stemmers."""

from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.lemma_requests import read_request
from dataset_build.src.records import Price

_LANGUAGES = {"en": "english", "fr": "french", "es": "spanish", "it": "italian", "de": "german"}


class SuffixStemmer(ToolExpert):
    """Right where an ending is all that differs ("walked"), wrong for "went" and often not even a word ("studi").

    Porter, "Snowball: A language for stemming algorithms" (2001).
    """

    tool_name = "suffix_stemmer"
    tool_description = "Rough base form of a word by cutting its ending (Snowball); five languages, cheap."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._stemmers: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Load the stemmers."""
        try:
            import snowballstemmer
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._stemmers = {code: snowballstemmer.stemmer(language) for code, language in _LANGUAGES.items()}

    def solve(self, text: str) -> str:
        """Return the stem of the word asked about.

        Raises:
            CannotAnswerError: no base form is asked for.
        """
        request = read_request(text)
        if not self._stemmers:
            self.warm_up()
        return str(self._stemmers[request.language or "en"].stemWord(request.word.lower()))
