r"""Which of the lettered options did the answer choose?

    reference "C", answer "The answer is (C)."                       1.0
    reference "C) Paris", answer "A? No, that is Rome. **C.**"        1.0
    reference "B", answer "\boxed{B}"                                1.0
    reference "B", answer "Oslo", options "A) Bern B) Oslo"           1.0   (the option's text alone)
    reference "D", answer "Die richtige Antwort ist D, denn …"        1.0   (so in some twenty languages)
    reference "B", answer "A or B"                                   0.0   (undecided)

Which letter counts, in this order: what is inside the last `\boxed{…}`; the last one that is announced ("the answer is
C", "it must be C", "C is correct"); the last one that is chosen ("option C", "I pick C"); the letter the answer begins
with; the last letter set off by brackets or asterisks; the option whose text is given; the only capital standing alone.
What is ruled out ("A, B and D are not") does not count. Letters after J are read where an option has one.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_phrases import ANNOUNCED
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.words import UNSPACED

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000
#: Options are looked for in so much of the end of an instruction.
MAX_INSTRUCTION = 20_000

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Further letters are read only where the reference or an option has one: they stand in too many sentences.
_LAST_COMMON = "J"
#: No letter of a word follows; in scripts without spaces, and in Korean, one may.
_ENDS = rf"(?![^\W{UNSPACED}\uac00-\ud7a3]|['’])"
#: A small letter counts where nothing follows it in its clause: "the answer is a)", not "the answer is a city".
_LETTER = rf"[\"'“(\[{{]{{0,2}}([A-J]{_ENDS}|[a-j](?=[)\]}}\"'”.:;,]|\s*(?:\n|\Z)))[)\]}}]?"
_OPTION = (
    r"option|choice|letter|opción|opcion|opção|alternativa|letra|opzione|lettera|choix|lettre|buchstabe|optie|opcja"
    r"|вариант|буква|选项|選項|選択肢|선택지|보기|الخيار|الحرف|विकल्प"
)
_FILLER = (
    rf"(?:(?:(?:clearly|probably|definitely|thus|the|correct|la|le|il|die|der|a|o)\s+)?(?:{_OPTION})?\s*"
    r"|(?:clearly|probably|definitely|thus|therefore)\s+){1,2}"
)
_ITEM = r"[(\[]?[A-J](?![\w'’])[)\]]?"
_LISTED = rf"{_ITEM}(?:\s*(?:,\s*(?:(?:and|or)\s+)?|[/&]\s*|\b(?:or|nor|and)\s+){_ITEM})*"
_WRONG = r"(?:wrong|incorrect|false|out|not(?:\s+(?:right|correct|it))?\b)"


class _Patterns:
    """The patterns that find letters up to a last one.

    Args:
        last: The last letter.
    """

    def __init__(self, last: str) -> None:
        def upto(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
            return re.compile(pattern.replace("A-J", f"A-{last}").replace("a-j", f"a-{last.lower()}"), flags)

        self.boxed = upto(r"\\boxed\s*\{\s*(?:\\text\w*\s*\{)?\s*\(?\s*([A-Ja-j])\b")
        self.announced = (
            upto(
                rf"(?i:{ANNOUNCED}|\b(?:{_OPTION}|letter|selection)\s*(?:is|be|was|est|es|ist|é|è|:|=))\s*:?\s*"
                rf"(?i:{_FILLER}){_LETTER}"
            ),
            # "It must be C", where it is no list of options that begins so; "C is correct".
            upto(
                rf"\b(?i:it(?:['’]s|\s+(?:is|must\s+be|should\s+be|has\s+to\s+be))\s+(?:{_OPTION})?)\s*([A-J]){_ENDS}"
            ),
            upto(
                r"(?<![\w'’])([A-J])[)\]]?\s+(?:is|must\s+be)\s+(?:(?:the|clearly|only|therefore|thus)\s+){0,2}"
                r"(?:correct|right(?!-)|(?:best|answer|right|correct)\s+(?:answer|option|choice)|answer)\b"
            ),
        )
        self.chosen = upto(
            rf"(?i:\b(?:{_OPTION}|choose|chose|pick|select|answer|antwort|respuesta|réponse|resposta|risposta|elijo"
            rf"|wähle|choisis)|选择?|選択?|选|選ぶ|정답|답|答案)\s*(?::|=|：)?\s*{_LETTER}"
            r"(?!\s+(?:is|was|are|would|seems?|looks?|describes|refers|states|says|means)\b)"
        )
        self.opening = upto(r"\A\W{0,6}([A-J])(?:\s*[).:\]。、]|\s*\Z|\s*[-–—]\s|\s*,\s|\s*\n|번|です|だ)")
        self.whole = upto(r"\A\W{0,6}([A-Ja-j])\W{0,6}\Z")
        self.set_off = upto(r"\(([A-J])\)|\[([A-J])\]|\*\*([A-J])\.?\*\*|\b([A-J])\)")
        others = "B-HJ" if last == _LAST_COMMON else f"B-HJ-{last}"
        self.alone = upto(
            rf"(?<![^\W{UNSPACED}\uac00-\ud7a3])(?<!['’])"
            rf"(A(?!\s+(?!or\b|and\b|is\b)[a-z])|I(?!\s+[a-z])|[{others}]){_ENDS}"
        )
        self.ruled_out = upto(
            rf"\b(?i:not|isn['’]t|neither|nor)\s+(?:option\s+)?{_LISTED}\.?"
            rf"|(?<![\w'’]){_LISTED}\s+(?:is|was|are|were)\s+(?:both\s+|all\s+)?{_WRONG}"
            rf"|(?<![\w'’]){_LISTED}\s+(?:fail|can\s+be\s+(?:ruled\s+out|eliminated|excluded))\b"
        )
        self.second = upto(r"\W{0,4}\s*(?:/|,|&|\bor\b|\band\b)\s*(?:option\s+)?\(?[A-J](?![\w'’])")
        self.marker = upto(r"(?:(?<=[\s,;|/])|^)\(?([A-J])\s?(?:[).:=]|\s[-–—])\s*(?=\S)", re.MULTILINE)


_patterns = cache(_Patterns)
#: Cyrillic capitals that look like the Latin ones they stand for.
_LOOKALIKES = str.maketrans("АВСЕН", "ABCEH")
_REFERENCE = re.compile(r"\s*\(?([A-Za-z])\)?\s*(?:[).:]\s*(.*))?", re.DOTALL)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", unicodedata.normalize("NFKC", text).casefold()).split())


def read_options(instruction: str) -> dict[str, str]:
    """Return letter -> text, in plain lower case, of the last list of options; empty when there is none.

    >>> read_options("Capital of France? A) Rome B) Paris")
    {'A': 'rome', 'B': 'paris'}
    """
    text = instruction[-MAX_INSTRUCTION:]
    run: list[re.Match[str]] = []
    best: list[re.Match[str]] = []
    for marker in _patterns("Z").marker.finditer(text):
        if marker[1] == "A":
            run = [marker]
        elif run and len(run) < len(_LETTERS) and marker[1] == _LETTERS[len(run)]:
            run.append(marker)
        if len(run) > 1:
            best = run
    if not best:
        return {}
    ends = [marker.start() for marker in best[1:]] + [len(text)]
    found = {}
    for marker, end in zip(best, ends, strict=True):
        found[marker[1]] = _plain(text[marker.end() : end].strip().split("\n")[0].split("; ")[0])
    return found


def _last(text: str, matches: Iterable[re.Match[str]], second: re.Pattern[str]) -> str | None:
    """Return the letter of the last match, "" when another letter is joined to it, None without a match."""
    found = max(matches, key=lambda match: match.start(), default=None)
    if found is None:
        return None
    return "" if second.match(text, found.end()) else next(group for group in found.groups() if group).upper()


def _by_text(answer: str, options: dict[str, str]) -> str:
    """Return the letter of the one option whose text is, or is named in, the answer; else an empty string."""
    plain = f" {_plain(answer)} "
    same = [letter for letter, text in options.items() if text and plain.strip() == text]
    if len(same) == 1:
        return same[0]
    named = [
        letter
        for letter, text in options.items()
        if text and re.search(rf"(?<! not)(?<! not the) {re.escape(text)} ", plain)
    ]
    # "Paris" is also named where "Paris Texas" is.
    longest = [one for one in named if not any(one != other and options[one] in options[other] for other in named)]
    return longest[0] if len(longest) == 1 else ""


def extract_letter(answer: str, options: dict[str, str] | None = None, *, last: str = "A") -> str | None:
    """Return the letter `answer` settles on, or None when it settles on none.

    Args:
        answer: What the model wrote.
        options: Letter -> text of each option.
        last: A letter that may be the answer; those after J are read only if this or an option is one.

    >>> extract_letter("A is tempting, but the answer is C")
    'C'
    """
    is_common = max([last, *(options or ())]) <= _LAST_COMMON
    found_by = _patterns(_LAST_COMMON if is_common else _LETTERS[-1])
    text = unicodedata.normalize("NFKC", answer[-MAX_LENGTH:]).translate(_LOOKALIKES)
    text = found_by.ruled_out.sub(" ", text).strip()
    whole = found_by.whole.match(text)
    if whole:
        return whole[1].upper()
    bare = re.sub(r"[*_`]", "", text)
    for where, patterns in (
        (bare, (found_by.boxed,)),
        (bare, found_by.announced),
        (bare, (found_by.chosen,)),
        (bare, (found_by.opening,)),
        (text, (found_by.set_off,)),
    ):
        found = _last(where, chain.from_iterable(one.finditer(where) for one in patterns), found_by.second)
        if found is not None:
            return found or None
    letter = _by_text(text, options) if options else ""
    if letter:
        return letter
    alone = {match[1] for match in found_by.alone.finditer(bare)}
    return alone.pop() if len(alone) == 1 else None


class MultipleChoice(Scorer):
    """1 when the answer settles on the reference's letter, else 0.

    The reference is a letter ("C"), a letter and its text ("C) Paris"), or an option's text alone. An answer
    that gives only the text of an option counts when the options stand in the instruction.
    """

    metric = "multiple_choice"
    version = "2"

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        if text.strip() == reference.strip():
            return 1.0
        options = read_options(instruction.text)
        given = _REFERENCE.fullmatch(reference)
        if given is not None:
            letter = given[1].upper()
            if given[2] and letter not in options:
                options[letter] = _plain(given[2])
        else:
            letter = _by_text(reference, options)
            if not letter:
                return float(_plain(text) == _plain(reference))
        return float(extract_letter(stated_answer(text), options, last=letter) == letter)
