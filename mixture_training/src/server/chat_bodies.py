"""The body of a request → a conversation with its options, or the reason why it is none.

The checks are by hand because they are on the way of every request. Messages, tools and unknown options are passed on
untouched. No field that names an address, a key or a header for the call of an expert is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataset_build import ChatCall
from mixture_training.src.server.api_errors import ApiError
from mixture_training.src.server.json_bytes import read_json, write_json
from mixture_training.src.server.serve_config import ServeConfig

#: Roles of messages.
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
#: Fields this server reads itself and does not pass on.
_OWN = frozenset({"messages", "model", "n", "stream", "stream_options", "prompt"})
#: Fields by which client libraries of experts could be told where to call, and with what: never taken from a request.
FORBIDDEN = frozenset({
    "api_base", "api_key", "api_type", "api_version", "aws_access_key_id", "aws_secret_access_key",
    "aws_session_token", "azure_ad_token", "base_url", "callbacks", "client", "custom_llm_provider",
    "deployment_id", "extra_body", "extra_headers", "extra_query", "fallbacks", "headers", "http_client",
    "mock_response", "organization", "proxies", "proxy", "proxy_url", "timeout", "vertex_credentials",
})  # fmt: skip
_NUMBER, _TEXT, _LIST, _OBJECT = (int, float), (str,), (list,), (dict,)
#: Options whose type is checked: the types, and what to say of another. The rest is the expert's to judge.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "frequency_penalty": (_NUMBER, "a number"),
    "logit_bias": (_OBJECT, "an object"),
    "max_completion_tokens": ((int,), "a whole number of at least 1"),
    "max_tokens": ((int,), "a whole number of at least 1"),
    "metadata": (_OBJECT, "an object"),
    "presence_penalty": (_NUMBER, "a number"),
    "prompt_cache_key": (_TEXT, "a text"),
    "response_format": (_OBJECT, "an object"),
    "seed": ((int,), "a whole number"),
    "stop": ((str, list), "a text or a list of texts"),
    "stream_options": (_OBJECT, "an object"),
    "temperature": (_NUMBER, "a number"),
    "tool_choice": ((str, dict), "a text or an object"),
    "tools": (_LIST, "a list of objects"),
    "top_p": (_NUMBER, "a number"),
    "user": (_TEXT, "a text"),
}
_MOST_TOKENS = ("max_tokens", "max_completion_tokens")
#: Parts of all messages together, tools, and bytes of their definitions: each is looked at, and that takes time that
#: others wait for.
MOST_PARTS, MOST_TOOLS, LONGEST_DEFINITIONS = 5_000, 1_000, 256 * 1024
#: Options that define something.
_DEFINITIONS = ("tools", "functions", "response_format")
#: Options of /v1/completions that have no counterpart in a conversation.
_NO_COUNTERPART = ("suffix", "echo", "best_of", "logprobs")


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A request that has been read.

    Attributes:
        call: What goes to an expert.
        model: What the client calls the model.
        is_stream: Whether it wants the answer piece by piece.
        with_usage: Whether the stream ends with the usage.
        user: Whose request it is, as the client says.
        session: What ties the turns of a conversation together, as the client says.
    """

    call: ChatCall
    model: str
    is_stream: bool
    with_usage: bool
    user: str | None
    session: str | None


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        ApiError: it holds none.
    """
    try:
        body = read_json(data)
    except ValueError as problem:  # the message of a decoder may quote the body
        says = str(problem) if str(problem).startswith("it ") else "it is no JSON"
        raise ApiError(400, f"The body could not be read: {says}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body is no JSON object.", code="invalid_json")
    return body


def read_chat(body: Mapping[str, Any], config: ServeConfig) -> ChatBody:
    """Return the conversation in the body of /v1/chat/completions.

    Raises:
        ApiError: a field is missing, of another type, or beyond a limit.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "a list of at least one message")
    if len(messages) > config.max_messages:
        raise ApiError(
            400,
            f"A conversation has at most {config.max_messages} messages here; {len(messages)} were given.",
            param="messages",
            code="too_many_messages",
        )
    size = parts = 0
    for index, message in enumerate(messages):
        size += _check_message(message, index)
        content = message.get("content")
        parts += len(content) if isinstance(content, list) else 0
    if parts > MOST_PARTS:
        raise ApiError(400, f"A conversation has at most {MOST_PARTS} parts here.", param="messages")
    return _read(body, tuple(messages), size, config)


def read_completion(body: Mapping[str, Any], config: ServeConfig) -> ChatBody:
    """Return the conversation that the `prompt` of /v1/completions is.

    Raises:
        ApiError: as for `read_chat`.
    """
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise _wrong("prompt", "one text that is not empty")
    for name in _NO_COUNTERPART:
        value = body.get(name)
        if value is not None and value is not False and not (name == "best_of" and value == 1):
            raise ApiError(
                400, f"{name!r} is not supported: experts are asked as in a chat.", param=name, code="unsupported_value"
            )
    rest = {name: value for name, value in body.items() if name not in _NO_COUNTERPART}
    return _read(rest, ({"role": "user", "content": prompt},), len(prompt), config)


def _read(body: Mapping[str, Any], messages: tuple[dict[str, Any], ...], size: int, config: ServeConfig) -> ChatBody:
    options: dict[str, Any] = {}
    for name, value in body.items():
        if name in FORBIDDEN:
            raise ApiError(
                400, f"{name!r} is not taken from a request: the server says how experts are called.", param=name,
                code="unsupported_parameter",
            )  # fmt: skip
        if value is None:
            continue
        known = _TYPES.get(name)
        if known is not None and not _is_one_of(value, known[0]):
            raise _wrong(name, known[1])
        if name not in _OWN:
            options[name] = value
    _check_options(body, options, config)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "a text, for example 'moe'; GET /v1/models lists what there is")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong("stream", "true or false")
    call = ChatCall(messages, options)
    if size > config.max_prompt_tokens:  # a token has at least one character, or nearly so: most never come here
        _check_tokens(call, config.max_prompt_tokens)
    return ChatBody(
        call=call,
        model=model,
        is_stream=bool(stream),
        with_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        user=body.get("user"),
        session=body.get("prompt_cache_key"),
    )


def _is_one_of(value: object, types: tuple[type, ...]) -> bool:
    if isinstance(value, float) and value.is_integer() and int in types:  # 1.0 is a whole number in JSON
        return True
    return isinstance(value, types) and not isinstance(value, bool)


def _check_options(body: Mapping[str, Any], options: Mapping[str, Any], config: ServeConfig) -> None:
    n = body.get("n")
    if n is not None and (isinstance(n, bool) or n != 1):
        raise ApiError(
            400, "One answer is given to a request: 'n' is 1 or left out.", param="n", code="unsupported_value"
        )
    for name in _MOST_TOKENS:
        asked = options.get(name)
        if asked is None:
            continue
        if asked < 1:
            raise _wrong(name, _TYPES[name][1])
        if config.max_completion_tokens is not None and asked > config.max_completion_tokens:
            raise ApiError(
                400, f"{name!r} is at most {config.max_completion_tokens} here; {asked} was given.", param=name
            )
    _check_definitions(options)
    stop = options.get("stop")
    if isinstance(stop, list) and not all(isinstance(text, str) for text in stop):
        raise _wrong("stop", _TYPES["stop"][1])


def _check_definitions(options: Mapping[str, Any]) -> None:
    tools = options.get("tools")
    if tools is not None and not all(isinstance(tool, dict) for tool in tools):
        raise _wrong("tools", _TYPES["tools"][1])
    if tools is not None and len(tools) > MOST_TOOLS:
        raise ApiError(400, f"A request has at most {MOST_TOOLS} tools here; {len(tools)} were given.", param="tools")
    for name in _DEFINITIONS:
        if name in options and len(write_json(options[name])) > LONGEST_DEFINITIONS:
            raise ApiError(400, f"{name!r} has at most {LONGEST_DEFINITIONS} bytes here.", param=name)


def _check_message(message: object, index: int) -> int:
    """Return the characters of a message's text."""
    if not isinstance(message, dict):
        raise _wrong(f"messages[{index}]", "an object with a 'role' and a 'content'")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _wrong(f"messages[{index}].role", f"one of {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if isinstance(content, str):
        return len(content)
    if content is None:
        if role != "assistant":
            raise _wrong(f"messages[{index}].content", "a text or a list of parts")
        return 0
    if not isinstance(content, list) or not all(_is_part(part) for part in content):
        raise _wrong(f"messages[{index}].content", "a text or a list of parts, objects with a 'type'")
    return sum(len(part["text"]) for part in content if isinstance(part.get("text"), str))


def _is_part(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type", "text"), str)


def _check_tokens(call: ChatCall, most: int) -> None:
    from dataset_build import Needs

    tokens = Needs.of(ChatCall(call.messages)).tokens  # of long texts a part is counted, so this takes no time
    if tokens > most:
        raise ApiError(
            400,
            f"A conversation has at most {most} tokens here; this one has about {tokens}.",
            param="messages",
            code="context_length_exceeded",
        )


def _wrong(name: str, expected: str) -> ApiError:
    return ApiError(400, f"{name!r} must be {expected}.", param=name)
