"""What goes wrong, as clients of OpenAI's API expect to hear it: a status and `{"error": {…}}`, never a stack trace."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from dataset_build import ConfigError, ExpertError, ToolkitError
from mixture_training.src.server.json_bytes import write_json

if TYPE_CHECKING:
    from aiohttp import web

#: `type` of an error by its status; others are `invalid_request_error`.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
#: `code` of an error that names none.
_CODES = {
    400: "invalid_value",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    414: "request_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
    502: "experts_failed",
    503: "unavailable",
    504: "timeout",
}
#: Headers of every answer of the API.
COMMON_HEADERS = {"Server": "moe", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: Kinds of failed calls that are the request's own fault when every expert fails by one of them.
_CLIENTS_FAULT = frozenset({"bad_request", "too_long", "content_filter", "no_capability"})
#: Kinds that pass by themselves, and seconds after which it is worth asking again.
_SOON, _SOON_S = frozenset({"circuit_open", "busy", "rate_limit", "overloaded"}), 2


class ApiError(Exception):
    """A request that gets an error for an answer.

    Args:
        status: Of HTTP.
        message: For the client; nothing of the inside.
        param: The field at fault.
        code: A stable word; None takes that of the status.
        kind: OpenAI's `type`; None takes that of the status.
        headers: Further headers of the answer.
        decision: The id of the decision that failed, where one was made.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        decision: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code or _CODES.get(status, "invalid_request")
        self.kind = kind or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.headers = dict(headers or {})
        self.decision = decision

    def to_json(self) -> dict[str, object]:
        """Return the body of the answer."""
        error: dict[str, object] = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        if self.decision is not None:
            error["decision"] = self.decision
        return {"error": error}

    def response(self) -> "web.Response":
        """Return the answer."""
        from aiohttp import web

        headers = {**COMMON_HEADERS, **self.headers}
        if self.decision is not None:
            headers["x-moe-decision"] = self.decision
        return web.Response(
            status=self.status, body=write_json(self.to_json()), content_type="application/json", headers=headers
        )


def unavailable(message: str, *, code: str = "unavailable", retry_after_s: float = 1.0) -> ApiError:
    """Return the error of what will work again soon."""
    return ApiError(503, message, code=code, headers={"Retry-After": str(max(1, round(retry_after_s)))})


def from_http(status: int, allowed: Mapping[str, str]) -> ApiError:
    """Return the error for what the web framework refused by itself."""
    reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else "error"
    says = {
        404: "There is no such address; the API's addresses are in /openapi.json.",
        405: "This address does not take this method.",
        413: "The body is larger than this server takes.",
    }.get(status, f"{reason}.")
    return ApiError(status, says, headers={name: allowed[name] for name in ("Allow",) if name in allowed})


def from_toolkit(problem: ToolkitError) -> ApiError:
    """Return what a client hears of an error of the toolkit.

    Of failed experts it hears the names and the kinds of failure: what endpoints say may name places inside.
    """
    decision = getattr(problem, "decision_id", None)
    if isinstance(problem, ConfigError):
        return ApiError(400, str(problem), decision=decision)
    if not isinstance(problem, ExpertError):
        return ApiError(500, "The server could not do this.", decision=decision)
    attempts = getattr(problem, "attempts", ())
    kinds = {attempt.expert: _kind(attempt.error) for attempt in attempts if attempt.error}
    said = "; ".join(f"{expert}: {kind}" for expert, kind in kinds.items()) or problem.kind
    if kinds and set(kinds.values()) <= _CLIENTS_FAULT or problem.kind in _CLIENTS_FAULT:
        return ApiError(400, f"No expert takes this request ({said}).", code="experts_refused", decision=decision)
    if kinds and set(kinds.values()) == {"timeout"} or problem.kind == "timeout":
        return ApiError(504, f"No expert answered in time ({said}).", decision=decision)
    if kinds and set(kinds.values()) <= _SOON or problem.kind in _SOON:
        retry = {"Retry-After": str(_SOON_S)}
        return ApiError(503, f"No expert takes calls now ({said}).", headers=retry, decision=decision)
    return ApiError(502, f"Every expert failed ({said}).", decision=decision)


def _kind(error: str) -> str:
    return error.partition(":")[0][:40]


def safe_header(value: object) -> str:
    """Return `value` as the value of a header: printable ASCII on one line, the rest as `?`, 200 characters at most."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in str(value)[:200])
