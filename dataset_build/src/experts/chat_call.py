"""A conversation on its way to an expert, and what comes back of it piece by piece.

Messages, tools and options are those of the OpenAI chat protocol; they are passed on untouched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset_build.src.records import is_count

#: Keys of a request that the toolkit sets itself.
OWN_KEYS = frozenset({"messages", "model", "n", "stream", "stream_options"})
#: Keys of a request that bound its answer: the protocol's older name and the one of reasoning models.
BOUNDS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What a client asks.

    Attributes:
        messages: At least one, each with a `role` and a `content` (a text, a list of parts, or null beside tool calls).
        options: Further keys of the request (tools, tool_choice, response_format, max_tokens …); none of `OWN_KEYS`.
    """

    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "ChatCall":
        """Return the call of a plain instruction."""
        return cls(({"role": "user", "content": text},))

    @property
    def is_plain(self) -> bool:
        """Whether it is one instruction and nothing else."""
        return len(self.messages) == 1 and self.messages[0].get("role") == "user" and not self.options

    @property
    def last_text(self) -> str:
        """What the user said last, as text; empty where no user said anything."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message.get("content"))
        return ""

    @property
    def transcript(self) -> str:
        """The whole conversation as one text, for an expert that takes no messages."""
        if len(self.messages) == 1:
            return text_of(self.messages[0].get("content"))
        return "\n\n".join(
            f"{message.get('role', 'user')}: {text_of(message.get('content'))}" for message in self.messages
        )


@dataclass(frozen=True, slots=True)
class ChatPiece:
    """A piece of a streamed answer.

    Attributes:
        delta: As the endpoint gave it: `content`, `tool_calls`, `refusal`, `reasoning_content` …
        finish_reason: Of the last piece.
        logprobs: Of its tokens, as the endpoint gave them.
        is_followed: Whether the next item of the stream has arrived with it: it comes without waiting, and both can be
            passed on at once.
    """

    delta: Mapping[str, Any]
    finish_reason: str | None = None
    logprobs: Mapping[str, Any] | None = None
    is_followed: bool = field(default=False, compare=False)

    @property
    def text(self) -> str:
        """The text of the piece; empty where it has none."""
        content = self.delta.get("content")
        return content if isinstance(content, str) else ""

    @property
    def is_token(self) -> bool:
        """Whether it shows anything: not one that only names the role, or that only says how the answer ended."""
        return any(value for key, value in self.delta.items() if key != "role")


def asked_bound(options: Mapping[str, Any]) -> int | None:
    """Return the tokens that the options of a call allow its answer; None where they do not say."""
    bounds = [options[key] for key in BOUNDS if is_count(options.get(key))]
    return min(bounds, default=None)


def text_of(content: object) -> str:
    """Return the text of a message's content, whether it is plain or a list of parts; images have none."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (
            part.get("text") for part in content if isinstance(part, Mapping) and part.get("type", "text") == "text"
        )
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""
