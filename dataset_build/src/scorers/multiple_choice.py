r"""Which of the lettered options did the answer choose?

    reference "C", answer "The answer is (C)."                       1.0
    reference "C) Paris", answer "A? No, that is Rome. **C.**"        1.0
    reference "B", answer "\boxed{B}"                                1.0
    reference "B", answer "Oslo", options "A) Bern B) Oslo"           1.0   (the option's text alone)
    reference "D", answer "Die richtige Antwort ist D, denn …"        1.0   (so in some twenty languages)
    reference "B", answer "A or B"                                   0.0   (undecided)

Which letter counts, in this order: what is inside the last `\boxed{…}`; what follows the last "answer is", "option"
or the like; the letter the answer begins with; the last letter set off by brackets or asterisks; the option whose
text is given; the only capital standing alone.
"""

import re
import unicodedata
from collections.abc import Iterable

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_phrases import ANNOUNCED
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.words import UNSPACED

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000
#: Options are looked for in so much of the end of an instruction.
MAX_INSTRUCTION = 20_000

_LETTERS = "ABCDEFGHIJ"
#: No letter of a word follows; in scripts without spaces, and in Korean, one may.
_ENDS = rf"(?![^\W{UNSPACED}\uac00-\ud7a3]|['’])"
#: A small letter counts where nothing follows it in its clause: "the answer is a)", not "the answer is a city".
_LETTER = rf"[\"'“(\[{{]{{0,2}}([A-J]{_ENDS}|[a-j](?=[)\]}}\"'”.:;,]|\s*(?:\n|\Z)))[)\]}}]?"
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\text\w*\s*\{)?\s*\(?\s*([A-Ja-j])\b")
_OPTION = (
    r"option|choice|letter|opción|opcion|opção|alternativa|letra|opzione|lettera|choix|lettre|buchstabe|optie|opcja"
    r"|вариант|буква|选项|選項|選択肢|선택지|보기|الخيار|الحرف|विकल्प"
)
_FILLER = (
    rf"(?:(?:(?:clearly|probably|definitely|thus|the|correct|la|le|il|die|der|a|o)\s+)?(?:{_OPTION})?\s*"
    r"|(?:clearly|probably|definitely|thus|therefore)\s+){1,2}"
)
_ANSWER_IS = re.compile(
    rf"(?i:{ANNOUNCED}|\b(?:{_OPTION}|letter|selection)\s*(?:is|be|was|est|es|ist|é|è|:|=))\s*:?\s*(?i:{_FILLER}){_LETTER}"
)
_CHOSEN = re.compile(
    rf"(?i:\b(?:{_OPTION}|choose|chose|pick|select|answer|antwort|respuesta|réponse|resposta|risposta|elijo|wähle|choisis)"
    rf"|选择?|選択?|选|選ぶ|정답|답|答案)\s*(?::|=|：)?\s*{_LETTER}"
    r"(?!\s+(?:is|was|are|seems?|looks?)\s+(?:wrong|incorrect|false|not|out)\b)"
)
_OPENING = re.compile(r"\A\W{0,6}([A-J])(?:\s*[).:\]。、]|\s*\Z|\s*[-–—]\s|\s*,\s|\s*\n|번|です|だ)")
_WHOLE = re.compile(r"\A\W{0,6}([A-Ja-j])\W{0,6}\Z")
_SET_OFF = re.compile(r"\(([A-J])\)|\[([A-J])\]|\*\*([A-J])\.?\*\*|\b([A-J])\)")
_ALONE = re.compile(
    rf"(?<![^\W{UNSPACED}\uac00-\ud7a3])(?<!['’])(A(?!\s+(?!or\b|and\b|is\b)[a-z])|I(?!\s+[a-z])|[B-HJ]){_ENDS}"
)
_RULED_OUT = re.compile(
    r"\b(?i:not|isn't|isn’t|neither|nor)\s+(?:option\s+)?[(\[]?[A-J](?![\w'’])[)\]]?\.?"
    r"|(?<![\w'’])[(\[]?[A-J][)\]]?\s+(?:is|was|are)\s+(?:wrong|incorrect|false|not\s+(?:right|correct|it))\b"
)
_SECOND = re.compile(r"\W{0,4}\s*(?:/|,|&|\bor\b|\band\b)\s*(?:option\s+)?\(?[A-J](?![\w'’])")
#: Cyrillic capitals that look like the Latin ones they stand for.
_LOOKALIKES = str.maketrans("АВСЕН", "ABCEH")
_MARKER = re.compile(r"(?:(?<=[\s,;|/])|^)\(?([A-J])\s?(?:[).:=]|\s[-–—])\s*(?=\S)", re.MULTILINE)
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
    for marker in _MARKER.finditer(text):
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


def _last(text: str, matches: Iterable[re.Match[str]]) -> str | None:
    """Return the letter of the last match, "" when another letter is joined to it, None without a match."""
    found: re.Match[str] | None = None
    for match in matches:
        found = match
    if found is None:
        return None
    return "" if _SECOND.match(text, found.end()) else next(group for group in found.groups() if group).upper()


def _by_text(answer: str, options: dict[str, str]) -> str:
    """Return the letter of the one option whose text is, or is named in, the answer; else an empty string."""
    plain = f" {_plain(answer)} "
    same = [letter for letter, text in options.items() if text and plain.strip() == text]
    if len(same) == 1:
        return same[0]
    named = [letter for letter, text in options.items() if text and f" {text} " in plain]
    # "Paris" is also named where "Paris Texas" is.
    longest = [one for one in named if not any(one != other and options[one] in options[other] for other in named)]
    return longest[0] if len(longest) == 1 else ""


def extract_letter(answer: str, options: dict[str, str] | None = None) -> str | None:
    """Return the letter `answer` settles on, or None when it settles on none.

    >>> extract_letter("A is tempting, but the answer is C")
    'C'
    """
    text = unicodedata.normalize("NFKC", answer[-MAX_LENGTH:]).translate(_LOOKALIKES)
    text = _RULED_OUT.sub(" ", text).strip()
    whole = _WHOLE.match(text)
    if whole:
        return whole[1].upper()
    bare = re.sub(r"[*_`]", "", text)
    opening = _OPENING.match(bare)
    for found in (
        _last(bare, _BOXED.finditer(bare)),
        _last(bare, _ANSWER_IS.finditer(bare)),
        _last(bare, _CHOSEN.finditer(bare)),
        None if opening is None else _last(bare, [opening]),
        _last(text, _SET_OFF.finditer(text)),
    ):
        if found is not None:
            return found or None
    letter = _by_text(text, options) if options else ""
    if letter:
        return letter
    alone = {match[1] for match in _ALONE.finditer(bare)}
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
        return float(extract_letter(stated_answer(text), options) == letter)
