"""Which words of a short right answer are in an answer, as SQuAD counts them.

reference "the Eiffel Tower", answer "Eiffel Tower!"             1.0
reference "the Eiffel Tower", answer "It is the Eiffel Tower."   0.67
reference "猫が好き", answer "猫が嫌い"                            0.5    (signs of unspaced scripts are words)
"""

import re
import string
import unicodedata
from collections import Counter

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.words import f1, spaced

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))


def extract_tokens(text: str) -> list[str]:
    """Return the words of `text` in lower case, without punctuation and English articles.

    On ASCII these are SQuAD's own. Elsewhere punctuation is all that Unicode calls so, and each sign of a script
    written without spaces is a word.

    >>> extract_tokens("The U.S. – a country")
    ['us', 'country']
    """
    text = text.lower().translate(_NO_PUNCTUATION)
    if not text.isascii():
        text = "".join(sign for sign in text if not unicodedata.category(sign).startswith("P"))
    return _ARTICLES.sub(" ", spaced(text)).split()


class TokenF1(Scorer):
    """Harmonic mean of precision and recall of the words, repeated ones counted as often as in both, without order.

    The F1 of SQuAD (Rajpurkar et al. 2016). A reference without any word is compared as it stands; a blank one cannot
    be judged.
    """

    metric = "token_f1"
    max_length = 100_000

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the F1, or None when the reference is blank."""
        if not reference.strip():
            return None
        given, expected = extract_tokens(text), extract_tokens(reference)
        if not expected:
            return float(text.strip() == reference.strip())
        return f1((Counter(given) & Counter(expected)).total(), len(given), len(expected))
