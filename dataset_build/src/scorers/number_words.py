"""Whole numbers in English words: "twelve", "minus forty-two", "three hundred and five thousand"."""

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 20 + 10 * value for value, word in enumerate(_TENS)},
}
_GROUPS = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = rf"(?:{'|'.join([*_VALUES, 'hundred', *_GROUPS])})"
#: A number in words, at the start of a text: its sign, and its words.
NUMBER_IN_WORDS = re.compile(rf"(minus |negative )?({_WORD}(?:(?: and |[ -]){_WORD})*)(?!\w)", re.IGNORECASE)
#: More words are no number.
_MOST_WORDS = 20


def number_in_words(text: str) -> tuple[int, int] | None:
    """Return the number at the start of `text` and where it ends, or None.

    >>> number_in_words("Two hundred and five apples")
    (205, 20)
    """
    found = NUMBER_IN_WORDS.match(text)
    if found is None:
        return None
    words = re.split(r"[ -]", found[2].lower())
    value = group = 0
    for word in words[:_MOST_WORDS]:
        if word == "hundred":
            group = max(group, 1) * 100
        elif word in _GROUPS:
            value, group = value + max(group, 1) * _GROUPS[word], 0
        elif word != "and":
            group += _VALUES[word]
    return (-(value + group) if found[1] else value + group), found.end()
