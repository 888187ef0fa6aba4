"""A text as rules read it: how long it is, and whether it is in English."""

import re
from functools import cached_property

#: Characters of a longer text that are read, from its beginning and from its end.
HEAD, TAIL = 12_000, 4_000
#: Words from which on a text is long; scripts without spaces count a word per two characters.
LONG_WORDS = 400
#: Share of the letters that are of another script from which on a text is in another language.
OTHER_SCRIPT_SHARE = 0.15
#: Words of a text that are looked up to tell its language, and how many have to be of another one.
MOST_WORDS, LEAST_FOREIGN = 400, 2

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
_OTHER_SCRIPT = re.compile(
    r"[\u0400-\u052f\u0531-\u058f\u05d0-\u05ea\u0620-\u06ff\u0900-\u0dff\u0e00-\u0eff\u10a0-\u10ff\u1100-\u11ff"
    r"\u1200-\u137f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[\u0370-\u03ff]{3}"
)
_HOW_MANY = re.compile(r"\bhow (?:much|many|far|long|old|fast)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(
    "the of and to a in is it you that was for on are with as i his they be at this have from".split()  # noqa: SIM905
)
#: Common words of a language that are no English words.
_FOREIGN = tuple(
    frozenset(words.split())
    for words in (
        "der die das und ist nicht ein eine für mit wie den von zu auf im dem wir ich sie wird sind einen bitte",
        "le la les et est une des du pour dans que qui pas sur avec ce cette nous vous sont au il elle quelle quel",
        "el la los las es una un que por con para del como más pero se lo su está son cuál qué en y",
        "il lo gli è una un che per con del della di non sono come più questo nel qual quale mi",
        "o os as é uma um que para com não do da dos das em como mais qual por se seu são",
        "het een van niet dat zijn voor met op ook maar wat wij deze naar hoe worden bij",
        "och att det som en är på av för med den till inte ett hur vad jag om",
        "nie jest się na że jak czy do to od po przez dla być jaki jakie co",
        "bir ve bu için ile ne mi da olan nasıl nedir daha çok gibi",
    )
)


class Reading:
    """A text as rules read it.

    Args:
        text: Whole; the middle of a long one is passed over.
    """

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._whole = text
        self.text = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"

    @cached_property
    def is_long(self) -> bool:
        """Whether the text is long."""
        if self.length < LONG_WORDS:
            return False
        unspaced = len(_UNSPACED.findall(self._whole))
        return len(self._whole.split()) + unspaced / 2 >= LONG_WORDS

    @cached_property
    def numbers_before_question(self) -> int:
        """How many numbers come before the last "how many" or its like: two make a story that is a sum."""
        place = max((found.start() for found in _HOW_MANY.finditer(self.text)), default=0)
        return len(_NUMBER.findall(self.text, 0, place))

    @cached_property
    def is_foreign(self) -> bool:
        """Whether part of the text is in a language other than English, by its script or its commonest words."""
        letters = sum(map(str.isalpha, self.text))
        if letters and len(_OTHER_SCRIPT.findall(self.text)) >= max(2.0, OTHER_SCRIPT_SHARE * letters):
            return True
        words = _WORD.findall(self.text.lower())[:MOST_WORDS]
        english = sum(word in _ENGLISH for word in words)
        return any(
            len({word for word in words if word in common}) >= LEAST_FOREIGN
            and sum(word in common for word in words) > english
            for common in _FOREIGN
        )
