"""Base forms of words from the dictionaries of simplemma."""

from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.lemma_requests import read_request
from dataset_build.src.records import Price

#: Tried in this order when no language is named. Each costs 25 to 100 MB of memory.
_LANGUAGES = ("en", "fr", "es", "it", "de")


class LemmaDictionary(ToolExpert):
    """Knows irregular forms; a word outside its five dictionaries comes back unchanged."""

    tool_name = "lemma_dictionary"
    tool_description = "Dictionary form of an English, French, Spanish, Italian or German word (simplemma)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._simplemma: Any = None

    def warm_up(self) -> None:
        """Load the dictionaries."""
        try:
            import simplemma
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._simplemma = simplemma
        for language in _LANGUAGES:
            simplemma.lemmatize("went", lang=language)

    def solve(self, text: str) -> str:
        """Return the base form of the word asked about.

        Raises:
            CannotAnswerError: no base form is asked for.
        """
        request = read_request(text)
        if self._simplemma is None:
            self.warm_up()
        languages = (request.language,) if request.language else _LANGUAGES
        for language in languages:
            lemma: str = self._simplemma.lemmatize(request.word, lang=language)
            if lemma.lower() != request.word.lower():
                return lemma
        return request.word
