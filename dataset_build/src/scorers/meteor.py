"""METEOR: the words an answer shares with a reference, by themselves or by their stem, and how scattered they are.

reference "the cat sat on the mat", answer "on the mat sat the cat"     0.5    (the right words, in pieces)
reference "he walks home", answer "he walked home"                      0.98   (one stem)

S. Banerjee and A. Lavie, 2005, as NLTK computes it, in its exact and stem stages. The synonym stage is left out: it
needs WordNet, which has to be downloaded.
"""

from functools import lru_cache

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, needed
from dataset_build.src.scorers.words import spaced

#: Words whose stems are remembered.
_REMEMBERED = 65_536


class _NoSynonyms:
    """Stands where NLTK expects WordNet, and knows no word."""

    def synsets(self, word: str) -> list[object]:
        """Return no synonym."""
        return []


class _Stems:
    """NLTK's Porter stemmer, which remembers."""

    def __init__(self) -> None:
        porter = needed("nltk.stem.porter", metric="meteor").PorterStemmer()
        self.stem = lru_cache(_REMEMBERED)(porter.stem)


class Meteor(Scorer):
    """METEOR with NLTK's parameters (alpha 0.9, beta 3, gamma 0.5), without regard to letter case.

    The reference itself, word for word, scores 1 (METEOR as published gives a text of n words 1 - 0.5 / n³). Words are
    those of NLTK's word tokenizer, each sign of a script written without spaces being one. A blank reference cannot be
    judged.

    Raises:
        MissingDependencyError: NLTK is not installed.
    """

    metric = "meteor"
    max_length = 100_000

    def __init__(self) -> None:
        self._single_score = needed("nltk.translate.meteor_score", metric=self.metric).single_meteor_score
        self._tokenizer = needed("nltk.tokenize", metric=self.metric).NLTKWordTokenizer()
        self._stems = _Stems()

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the score; 1.0 for the reference itself, None when it is blank."""
        if not reference.strip():
            return None
        expected = self.extract_words(reference)
        given = self.extract_words(text)
        if given == expected:
            return 1.0
        return float(self._single_score(expected, given, stemmer=self._stems, wordnet=_NoSynonyms(), preprocess=str))

    def extract_words(self, text: str) -> list[str]:
        """Return the words of `text` in lower case, punctuation marks among them."""
        return [word.lower() for word in self._tokenizer.tokenize(spaced(text))]
