"""The OpenAI protocol, written: options → the body of a request, and what is known about it before it is sent."""

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from dataset_build.src.errors import ConfigError
from dataset_build.src.experts.capabilities import most_prompt_tokens, prompt_tokens
from dataset_build.src.experts.chat_call import BOUNDS, ChatCall, asked_bound
from dataset_build.src.experts.http_connection import parsed_address
from dataset_build.src.experts.request_headers import looks_secret
from dataset_build.src.records import CallEstimate
from dataset_build.src.tokens import PER_MESSAGE, count_tokens, most_tokens

Api = Literal["chat", "completions"]
MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
#: API -> its path.
PATHS: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}
#: Keys of the request that are the toolkit's own.
RESERVED = ("messages", "model", "n", "prompt", "stream", "stream_options")
#: Roles of messages that say how to behave; where a conversation has one, the expert adds none of its own.
_SYSTEM_ROLES = ("system", "developer")


class ChatRequest:
    """What is sent for every instruction: everything but its text is written once.

    Args:
        name: The expert's name, for errors.
        model: What the endpoint calls the model.
        api: Whether messages or a plain prompt are sent.
        system_prompt: The system message; a plain prompt begins with it, followed by an empty line.
        options: Keys of the request; those that are None are left out.
        extra_body: Further keys; they win over `options`.
        n: Samples to ask for.
        stream: Whether to ask for the answer piece by piece.
        max_tokens_field: What the endpoint calls the bound of an answer that a conversation brings.

    Raises:
        ConfigError: a key is reserved, or the request cannot be written as JSON.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        api: Api,
        system_prompt: str | None,
        options: Mapping[str, Any],
        extra_body: Mapping[str, Any],
        n: int,
        stream: bool,
        max_tokens_field: MaxTokensField = "max_tokens",
    ) -> None:
        if n < 1 or (n > 1 and options.get("temperature") == 0):
            raise ConfigError(
                f"Expert {name!r}: n is {n}; it must be at least 1, and more than one sample needs a temperature "
                "above 0 (samples of a greedy model are all alike)."
            )
        for reserved in RESERVED:
            if reserved in extra_body:
                raise ConfigError(f"Expert {name!r}: extra_body holds {reserved!r}, which the expert sets itself.")
        if any(bound in extra_body for bound in BOUNDS):
            options = {key: value for key, value in options.items() if key not in BOUNDS}
        body = {key: value for key, value in options.items() if value is not None} | dict(extra_body)
        self.body: dict[str, Any] = {"model": model, **body}
        self.api = api
        self.n = n
        self._system_prompt = system_prompt or ""
        self._sent = {**self.body, **({"stream": True, "stream_options": {"include_usage": True}} if stream else {})}
        try:
            self._before, self._after = self._around(n, 0)
        except (TypeError, ValueError) as problem:
            raise ConfigError(f"Expert {name!r}: the request cannot be written as JSON: {problem}.") from None
        messages = (2 if system_prompt else 1) if api == "chat" else 0
        self._overhead = count_tokens(self._system_prompt) + PER_MESSAGE * messages
        self._most_overhead = most_tokens(self._system_prompt) + PER_MESSAGE * messages
        bounds = [body[key] for key in BOUNDS if isinstance(body.get(key), int)]
        self._most_of_one = min(bounds, default=None)
        self._most_written = min(bounds) * n if bounds else None
        self._bound_field = next((key for key in BOUNDS if key in self.body), max_tokens_field)

    def encoded(self, text: str, *, have: int = 0) -> bytes:
        """Return the body for one instruction.

        Args:
            text: The instruction.
            have: Samples that came already, from an endpoint that gives fewer than it is asked for. The seed is
                raised by as many: the same request would get the same sample again.
        """
        before, after = self._around(self.n - have, have) if have else (self._before, self._after)
        if self.api == "completions" and self._system_prompt:
            text = f"{self._system_prompt}\n\n{text}"
        return before + json.dumps(text).encode() + after

    def as_fields(self, text: str, *, have: int = 0) -> dict[str, Any]:
        """Return the same body as a mapping."""
        fields: dict[str, Any] = json.loads(self.encoded(text, have=have))
        return fields

    def chat_fields(self, call: ChatCall, *, stream: bool = False) -> dict[str, Any]:
        """Return the body for a conversation: its messages and options as they are, which win over those given here.

        Only the bound of the answer may change its name. A plain prompt is the transcript.
        """
        body = dict(self.body)
        options = {key: value for key, value in call.options.items() if key not in RESERVED}
        bound = asked_bound(options)
        for key in BOUNDS:
            options.pop(key, None)
            if bound is not None:
                body.pop(key, None)
        if bound is not None:
            options[self._bound_field] = bound
        body.update(options)
        if stream:
            body.update(stream=True, stream_options={"include_usage": True})
        if self.api == "completions":
            system = f"{self._system_prompt}\n\n" if self._adds_system(call) else ""
            body["prompt"] = system + call.transcript
        else:
            first = [{"role": "system", "content": self._system_prompt}] if self._adds_system(call) else []
            body["messages"] = [*first, *call.messages]
        return body

    def encoded_chat(self, call: ChatCall, *, stream: bool = False) -> bytes:
        """Return the same body as JSON.

        Raises:
            ValueError: it holds what JSON cannot (an infinite number, say).
        """
        return json.dumps(self.chat_fields(call, stream=stream), allow_nan=False, separators=(",", ":")).encode()

    def estimate_chat(self, call: ChatCall) -> CallEstimate:
        """Return what a call with a conversation will use."""
        bound = asked_bound(call.options)
        about, most = (self._overhead, self._most_overhead) if self._adds_system(call) else (0, PER_MESSAGE)
        return CallEstimate(
            prompt_tokens(call) + about, most_prompt_tokens(call) + most, self._most_of_one if bound is None else bound
        )

    def _adds_system(self, call: ChatCall) -> bool:
        return bool(self._system_prompt) and not any(m.get("role") in _SYSTEM_ROLES for m in call.messages)

    def prompt_tokens(self, text: str) -> int:
        """Return about how many tokens the request has, the system prompt and a chat template included."""
        return count_tokens(text) + self._overhead

    def estimate(self, text: str) -> CallEstimate:
        """Return what a call will use; the bounds hold too where each sample is asked for on its own."""
        most_read = (most_tokens(text) + self._most_overhead) * self.n
        return CallEstimate(self.prompt_tokens(text), most_read, self._most_written)

    def facts(self) -> dict[str, Any]:
        """Return everything about the request that decides the answer."""
        return {**self.body, "api": self.api, "n": self.n, "system_prompt": self._system_prompt}

    def _around(self, n: int, have: int) -> tuple[bytes, bytes]:
        """Return the body before and after the text."""
        sent = dict(self._sent)
        if n > 1:
            sent["n"] = n
        if have and isinstance(sent.get("seed"), int):
            sent["seed"] += have
        start = json.dumps(sent, allow_nan=False)[:-1].encode()
        if self.api == "completions":
            return start + b', "prompt": ', b"}"
        system = json.dumps({"role": "system", "content": self._system_prompt}).encode() + b", "
        return start + b', "messages": [' + (system if self._system_prompt else b"") + _USER, b"}]}"


_USER = b'{"role": "user", "content": '


def endpoint_url(base_url: str, api: Api, query: Mapping[str, str], *, name: str) -> str:
    """Return the address that requests go to.

    Raises:
        ConfigError: `base_url` is none, or holds what belongs elsewhere. It is not repeated: it may hold a key.
    """
    base_url = base_url.strip()
    parts = parsed_address(base_url)
    if parts is None:
        raise ConfigError(f"Expert {name!r}: base_url is no web address; expected one like http://127.0.0.1:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"Expert {name!r}: base_url holds a user, a password or a query; give the plain address, the key's "
            "environment variable as api_key_env, and parameters as `query`."
        )
    for key in query:
        if looks_secret(key):
            raise ConfigError(f"Expert {name!r}: query holds {key!r}, which looks like a secret; use headers_env.")
    plain = base_url.rstrip("/").removesuffix(PATHS["chat"]).removesuffix(PATHS["completions"])
    return f"{plain}{PATHS[api]}" + (f"?{urlencode(dict(query))}" if query else "")
