"""The OpenAI protocol, read: the body of a reply → its texts and tokens, or the error it stands for.

Endpoints differ in how they fail: a status, an error object under status 200, HTML from a proxy, half a body.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from dataset_build.src.errors import ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.masking import masked, masked_json
from dataset_build.src.records import Usage, is_count

#: Characters of an endpoint's message that are kept.
LONGEST_MESSAGE = 300
#: What endpoints say, under different codes, when a prompt and its answer do not fit the model.
_TOO_LONG = re.compile(
    r"context.?length|context.?window|context.?size|maximum.?context|prompt is too long|too many (input )?tokens"
    r"|inputs?\W+tokens.{0,40}must be <=",
    re.IGNORECASE,
)
#: Fields of a message that make it an answer without a text.
_INSTEAD_OF_TEXT = ("tool_calls", "function_call", "audio")
#: Statuses of a gateway that gave up waiting: the model behind it may have answered, and been paid.
_GAVE_UP = (504, 524)


@dataclass(slots=True)
class Reply:
    """What one reply holds.

    Attributes:
        texts: One text per sample, never empty.
        finish_reason: "length" where any sample was cut short, else that of the first.
        model: The model the endpoint says it served.
        usage: The tokens it reports; None where it reports none.
        choice: Of a conversation, its first choice as the endpoint gave it.
    """

    texts: list[str]
    finish_reason: str | None
    model: str | None
    usage: Usage | None
    choice: Mapping[str, Any] | None = None


class Reader(Protocol):
    """Reads a reply that is a JSON object: `read_payload`, or `read_chat`."""

    def __call__(self, payload: Mapping[str, Any], *, expert: str, hidden: Sequence[str] = ()) -> Reply | ExpertError:
        """Return what it holds, or what is wrong with it."""


def read_reply(
    body: bytes, *, expert: str, hidden: Sequence[str] = (), reader: Reader | None = None
) -> Reply | ExpertError:
    """Return what the body of a reply with status 200 holds, or what is wrong with it.

    Args:
        body: The reply.
        expert: The expert's name, for the error.
        hidden: Secrets, replaced by `***` wherever the endpoint repeats them.
        reader: What reads the JSON; None means `read_payload`.
    """
    payload = _json(body)
    if not isinstance(payload, dict):
        return invalid(f"expected a JSON object, got {_start(body, hidden)}", expert)
    if not payload.get("choices") and payload.get("error"):
        return read_error_object(payload, expert=expert, hidden=hidden)
    if not choices_of(payload):
        return invalid(f"the reply has no choices: {_start(body, hidden)}", expert)
    return (reader or read_payload)(payload, expert=expert, hidden=hidden)


def read_payload(payload: Mapping[str, Any], *, expert: str, hidden: Sequence[str] = ()) -> Reply | ExpertError:
    """Return what a reply holds, or what is wrong with it.

    A model's own refusal is a text. The text is what the model wrote as its answer: reasoning that the endpoint
    reports apart is left out, a `<think>` block inside the answer stays. A reply with a sample without any text is an
    error of the whole call, because a mean over the other samples would flatter the expert: `content_filter` where
    the endpoint says that it removed the text, else `empty_response`. Both carry what they are billed for.
    """
    usage = read_usage(payload.get("usage"))
    texts: list[str] = []
    reasons: list[str | None] = []
    for choice in choices_of(payload):
        if isinstance(choice.get("error"), dict):
            return read_error_object(choice, expert=expert, hidden=hidden, may_be_billed=True)
        text, reason = _shown(_text(choice), hidden), _shown(_text_or_none(choice.get("finish_reason")), hidden)
        if text is None:
            return invalid("a choice of the reply has neither a message nor a text", expert, usage=usage)
        if reason == "content_filter" or not text.strip():
            return _without_text(reason, usage, expert)
        texts.append(text)
        reasons.append(reason)
    if not texts:
        return invalid("the reply has no choices", expert, usage=usage)
    model = _shown(_text_or_none(payload.get("model")), hidden)
    return Reply(texts, "length" if "length" in reasons else reasons[0], model, usage)


def read_chat(payload: Mapping[str, Any], *, expert: str, hidden: Sequence[str] = ()) -> Reply | ExpertError:
    """Return the first choice of a reply to a conversation, as it is but for secrets, or what is wrong with it.

    Unlike an instruction's, its text may be empty: a message that calls tools, or sound, is an answer.
    """
    usage = read_usage(payload.get("usage"))
    choice = next(iter(choices_of(payload)), None)
    if choice is None:
        return invalid("the reply has no choices", expert, usage=usage)
    if isinstance(choice.get("error"), dict):
        return read_error_object(choice, expert=expert, hidden=hidden, may_be_billed=True)
    text, reason = _text(choice), _text_or_none(choice.get("finish_reason"))
    if text is None:
        return invalid("a choice of the reply has neither a message nor a text", expert, usage=usage)
    message = choice.get("message")
    if not isinstance(message, dict):  # of a plain completion
        message, choice = {"role": "assistant", "content": text}, {"index": 0, "finish_reason": reason}
    if reason == "content_filter" or not (text.strip() or any(message.get(field) for field in _INSTEAD_OF_TEXT)):
        return _without_text(reason, usage, expert)
    shown = _shown(text, hidden) or ""
    if shown != text:  # the tokens would tell what the text does not
        choice = {key: value for key, value in choice.items() if key != "logprobs"}
    try:
        choice = masked_json({**choice, "message": message}, hidden)
    except RecursionError:
        return invalid("the reply is nested too deeply", expert, usage=usage)
    model = _shown(_text_or_none(payload.get("model")), hidden)
    return Reply([shown], _shown(reason, hidden), model, usage, choice)


def choices_of(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of a reply, or of a piece of one, that have the shape of one."""
    choices = payload.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def read_usage(usage: object) -> Usage | None:
    """Return the tokens a reply reports; None where it tells neither those read nor those written, or 0 for both."""
    if not isinstance(usage, dict):
        return None
    prompt_tokens, completion_tokens = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if not prompt_tokens and not completion_tokens:
        return None
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = _count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None
    if cached is None:
        cached = _count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek's name
    reasoning = _count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else None
    return Usage(prompt_tokens, completion_tokens, cached, reasoning)


def total_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """Return the sum of what is known; None where nothing is."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < 2:
        return known[0] if known else None
    columns = zip(*((u.prompt_tokens, u.completion_tokens, u.cached_tokens, u.reasoning_tokens) for u in known))  # noqa: B905
    sums = ([count for count in column if count is not None] for column in columns)
    return Usage(*(sum(counts) if counts else None for counts in sums))


def read_failure(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    expert: str,
    hidden: Sequence[str] = (),
    may_be_billed: bool = False,
) -> ExpertError:
    """Return the error that a reply with a status other than 200 stands for.

    Args:
        status: The HTTP status.
        headers: Of the reply; `Retry-After` and `retry-after-ms` are honoured.
        body: The reply.
        expert: The expert's name.
        hidden: Secrets, replaced by `***` wherever the endpoint repeats them.
        may_be_billed: Whether the model had begun to answer already.
    """
    payload = _json(body)
    if isinstance(payload, list) and payload:
        payload = payload[0]  # Gemini's endpoint puts its error object into a list
    error = payload.get("error") if isinstance(payload, dict) else None
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    said = _message(payload, error)
    message = masked(f"HTTP {status}: {said or _start(body, hidden)}", hidden)[:LONGEST_MESSAGE]
    kind = _refusal(status, code, said)
    if kind is not None:
        if 300 <= status < 400:
            message += f" (moved to {masked(headers.get('Location', 'nowhere'), hidden)}; correct base_url)"
        return ExpertRefusedError(message, expert=expert, kind=kind, may_be_billed=may_be_billed)
    if 200 <= status < 300:
        return invalid(message, expert)
    return ExpertUnavailableError(
        message,
        expert=expert,
        kind=_outage(status),
        retry_after_s=retry_after_s(headers),
        may_be_billed=may_be_billed or status in _GAVE_UP,
    )


def read_error_object(
    payload: Mapping[str, Any], *, expert: str, hidden: Sequence[str] = (), may_be_billed: bool = False
) -> ExpertError:
    """Return the error that an error object under status 200 stands for; its code is read as a status."""
    error = payload["error"]
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 300 <= code < 600 else 502
    body = json.dumps({"error": error}).encode()
    return read_failure(status, {}, body, expert=expert, hidden=hidden, may_be_billed=may_be_billed)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a reply asks to wait, never negative; None when it does not say, or not legibly.

    `retry-after-ms` holds milliseconds; `Retry-After` seconds or a date (RFC 9110, section 10.2.3).
    """
    for name, scale in (("retry-after-ms", 1e-3), ("Retry-After", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        return seconds if 0.0 <= seconds < float("inf") else None
    try:
        moment = parsedate_to_datetime(headers.get("Retry-After", ""))
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def invalid(message: str, expert: str, *, usage: Usage | None = None) -> ExpertUnavailableError:
    """Return the error of a reply nobody can read; what it held may be billed unless it is known that it is."""
    return ExpertUnavailableError(
        message, expert=expert, kind="invalid_response", usage=usage, may_be_billed=usage is None
    )


def _shown(text: str | None, hidden: Sequence[str]) -> str | None:
    return text if text is None or not hidden else masked(text, hidden)


def _refusal(status: int, code: object, said: str) -> str | None:
    """Return the kind of a failure that a repeat would meet again; None where a repeat may succeed."""
    if code in ("content_filter", "content_policy_violation"):
        return "content_filter"
    if status in (401, 403):
        return "auth"
    if status == 402 or code in ("insufficient_quota", "billing_hard_limit_reached"):
        return "quota"
    if status in (400, 413, 422) and (status == 413 or _TOO_LONG.search(f"{code} {said}")):
        return "too_long"
    if status < 200 or (300 <= status < 500 and status not in (408, 409, 425, 429)):
        return "bad_request"
    return None


def _outage(status: int) -> str:
    if status == 429:
        return "rate_limit"
    if status == 408 or status in _GAVE_UP:
        return "timeout"
    return "overloaded" if status in (503, 529) else "server_error"


def _without_text(reason: str | None, usage: Usage | None, expert: str) -> ExpertRefusedError:
    message, kind = f"the reply has no text (finish_reason {reason})", "empty_response"
    if reason == "content_filter":
        message, kind = "the endpoint's content filter took the text", "content_filter"
    elif reason == "length":
        written = "all tokens" if usage is None or not usage.reasoning_tokens else f"{usage.reasoning_tokens} tokens"
        message = f"the reply has no text: {written} went into reasoning before max_tokens was reached; raise it"
    return ExpertRefusedError(message, expert=expert, kind=kind, usage=usage, may_be_billed=usage is None)


def _text(choice: Mapping[str, Any]) -> str | None:
    """Return the text of a choice of either API, or None where it has the shape of neither."""
    message = choice.get("message")
    if isinstance(message, dict):
        return _content(message.get("content")) or _content(message.get("refusal"))
    text = choice.get("text")
    return text if isinstance(text, str) else None


def _json(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _content(content: object) -> str:
    """Return the text of a message, whether it is plain or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_content(part.get("text")) for part in content if isinstance(part, dict))
    return ""


def _message(payload: object, error: object) -> str:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    if isinstance(error, str):
        return error
    detail = payload.get("detail") or payload.get("message") if isinstance(payload, dict) else None
    return json.dumps(detail) if detail else ""


def _start(body: bytes, hidden: Sequence[str]) -> str:
    text = " ".join(body[:4096].decode("utf-8", "replace").split())
    return repr(masked(text, hidden)[:100]) if text else "an empty body"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and is_count(value) else None


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
