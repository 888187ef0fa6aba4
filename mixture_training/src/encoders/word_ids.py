"""The tokens of one short text, most of its words being known already: a fraction of what a tokenizer's call costs."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Words that are remembered at most, and how long one of them may be.
MOST_WORDS, LONGEST_WORD = 20_000, 32
#: What is split here: ASCII without control characters, and without what marks such as [CLS] begin with.
_SPLITTABLE = re.compile(r"[\t\n\r -Z\\-~]*")
#: As BERT splits: words, and each other character by itself (Devlin et al. 2019, arXiv:1810.04805).
_WORD = re.compile(r"[0-9a-z]+|[!-/:-@\[-`{-~]")


class WordIds:
    """Remembers the tokens of words, for tokenizers that treat each word by itself, as BERT's do.

    Args:
        tokenizer: Whose tokens; one that is not BERT's in lower case is asked about every text.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        self._tokenizer = tokenizer
        normalizer = tokenizer.normalizer
        self._is_by_word = (
            isinstance(tokenizer.model, WordPiece)
            and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
            and isinstance(normalizer, BertNormalizer)
            and normalizer.lowercase
            and all(token.content.startswith("[") for token in tokenizer.get_added_tokens_decoder().values())
        )
        self._known: dict[str, list[int]] = {}

    def of(self, text: str) -> list[int]:
        """Return the tokens of a text, without marks around them: those that the tokenizer itself gives."""
        if not self._is_by_word or _SPLITTABLE.fullmatch(text) is None:
            return self._ask(text)
        ids: list[int] = []
        known = self._known
        for word in _WORD.findall(text.lower()):
            found = known.get(word)
            if found is None:
                found = self._ask(word)
                if len(word) <= LONGEST_WORD:
                    if len(known) >= MOST_WORDS:
                        known.clear()
                    known[word] = found
            ids += found
        return ids

    def _ask(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids
