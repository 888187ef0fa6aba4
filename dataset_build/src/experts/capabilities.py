"""What a conversation needs of an expert, and what an expert can take: nobody is sent what it cannot read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dataset_build.src.experts.chat_call import ChatCall, asked_bound
from dataset_build.src.tokens import PER_MESSAGE, count_tokens, most_tokens

#: Tokens that an image is taken for, and has at most: what the large models make of their largest one.
IMAGE_TOKENS, MOST_IMAGE_TOKENS = 1_000, 5_000
#: Characters of encoded sound per token: uncompressed as it is usually sent, and compressed as far as speech can be.
SOUND_PER_TOKEN, LEAST_SOUND_PER_TOKEN = 4_000, 100
#: Keys of a request that only a model with tools understands, of the present protocol and of the one before.
_TOOL_KEYS = ("tools", "functions")
#: Characters of a text up to which all its tokens are counted; of a longer one those of three parts as long together.
COUNTED_WHOLE = 6_000
#: Texts of a conversation that are counted each by itself; what comes after them is taken for one.
COUNTED_TEXTS = 2_000
#: Kinds of a message's parts.
_IMAGES, _SOUNDS = frozenset({"image_url", "input_image", "image"}), frozenset({"input_audio", "audio"})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an expert can take besides a text; a request that needs more is never sent to it.

    Attributes:
        tools: Definitions of tools, and messages with their calls and results.
        vision: Images.
        audio: Sound.
        json_mode: `response_format` other than text.
        context_tokens: Tokens that a request and its answer may have together; None where nothing is known.
    """

    tools: bool = False
    vision: bool = False
    audio: bool = False
    json_mode: bool = False
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a conversation needs; the fields are those of `Capabilities`.

    Attributes:
        tools: Whether tools are defined, or were used before.
        vision: Whether an image is shown.
        audio: Whether there is sound to hear, or to be made.
        json_mode: Whether the answer's form is prescribed.
        tokens: About how many the conversation and its answer have together.
    """

    tools: bool = False
    vision: bool = False
    audio: bool = False
    json_mode: bool = False
    tokens: int = 0

    @classmethod
    def of(cls, call: ChatCall, answer_tokens: int = 0, *, counts_tokens: bool = True) -> "Needs":
        """Return the needs of a call.

        Args:
            call: The conversation.
            answer_tokens: Tokens to keep free for the answer, where the call does not bound it.
            counts_tokens: Whether tokens are counted; they are 0 where nobody asks.
        """
        if call.is_plain and isinstance(call.messages[0].get("content"), str):
            return cls(tokens=prompt_tokens(call) + answer_tokens if counts_tokens else 0)
        kinds = {_kind(part) for message in call.messages for part in _parts(message)}
        options = call.options
        form = options.get("response_format")
        modalities = options.get("modalities")
        bound = asked_bound(options)
        return cls(
            tools=any(options.get(key) for key in _TOOL_KEYS) or any(map(_is_of_a_tool, call.messages)),
            vision=bool(kinds & _IMAGES),
            audio=bool(kinds & _SOUNDS) or (isinstance(modalities, Sequence) and "audio" in modalities),
            json_mode=isinstance(form, Mapping) and form.get("type", "text") != "text",
            tokens=prompt_tokens(call) + (answer_tokens if bound is None else bound) if counts_tokens else 0,
        )


def missing(capabilities: Capabilities, needs: Needs) -> tuple[str, ...]:
    """Return which capabilities an expert lacks for what is needed; empty where it has all."""
    lacking = [
        name
        for name in ("tools", "vision", "audio", "json_mode")
        if getattr(needs, name) and not getattr(capabilities, name)
    ]
    if capabilities.context_tokens is not None and needs.tokens > capabilities.context_tokens:
        lacking.append("context_tokens")
    return tuple(lacking)


def prompt_tokens(call: ChatCall) -> int:
    """Return about how many tokens an expert reads: messages, images, sound, and the definitions of tools."""
    count = PER_MESSAGE * len(call.messages)
    texts = _texts(call)
    for text in islice(texts, COUNTED_TEXTS):
        count += _about(text)
    count += _about("\n".join(texts))
    for kind, size in _media(call):
        count += IMAGE_TOKENS if kind in _IMAGES else size // SOUND_PER_TOKEN
    return count


def most_prompt_tokens(call: ChatCall) -> int:
    """Return how many it reads at most; an image is taken for one of the largest."""
    count = PER_MESSAGE * len(call.messages)
    for text in _texts(call):
        count += most_tokens(text)
    for kind, size in _media(call):
        count += MOST_IMAGE_TOKENS if kind in _IMAGES else size // LEAST_SOUND_PER_TOKEN
    return count


def _about(text: str) -> int:
    """Return about how many tokens a text has, in a time that does not grow with it."""
    if len(text) <= COUNTED_WHOLE:
        return count_tokens(text)
    part = COUNTED_WHOLE // 3
    middle = (len(text) - part) // 2
    sample = text[:part] + text[middle : middle + part] + text[-part:]
    return round(count_tokens(sample) * len(text) / len(sample))


def _is_of_a_tool(message: Mapping[str, Any]) -> bool:
    is_result = message.get("role") in ("tool", "function")
    return is_result or bool(message.get("tool_calls") or message.get("function_call"))


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list | tuple) else []


def _kind(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _texts(call: ChatCall) -> Iterator[str]:
    """Yield every text that is read, keys and values of what is no plain text included."""
    for message in call.messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        for part in _parts(message):
            if _kind(part) not in _IMAGES | _SOUNDS:
                yield from _leaves(part)
        for key in ("tool_calls", "function_call", "name", "refusal"):
            yield from _leaves(message.get(key))
    for key in (*_TOOL_KEYS, "response_format"):
        yield from _leaves(call.options.get(key))


def _media(call: ChatCall) -> Iterator[tuple[str, int]]:
    """Yield kind and size in characters of every image and sound."""
    for message in call.messages:
        for part in _parts(message):
            kind = _kind(part)
            if kind in _IMAGES | _SOUNDS:
                yield kind, sum(map(len, _leaves(part)))


def _leaves(value: object) -> Iterator[str]:
    """Yield the texts in a JSON value; a number is one too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif one is not None:
            yield str(one)
