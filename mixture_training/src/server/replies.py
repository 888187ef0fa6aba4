"""What experts answered, in the shapes of OpenAI's API; each carries what was decided in a field `moe`."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mixture_training.src.decisions import CHAT_PREFIX, TEXT_PREFIX
from mixture_training.src.server.api_errors import COMMON_HEADERS, safe_header
from mixture_training.src.server.json_bytes import write_json

if TYPE_CHECKING:
    from dataset_build import ChatPiece
    from mixture_training.src.asking import MoEResult

#: Ends a stream.
DONE = b"data: [DONE]\n\n"


def headers_of(result: "MoEResult") -> dict[str, str]:
    """Return the headers that tell what was decided."""
    return {
        **COMMON_HEADERS,
        "x-moe-decision": safe_header(result.id),
        "x-moe-expert": safe_header(result.expert),
        "x-moe-cost-usd": f"{result.cost:.9g}",
        "x-moe-router-version": safe_header(result.router_version),
        "x-moe-policy": safe_header(result.policy),
    }


def moe_field(result: "MoEResult") -> dict[str, Any]:
    """Return what was decided, as it stands in the body.

    `decision` is what feedback refers to, `expert` who answered, `cost_usd` what all attempts cost, `attempts` each
    call that was made with its outcome.
    """
    return {
        "decision": result.id,
        "expert": result.expert,
        "policy": result.policy,
        "router_version": result.router_version,
        "cost_usd": result.cost,
        "expected_score": result.expected_score,
        "category": result.category,
        "reason": result.reason,
        "is_cached": result.is_cached,
        "attempts": [
            {
                "expert": attempt.expert,
                "outcome": "ok" if attempt.error is None else attempt.error.partition(":")[0],
                "cost_usd": attempt.cost,
                "latency_s": round(attempt.latency_s, 6),
            }
            for attempt in result.attempts
        ],
    }


def usage_field(usage: object) -> dict[str, Any]:
    """Return the tokens of an answer as OpenAI counts them; what is unknown is 0."""

    def count(name: str) -> int:
        value = usage.get(name) if isinstance(usage, Mapping) else getattr(usage, name, None)
        return int(value or 0)

    prompt, completion = count("prompt_tokens"), count("completion_tokens")
    cached, reasoning = count("cached_tokens"), count("reasoning_tokens")
    field: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached:
        field["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning:
        field["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return field


def chat_reply(result: "MoEResult") -> bytes:
    """Return the body of a whole answer to /v1/chat/completions."""
    choice: dict[str, Any] = dict(result.choice or {"message": {"role": "assistant", "content": result.response}})
    choice["index"] = 0
    choice["finish_reason"] = result.finish_reason or choice.get("finish_reason") or "stop"
    message = choice.get("message")
    if not isinstance(message, Mapping) or "role" not in message:
        choice["message"] = {"role": "assistant", **(message or {"content": result.response})}
    return write_json(
        {
            "id": CHAT_PREFIX + result.id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": result.expert,
            "choices": [choice],
            "usage": usage_field(result.usage),
            "moe": moe_field(result),
        }
    )


def completion_reply(result: "MoEResult") -> bytes:
    """Return the body of a whole answer to /v1/completions."""
    return write_json(
        {
            "id": TEXT_PREFIX + result.id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": result.expert,
            "choices": [
                {
                    "index": 0,
                    "text": result.response,
                    "logprobs": None,
                    "finish_reason": result.finish_reason or "stop",
                }
            ],
            "usage": usage_field(result.usage),
            "moe": moe_field(result),
        }
    )


class ChunkWriter:
    """Writes the chunks of one stream; what all have in common is written once.

    Args:
        decision: The id of the decision.
        expert: Who answers.
        is_chat: Chunks of /v1/chat/completions, or else of /v1/completions.
    """

    def __init__(self, decision: str, expert: str, *, is_chat: bool) -> None:
        self._is_chat = is_chat
        head = {
            "id": (CHAT_PREFIX if is_chat else TEXT_PREFIX) + decision,
            "object": "chat.completion.chunk" if is_chat else "text_completion",
            "created": int(time.time()),
            "model": expert,
        }
        start = b"data: " + write_json(head)[:-1]
        self._bare = start + b',"choices":[]'
        self._start = start + (b',"choices":[{"index":0,"delta":' if is_chat else b',"choices":[{"index":0,"text":')

    def piece(self, piece: "ChatPiece") -> bytes:
        """Return the chunk of a piece that is not the last."""
        if self._is_chat:
            return b"".join((self._start, write_json(piece.delta), b',"logprobs":null,"finish_reason":null}]}\n\n'))
        return b"".join((self._start, write_json(piece.text), b',"logprobs":null,"finish_reason":null}]}\n\n'))

    def last(self, delta: Mapping[str, Any], finish_reason: str, moe: Mapping[str, Any]) -> bytes:
        """Return the chunk that says why the answer ended, and what was decided."""
        content = write_json(delta if self._is_chat else str(delta.get("content") or ""))
        end = b',"logprobs":null,"finish_reason":' + write_json(finish_reason) + b'}],"moe":' + write_json(moe)
        return b"".join((self._start, content, end, b"}\n\n"))

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        """Return the chunk with the tokens."""
        return b"".join((self._bare, b',"usage":', write_json(usage), b"}\n\n"))

    def resumed(self, expert: str, after: str) -> bytes:
        """Return the chunk that marks where another expert took over."""
        return b"".join((self._bare, b',"moe":', write_json({"resumed": {"expert": expert, "after": after}}), b"}\n\n"))


def error_chunk(error: Mapping[str, Any]) -> bytes:
    """Return the event of a stream that broke; no [DONE] follows it."""
    return b"data: " + write_json(error) + b"\n\n"
