"""A judge's reply → its verdict, or what is wrong with the reply.

    {"reason": "Right, but it omits the unit.", "score": 7}
    Sure! ```json
    {"reason": "B is wrong.", "verdict": "A"}
    ```

A reply with two verdicts that differ is not guessed at: a judge may be repeating what the response told it to say.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from dataset_build.src.judging.config import JudgeConfig

#: Characters of a reply that are looked at, from its end, and JSON objects in them.
MOST_CHARACTERS, MOST_OBJECTS = 50_000, 200
#: Characters of a reason that are kept.
LONGEST_REASON = 500

_OPENED = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_CLOSED = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_SHARES = {"a": 1.0, "b": 0.0, "tie": 0.5}


class UnreadableReplyError(ValueError):
    """A reply holds no verdict; the message says why, in half a sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said.

    Attributes:
        value: In [0, 1]: the place on the scale; of two answers 1 where the first is better, 0.5 for a tie.
        reason: In its own words.
    """

    value: float
    reason: str


def schema_of(config: JudgeConfig, *, bounds: bool = True) -> dict[str, Any]:
    """Return the JSON schema of a reply.

    Args:
        config: The judge's.
        bounds: Whether it states the ends of the scale, which some endpoints refuse in a schema.
    """
    low, high = config.scale
    name, verdict = (
        ("verdict", {"type": "string", "enum": ["A", "B", "tie"]})
        if config.mode == "pairwise"
        else ("score", {"type": "number", **({"minimum": low, "maximum": high} if bounds else {})})
    )
    return {
        "type": "object",
        "properties": {"reason": {"type": "string"}, name: verdict},
        "required": ["reason", name],
        "additionalProperties": False,
    }


def read_verdict(reply: str, config: JudgeConfig, *, is_cut: bool = False) -> Verdict:
    """Return the verdict in a reply, which may stand in prose or in a code block; thoughts before it do not count.

    A missing reason is forgiven: a further call would buy nothing.

    Args:
        reply: What the judge wrote.
        config: The judge's.
        is_cut: Whether it was cut off for its length: what such a reply holds may be a thought.

    Raises:
        UnreadableReplyError: there is none, it is not of the schema, or there are several that differ.
    """
    key = "verdict" if config.mode == "pairwise" else "score"
    if is_cut and not _CLOSED.search(reply):
        raise UnreadableReplyError("it was cut off before its end")
    # A reply that is one object and nothing else is said, whatever tags its reason quotes.
    is_object = reply.lstrip().startswith("{") and reply.rstrip().endswith("}")
    whole = _objects(reply.strip()) if is_object and len(reply) <= MOST_CHARACTERS else []
    said = whole if len(whole) == 1 else _objects(_said(reply)[-MOST_CHARACTERS:])
    candidates = [found for found in said if key in found]
    if not candidates:
        raise UnreadableReplyError(f'it holds no JSON object with "{key}"')
    verdicts = [_verdict(found, key, config) for found in candidates]
    if len({verdict.value for verdict in verdicts}) > 1:
        raise UnreadableReplyError(f'it holds several JSON objects with "{key}" that differ')
    return verdicts[-1]


def _said(reply: str) -> str:
    """Return a reply without what is thought in it; some models leave the opening tag out, or do not end."""
    parts = []
    place = 0
    while (opened := _OPENED.search(reply, place)) is not None:
        parts.append(reply[place : opened.start()])
        closed = _CLOSED.search(reply, opened.end())
        place = closed.end() if closed else len(reply)
    parts.append(reply[place:])
    return _CLOSED.split("".join(parts))[-1]


def _verdict(found: dict[str, Any], key: str, config: JudgeConfig) -> Verdict:
    given, reason = found[key], found.get("reason", "")
    if not isinstance(reason, str):
        raise UnreadableReplyError('"reason" is no text')
    reason = " ".join(reason.split())[:LONGEST_REASON]
    if key == "verdict":
        if not isinstance(given, str) or given.strip().lower() not in _SHARES:
            raise UnreadableReplyError('"verdict" is not one of "A", "B" and "tie"')
        return Verdict(_SHARES[given.strip().lower()], reason)
    low, high = config.scale
    if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
        raise UnreadableReplyError(f'"score" is no number from {low} to {high}')
    return Verdict((given - low) / (high - low), reason)


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text, those inside others left out."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, strict=False)  # a line may break inside of a text
    found: list[dict[str, Any]] = []
    place = text.find("{")
    tries = 0
    while place >= 0 and tries < MOST_OBJECTS:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, place)
            found.append(value)
        except (ValueError, RecursionError):
            end = place + 1
        place = text.find("{", end)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key comes twice")
    return made
