"""Which part of an instruction is the text to work on, and which part says what to do with it."""

import re

#: Longer texts are cut: what a tool is asked about stands in the first characters.
MAX_LENGTH = 8000

_QUOTED = re.compile(
    r"```(?:\w*\n)?([^`]{1,6000})```"
    r"|\"([^\"]{1,6000})\""
    r"|“([^”]{1,6000})”"
    r"|„([^“”]{1,6000})[“”]"
    r"|«([^»]{1,6000})»"
    r"|»([^«]{1,6000})«"
    r"|(?<!\w)‘([^’]{1,600}(?:’\w[^’]{0,600}){0,8})’(?!\w)"
    r"|(?<!\w)'([^'\s][^']{0,600}(?:'\w[^']{0,600}){0,8})'(?!\w)"
    r"|`([^`]{1,6000})`"
    r"|<<<?([^<>]{1,6000})>>>?"
    r"|\[([^\[\]]{12,6000})\]"
)
_SEPARATOR = re.compile(r":\s+|\s(?:->|=>|—|–|--|\|)\s")
#: A quotation this much shorter than the part it stands in is taken for a piece of that part.
_QUOTED_SHARE = 0.34
_REQUEST = re.compile(
    r"\?\W*\Z|\b(?:please|classify|label|labels|identify|decide|guess|reply|answer|tell me|give me|name"
    r"|which|use the)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？।])[\"'”»’)]*\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def quoted_parts(text: str) -> list[str]:
    """Return what stands between quotation marks of any style, in order."""
    parts = (next(group for group in match.groups() if group) for match in _QUOTED.finditer(text[:MAX_LENGTH]))
    return [part.strip() for part in parts if part.strip()]


def payload_of(text: str) -> str:
    """Return what an instruction is about, without the request.

    The longest quoted part, unless it is a short quotation within a longer part set off in another way; else the
    longest part on lines of its own or after a colon, requests last; else the whole.

    >>> payload_of("Is 'I can't complain' a happy thing to say?")
    "I can't complain"
    >>> payload_of("Which language is this: Guten Tag, Frau Holm.")
    'Guten Tag, Frau Holm.'
    """
    text = text[:MAX_LENGTH].strip()
    quoted, apart = max(quoted_parts(text), key=len, default=""), _set_apart(text)
    if quoted and not (quoted in apart and len(quoted) < _QUOTED_SHARE * len(apart)):
        return quoted
    return apart or text


def _set_apart(text: str) -> str:
    blocks = [block.strip() for block in re.split(r"\n[^\S\n]*\n", text) if block.strip()]
    if len(blocks) == 1:
        lead, _, rest = text.partition("\n")
        if rest and lead.rstrip().endswith(":"):
            return rest.strip()
        blocks = [line.strip() for line in text.split("\n") if line.strip()]
    parts = []
    for index, block in enumerate(blocks):
        pieces = [piece.strip() for piece in _SEPARATOR.split(block)]
        if len(pieces) > 1 and (index == 0 or block.endswith(":")):
            parts.extend(pieces[1:])
        elif len(blocks) > 1 and not block.endswith(":"):
            parts.append(block)
    return max(parts, key=lambda part: (_REQUEST.search(part) is None, len(part)), default="")


def find_passage(text: str) -> str:
    """Return the longest stretch of prose in an instruction: a quoted part or a paragraph, of whatever length.

    Unlike `payload_of` it takes a colon inside a passage for what it is, and a paragraph over a short quotation.
    """
    text = text[:MAX_LENGTH].strip()
    long_quoted = [part for part in quoted_parts(text) if len(part) > len(text) / 2]
    if long_quoted:
        return max(long_quoted, key=len)
    paragraph = max(text.splitlines() or [text], key=len).strip()
    start = re.match(r"[^.!?]{0,160}?:\s+(?=\S)", paragraph)
    return paragraph[start.end() :] if start else paragraph


def sentences(passage: str) -> list[str]:
    """Return the sentences of a passage, in order, cut at closing punctuation and new lines."""
    return [part.strip() for part in _SENTENCE_END.split(passage) if part and part.strip()]


def words(text: str) -> list[str]:
    """Return the words of a text as written, apostrophes and hyphens inside them kept."""
    return _WORD.findall(text)
