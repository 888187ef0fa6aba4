"""A text and the lettered options to sort it into, as they stand in an instruction."""

import re
from dataclasses import dataclass

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import payload_of, quoted_parts

#: Longer instructions are not looked at.
MAX_LENGTH = 4000

_LETTERS = "ABCDEFGH"
_MARKER = re.compile(r"(?:(?<=[\s,;|])|^)\(?([A-H])\s?[).:=]\s+(?=\S)", re.MULTILINE)
_PART = re.compile(r":\s+|\n+|(?<=[.?!])\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class ChoiceRequest:
    """The options by letter, and the text to be sorted."""

    options: dict[str, str]
    message: str


def read_request(text: str) -> ChoiceRequest:
    """Return the options and the message of an instruction.

    The message is the longest quoted part, or what is set apart outside the options.

    Raises:
        CannotAnswerError: there is no list of at least two lettered options, or nothing besides it.
    """
    if len(text) > MAX_LENGTH:
        raise CannotAnswerError("it is too long")
    run: list[re.Match[str]] = []
    for marker in _MARKER.finditer(text):
        if marker[1] == "A":
            run = [marker]
        elif run and len(run) < len(_LETTERS) and marker[1] == _LETTERS[len(run)]:
            run.append(marker)
    if len(run) < 2:
        raise CannotAnswerError("it offers no lettered options")
    ends = [marker.start() for marker in run[1:]] + [len(text)]
    options = {
        marker[1]: text[marker.end() : end].strip().split("\n")[0].strip(" ,;")
        for marker, end in zip(run, ends, strict=True)
    }
    newline = text.find("\n", run[-1].end())
    outside = text[: run[0].start()] + "\n" + (text[newline:] if newline >= 0 else "")
    quoted = [part for part in quoted_parts(outside) if len(part.split()) > 2]
    message = max(quoted, key=len) if quoted else payload_of(outside).strip()
    if not message:
        raise CannotAnswerError("there is nothing besides the options")
    return ChoiceRequest(options, message)
