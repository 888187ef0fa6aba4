"""The OpenAI chat protocol, read: the body of a reply → an answer, or the error it stands for.

Endpoints differ in how they fail: a status, an error object under status 200, HTML from a proxy, half a body.
"""

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from dataset_build.src.errors import ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.records import Answer

#: Characters of an endpoint's message that are kept.
LONGEST_MESSAGE = 300


def read_answer(body: bytes, *, expert: str, hidden: str | None = None) -> Answer | ExpertError:
    """Return the answer in the body of a reply with status 200, or what is wrong with it.

    A model's own refusal is an answer. A reply without any text is not one: kind `empty_response`, or
    `content_filter` where the endpoint says it removed the text.

    Args:
        body: The reply.
        expert: The expert's name, for the error.
        hidden: The key, replaced by `***` wherever the endpoint repeats it.
    """
    payload = _json(body)
    if not isinstance(payload, dict):
        return _invalid(f"expected a JSON object, got {_start(body, hidden)}", expert)
    if not payload.get("choices") and isinstance(payload.get("error"), dict):
        status = payload["error"].get("code")
        return read_failure(status if isinstance(status, int) else 502, {}, body, expert=expert, hidden=hidden)
    choice = _first(payload.get("choices"))
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        return _invalid(f"the reply has no choices: {_start(body, hidden)}", expert)
    finish_reason = _text_or_none(choice.get("finish_reason"))
    if finish_reason == "content_filter":
        return ExpertRefusedError("the endpoint's content filter took the text", expert=expert, kind="content_filter")
    text = _content(message.get("content")) or _content(message.get("refusal"))
    if not text.strip():
        return ExpertRefusedError(
            f"the reply has no text (finish_reason {finish_reason})", expert=expert, kind="empty_response"
        )
    usage = payload.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Answer(
        text=text,
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        model=_text_or_none(payload.get("model")),
        finish_reason=finish_reason,
    )


def read_failure(
    status: int, headers: Mapping[str, str], body: bytes, *, expert: str, hidden: str | None = None
) -> ExpertError:
    """Return the error that a reply with a status other than 200 stands for.

    Args:
        status: The HTTP status.
        headers: Of the reply; `Retry-After` and `retry-after-ms` are honoured.
        body: The reply.
        expert: The expert's name.
        hidden: The key, replaced by `***` wherever the endpoint repeats it.
    """
    payload = _json(body)
    error = payload.get("error") if isinstance(payload, dict) else None
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    message = f"HTTP {status}: {_message(payload, error) or _start(body, hidden)}"
    message = _masked(message, hidden)[:LONGEST_MESSAGE]
    if code in ("content_filter", "content_policy_violation"):
        return ExpertRefusedError(message, expert=expert, kind="content_filter")
    if status in (401, 403):
        return ExpertRefusedError(message, expert=expert, kind="auth")
    if status == 402 or code == "insufficient_quota":
        return ExpertRefusedError(message, expert=expert, kind="quota")
    wait = retry_after_s(headers)
    if status == 429:
        return ExpertUnavailableError(message, expert=expert, kind="rate_limit", retry_after_s=wait)
    if status in (408, 504):
        return ExpertUnavailableError(message, expert=expert, kind="timeout", retry_after_s=wait)
    if status >= 500 or status in (409, 425):
        return ExpertUnavailableError(message, expert=expert, kind="server_error", retry_after_s=wait)
    if 200 <= status < 300:
        return _invalid(message, expert)
    if 300 <= status < 400:
        message += f" (moved to {headers.get('Location', 'nowhere')}; correct base_url)"
    return ExpertRefusedError(message, expert=expert, kind="bad_request")


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


def _invalid(message: str, expert: str) -> ExpertUnavailableError:
    return ExpertUnavailableError(message, expert=expert, kind="invalid_response")


def _json(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _first(choices: object) -> dict[str, Any] | None:
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return None


def _content(content: object) -> str:
    """Return the text of a message, whether it is plain or a list of parts."""
    if isinstance(content, list):
        return "".join(_content(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _message(payload: object, error: object) -> str:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    if isinstance(error, str):
        return error
    detail = payload.get("detail") or payload.get("message") if isinstance(payload, dict) else None
    return json.dumps(detail) if detail else ""


def _start(body: bytes, hidden: str | None) -> str:
    text = " ".join(body[:4096].decode("utf-8", "replace").split())
    return repr(_masked(text, hidden)[:100]) if text else "an empty body"


def _masked(text: str, hidden: str | None) -> str:
    return text.replace(hidden, "***") if hidden else text


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
