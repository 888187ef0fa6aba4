"""BLEU of one answer: how many of its runs of one to four words stand in the reference.

reference "the cat sat on the mat", answer "the cat lay on the mat"     0.38
reference "the cat sat on the mat", answer "a dog ran"                  0.0

K. Papineni et al., "BLEU", 2002, as sacrebleu computes it for a sentence (M. Post, 2018): signature
`tok:13a|smooth:exp|eff:yes|case:mixed`.
"""

from typing import Any, Literal

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, needed
from dataset_build.src.scorers.words import spaced

#: Characters after which sacrebleu's memory of texts it has tokenized (65,536 of any length) is emptied.
_FORGET_AFTER = 20_000_000


def extract_text(text: str, tokenizer: str = "13a") -> str:
    """Return the text BLEU tokenizes: in scripts written without spaces, every sign gets spaces around it."""
    return spaced(text) if tokenizer == "13a" else text


class Bleu(Scorer):
    """Sentence BLEU with effective order and exponential smoothing, divided by 100.

    Effective order lets answers of fewer than four words have a score; a run length without any match counts as half
    (a quarter, …) of a match. Letter case counts unless `lowercase`. The score of a text with no sign of an unspaced
    script is that of sacrebleu with its default tokenizer; in Chinese, Japanese, Thai and the like each sign is a word
    first, for which 13a alone would make one word of a sentence. A blank reference cannot be judged.

    Args:
        lowercase: Whether letter case is ignored.
        tokenizer: One of sacrebleu's that need no download: "13a", "zh", "char", "intl" or "none".

    Raises:
        MissingDependencyError: sacrebleu is not installed.
    """

    metric = "bleu"
    max_length = 100_000

    def __init__(
        self, *, lowercase: bool = False, tokenizer: Literal["13a", "zh", "char", "intl", "none"] = "13a"
    ) -> None:
        self.lowercase = lowercase
        self.tokenizer = tokenizer
        library = needed("sacrebleu.metrics", metric=self.metric)
        self._bleu = library.BLEU(lowercase=lowercase, tokenize=tokenizer, effective_order=True)
        self._remembered = 0

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the score; 1.0 for the reference itself, None when it is blank."""
        if not reference.strip():
            return None
        if text.strip() == reference.strip():
            return 1.0
        self._remembered += len(text) + len(reference)
        if self._remembered > _FORGET_AFTER:
            self._forget()
        given, expected = extract_text(text, self.tokenizer), extract_text(reference, self.tokenizer)
        return float(self._bleu.sentence_score(given, [expected]).score) / 100

    def _forget(self) -> None:
        self._remembered = 0
        tokenizer: Any = self._bleu.tokenizer
        while tokenizer is not None:
            caching = type(tokenizer).__call__
            if hasattr(caching, "cache_clear"):
                caching.cache_clear()
            tokenizer = getattr(tokenizer, "_post_tokenizer", None)
