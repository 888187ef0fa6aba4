r"""A text as it is shown to a judge: what could steer the judge's model is visible and has no power.

- `<|im_start|>`, `[INST]`, `</s>`, `<think>` and their like, which a tokenizer turns into control tokens, lose their
  brackets: `‹|im_start|›`. So does `<<<`, with which the fences of a prompt begin.
- Headings of chat formats (`### Instruction:`, `Human:`) get a backslash before them.
- Characters that nobody sees (zero width, bidirectional, tags, control, lone surrogates) are written as `\u200b`.

Neutralising a text again changes nothing.
"""

import re

# The names of control tokens in the templates of well-known families of models.
_ANGLE = re.compile(
    r"<{3,}|<<(?=/?SYS>>)|<(?=/?\uff5c)|<(?=\|[^<>\n]{0,80}\|>)"
    r"|<(?=/?(?:s|bos|eos|unk|pad|mask|sep|cls|think|thinking|reasoning|tool_call|tool_response|tools|"
    r"start_of_turn|end_of_turn|start_of_image|end_of_utterance|sop|eop|eoh|eoa|eot|eos_token|"
    r"tool_code|function_calls|arg_(?:key|value)|(?:seed|minimax):\w{1,40}|special_\d{1,4}|extra_\d{1,4}|"
    r"system|user|assistant|human|instruction|instructions|fim_(?:prefix|middle|suffix)|"
    r"unused\d{1,4}|extra_id_\d{1,4}|reserved_(?:token_)?\d{1,4})\s?/?>)",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"(‹[^<>‹›\n]{0,84})>")
_SQUARE = re.compile(
    r"\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|PREFIX|MIDDLE|SUFFIX|IMG|THINK|"
    r"CLS|SEP|MASK|PAD|UNK|gMASK|sMASK))\]",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"(?m)^([ \t]*)(?=#{2,6} ?(?:instructions?|response|input|system|user|assistant|human)\b[ \t]*:?"
    r"|(?:human|assistant|system|user|ai)[ \t]*:)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
# Joiners between letters of scripts that need them, and in emoji, stay.
_JOINER = re.compile("(?<![^\u0000-\u00ff\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\u0000-\u00ff\u200c\u200d])")
_RUN = re.compile(r"(\\u\{?[0-9a-f]{4,6}\}?)\1{3,}")


def neutralise(text: str) -> str:
    """Return `text` such that it can only be read."""
    text = text.replace("\r\n", "\n")
    for pattern in (_HIDDEN, _JOINER):
        text = pattern.sub(lambda found: _escaped(found[0]), text)
    text = _RUN.sub(lambda found: f"{found[1]} (and {len(found[0]) // len(found[1]) - 1:,} more of it)", text)
    text = _ANGLE.sub(lambda found: "‹" * len(found[0]), text)
    text = _CLOSING.sub(r"\1›", text)
    text = _SQUARE.sub(r"⟦\1⟧", text)
    return _HEADING.sub(r"\1\\", text)


def shown(text: str, most_characters: int) -> str:
    """Return `text` neutralised; of a long one the beginning and the end, and between them how much is left out."""
    if len(text) <= most_characters:
        whole = neutralise(text)
        if len(whole) <= most_characters:
            return whole
        head, tail = whole, whole
    else:
        head, tail = neutralise(text[:most_characters]), neutralise(text[-most_characters:])
    half = most_characters // 2
    return f"{head[:half]}\n[… the middle of {len(text):,} characters is left out …]\n{tail[-half:]}"


def is_cut(text: str, most_characters: int) -> bool:
    """Return whether `shown` leaves something out."""
    return len(text) > most_characters or len(neutralise(text)) > most_characters


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\u{{{code:x}}}"
