"""chrF: how many of an answer's runs of one to six characters stand in the reference, and the other way round.

reference "the cat sat on the mat", answer "the cats sat on a mat"      0.52
reference "Кошка спит", answer "Кошки спят"                             0.31

M. Popović, "chrF: character n-gram F-score", 2015, as sacrebleu computes it for a sentence (M. Post, 2018).
"""

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, needed


def extract_characters(text: str) -> str:
    """Return what chrF counts: the characters without white space."""
    return "".join(text.split())


class Chrf(Scorer):
    """Sentence chrF2, divided by 100: recall counts twice as much as precision; letter case counts unless `lowercase`.

    Fit for any script. A blank reference cannot be judged.

    Args:
        lowercase: Whether letter case is ignored.
        word_order: 0 for chrF, 2 for chrF++ (runs of one and two words count too).

    Raises:
        MissingDependencyError: sacrebleu is not installed.
    """

    metric = "chrf"
    max_length = 100_000

    def __init__(self, *, lowercase: bool = False, word_order: int = 0) -> None:
        self.lowercase = lowercase
        self.word_order = word_order
        library = needed("sacrebleu.metrics", metric=self.metric)
        self._chrf = library.CHRF(lowercase=lowercase, word_order=word_order)

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the score; 1.0 for the reference itself, None when it is blank."""
        if not extract_characters(reference):
            return None
        if text.strip() == reference.strip():
            return 1.0
        return float(self._chrf.sentence_score(text, [reference]).score) / 100
