"""How many tokens a text has, where the model's own tokenizer is not at hand.

`count_tokens` is an estimate, for prices said in advance and for endpoints that report no usage. `most_tokens` is a
bound: byte-level vocabularies, which nearly all language models have, never make more tokens than there are bytes.
"""

import re

#: A run of letters, a run of digits, a run of spaces with its line breaks, or one sign.
_PIECE = re.compile(r"[A-Za-z]+|[^\W\dA-Za-z_]+|\d+|[^\w\s]|_|\n+")
#: Letters that one token of an English word covers, digits of a number, characters of other scripts.
_LETTERS, _DIGITS, _OTHERS = 6, 3, 1.5
#: Tokens that a chat template puts around one message, at most.
PER_MESSAGE = 8


def count_tokens(text: str) -> int:
    """Return about how many tokens a present-day byte-pair vocabulary makes of `text`; 0 for an empty one."""
    count = 0.0
    for piece in _PIECE.findall(text):
        if piece[0].isdigit():
            count += -(-len(piece) // _DIGITS)
        elif piece.isascii():
            count += -(-len(piece) // _LETTERS)
        else:
            count += len(piece) / _OTHERS
    return round(count)


def most_tokens(text: str) -> int:
    """Return how many tokens `text` has at most: its bytes in UTF-8, and what a chat template adds to a message."""
    return len(text.encode("utf-8", "replace")) + PER_MESSAGE
