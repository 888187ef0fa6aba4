"""Which of 97 languages a text is in, by py3langid.

Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012.
"""

from functools import cache
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.language_requests import foreign_text


@cache
def _model() -> tuple[Any, dict[str, str]]:
    try:
        import py3langid
        from babel import Locale
    except ImportError as error:
        raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
    py3langid.classify("load the model")
    return py3langid, dict(Locale("en").languages)


class LanguageDetector(ToolExpert):
    """Answers the English name of the language."""

    tool_name = "language_detector"
    tool_description = "Tells which of 97 languages a text is written in (py3langid)."

    def warm_up(self) -> None:
        """Load the n-gram model and the names of languages."""
        _model()

    def solve(self, text: str) -> str:
        """Return the English name of the language of the text the instruction is about.

        Raises:
            CannotAnswerError: no language is asked for.
        """
        sample = foreign_text(text).encode("utf-8", "replace").decode()
        detector, names = _model()
        code, _ = detector.classify(sample)
        return str(names.get(code, code))
