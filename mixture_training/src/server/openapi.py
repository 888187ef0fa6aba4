"""The description of the API, OpenAPI 3.1: as strict as the code that reads requests, and no stricter."""

from functools import cache
from typing import Any

from mixture_training.src.server.chat_bodies import ROLES
from mixture_training.src.server.exchange import LEAST_TIMEOUT_S, TIMEOUT_HEADER
from mixture_training.src.server.record_routes import LONGEST_ID, LONGEST_TEXT

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_OBJECT: Schema = {"type": "object"}


@cache
def openapi() -> Schema:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "moe serve",
            "version": "1",
            "description": "The protocol of OpenAI, answered by the expert that a trained router chooses.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": {"post": _chat("chatCompletions", _chat_request(), "chat.completion")},
            "/v1/completions": {"post": _chat("completions", _completion_request(), "text_completion")},
            "/v1/models": {"get": _get("listModels", "The policies and experts to choose from.", _ref("Models"))},
            "/v1/models/{model}": {"get": _get("showModel", "One of them.", _ref("Model"), path="model", missing=True)},
            "/v1/embeddings": {
                "post": _post("embeddings", "Passed on, where an endpoint is set up.", _embeddings_request(), _OBJECT)
            },
            "/v1/route": {
                "post": _post(
                    "route", "Where a conversation would go; nothing is called.", _chat_request(), _ref("Receipt")
                )
            },
            "/v1/feedback": {
                "post": _post("feedback", "How good an answer was.", _feedback_request(), _ref("Feedback"))
            },
            "/v1/decisions/{id}": {
                "get": _get("decision", "A decision with its receipt.", _ref("Decision"), path="id", missing=True)
            },
            "/healthz": {"get": _open("healthz", "Whether the process answers.", _OBJECT)},
            "/readyz": {"get": _open("readyz", "Whether requests should be sent here.", _OBJECT, unready=True)},
            "/openapi.json": {"get": _open("openapi", "This description.", _OBJECT)},
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "What is counted, for Prometheus; without a key on loopback only.",
                    "security": [{}, {"key": []}],
                    "responses": {
                        "200": {"description": "The text format.", "content": {"text/plain": {"schema": _TEXT}}},
                        **_errors(401, 403, 404),
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
            "headers": {
                "decision": _header("The id that feedback refers to."),
                "expert": _header("Who answered."),
                "cost": _header("USD of all attempts; with a stream it stands in the last chunk only."),
                "version": _header("Which router decided."),
                "policy": _header("The policy that ranked."),
            },
        },
    }


def _chat(name: str, request: Schema, kind: str) -> Schema:
    whole = _ref("Answer")
    described = _post(name, "Answer; `stream` gives it piece by piece.", request, whole)
    described["description"] = (
        f"Headers: `{TIMEOUT_HEADER}`, seconds the request may take, from {LEAST_TIMEOUT_S:g} to the server's own "
        "limit; `x-moe-session` ties turns together; `x-moe-user` says whose request it is. Both are stored hashed."
    )
    answer = described["responses"]["200"]
    answer["description"] = f"A {kind}, or its chunks as server-sent events."
    answer["content"]["text/event-stream"] = {}
    answer["headers"] = {
        header: {"$ref": f"#/components/headers/{part}"}
        for header, part in (
            ("x-moe-decision", "decision"),
            ("x-moe-expert", "expert"),
            ("x-moe-cost-usd", "cost"),
            ("x-moe-router-version", "version"),
            ("x-moe-policy", "policy"),
        )
    }
    described["responses"] |= _errors(502, 504)
    return described


def _post(name: str, summary: str, request: Schema, answer: Schema) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            **_errors(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 502, 503, 504),
        },
    }


def _get(name: str, summary: str, answer: Schema, *, path: str | None = None, missing: bool = False) -> Schema:
    described: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "Found.", "content": {"application/json": {"schema": answer}}},
            **_errors(401, 403, *([404] if missing else []), 500, 503),
        },
    }
    if path is not None:
        described["parameters"] = [
            {"name": path, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    return described


def _open(name: str, summary: str, answer: Schema, *, unready: bool = False) -> Schema:
    content = {"application/json": {"schema": answer}}
    responses: Schema = {"200": {"description": "Yes.", "content": content}}
    if unready:
        responses["503"] = {"description": "Not now; `reason` says why.", "content": content}
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}


def _errors(*statuses: int) -> Schema:
    content = {"application/json": {"schema": _ref("Error")}}
    return {str(status): {"description": "An error.", "content": content} for status in statuses}


def _chat_request() -> Schema:
    properties = {"messages": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _message()}, **_options()}
    return {"type": "object", "required": ["messages", "model"], "properties": properties}


def _completion_request() -> Schema:
    text = {"type": "string", "minLength": 1}
    prompt = {"anyOf": [text, {"type": "array", "minItems": 1, "maxItems": 1, "items": text}]}
    none = {"enum": [None, False]}
    properties = {"prompt": prompt, "suffix": none, "echo": none, "logprobs": none, **_options()}
    properties["best_of"] = {"enum": [None, False, 1]}
    return {"type": "object", "required": ["prompt", "model"], "properties": properties}


def _options() -> Schema:
    whole = _or_null({"type": "integer", "minimum": 1})
    return {
        "model": {
            "type": "string",
            "minLength": 1,
            "examples": ["moe", "moe-quality", "moe-cheap", "moe:cost_weight=50"],
            "description": "moe, moe-quality, moe-cheap, moe:POLICY, or an expert.",
        },
        "n": {"enum": [1, None]},
        "stream": {"type": ["boolean", "null"]},
        "stream_options": _or_null(_OBJECT),
        "max_tokens": whole,
        "max_completion_tokens": whole,
        "temperature": _or_null(_NUMBER),
        "top_p": _or_null(_NUMBER),
        "frequency_penalty": _or_null(_NUMBER),
        "presence_penalty": _or_null(_NUMBER),
        "seed": _or_null({"type": "integer"}),
        "stop": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}, {"type": "null"}]},
        "tools": _or_null({"type": "array", "items": _OBJECT}),
        "tool_choice": {"anyOf": [_TEXT, _OBJECT, {"type": "null"}]},
        "response_format": _or_null(_OBJECT),
        "logit_bias": _or_null(_OBJECT),
        "metadata": _or_null(_OBJECT),
        "user": _or_null(_TEXT),
        "prompt_cache_key": _or_null(_TEXT),
    }


def _message() -> Schema:
    part = {"type": "object", "properties": {"type": _TEXT}}
    content = {"anyOf": [_TEXT, {"type": "array", "items": part}]}
    others = sorted(ROLES - {"assistant"})
    return {
        "anyOf": [
            {
                "type": "object",
                "required": ["role", "content"],
                "properties": {"role": {"enum": others}, "content": content},
            },
            {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": ["assistant"]},
                    "content": {"anyOf": [*content["anyOf"], {"type": "null"}]},
                },
            },
        ]
    }


def _feedback_request() -> Schema:
    about: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
    shared = {
        "comment": _or_null({"type": "string", "maxLength": LONGEST_TEXT}),
        "user": _or_null({"type": "string", "maxLength": LONGEST_ID}),
        "event": _or_null({"type": "string", "maxLength": LONGEST_ID}),
    }

    def one(kind: str, schema: Schema, *, with_id: bool = True) -> Schema:
        others = {name: {"type": "null"} for name in ("score", "preference", "correction") if name != kind}
        properties = {kind: schema, **others, **shared}
        if with_id:
            properties["id"] = about
        return {"type": "object", "required": [kind, *(["id"] if with_id else [])], "properties": properties}

    pair = {"type": "object", "required": ["better", "worse"], "properties": {"better": about, "worse": about}}
    return {
        "anyOf": [
            one("score", {"type": "number", "minimum": 0, "maximum": 1}),
            one("preference", pair, with_id=False),
            one("correction", {"type": "string", "pattern": "\\S", "maxLength": LONGEST_TEXT}),
        ]
    }


def _embeddings_request() -> Schema:
    given = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}]}
    return {"type": "object", "required": ["input"], "properties": {"input": given, "model": _TEXT}}


def _schemas() -> Schema:
    maybe = _or_null(_NUMBER)
    model = {"id": _TEXT, "object": _TEXT, "created": {"type": "integer"}, "owned_by": _TEXT, "description": _TEXT}
    error = {"message": _TEXT, "type": _TEXT, "param": _or_null(_TEXT), "code": _TEXT, "decision": _TEXT}
    count = {"type": "integer", "minimum": 0}
    moe = {
        "decision": {"type": "string", "description": "What feedback refers to."},
        "expert": {"type": "string", "description": "Who answered."},
        "policy": _TEXT,
        "router_version": _TEXT,
        "cost_usd": {"type": "number", "description": "Of all attempts."},
        "expected_score": _NUMBER,
        "category": _or_null(_TEXT),
        "reason": _TEXT,
        "is_cached": {"type": "boolean"},
        "attempts": {"type": "array", "items": _OBJECT},
    }
    answer = {
        "id": _TEXT,
        "object": _TEXT,
        "created": {"type": "integer"},
        "model": {"type": "string", "description": "The expert that answered."},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": _OBJECT},
        "usage": _whole({"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}),
        "moe": _ref("Moe"),
    }
    receipt = {"id": _TEXT, "created": _TEXT, "router_version": _TEXT, "policy": _TEXT, "chosen": _TEXT}
    receipt |= {"reason": _TEXT, "options": {"type": "array", "items": _OBJECT}}
    judged = {"id": _TEXT, "kind": {"enum": ["score", "preference", "correction"]}, "score": maybe, "event": _TEXT}
    decision = {"id": _TEXT, "created": _TEXT, "outcome": _TEXT, "expert": _or_null(_TEXT), "cost_usd": _NUMBER}
    return {
        "Answer": _whole(answer),
        "Decision": _whole({**decision, "receipt": _OBJECT}),
        "Error": _whole({"error": {"type": "object", "required": list(error)[:4], "properties": error}}),
        "Feedback": _whole(judged),
        "Model": _whole(model),
        "Models": _whole({"object": _TEXT, "data": {"type": "array", "items": _ref("Model")}}),
        "Moe": {**_whole(moe), "description": "What was decided; the last chunk of a stream has it too."},
        "Receipt": _whole(receipt),
    }


def _whole(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _header(description: str) -> Schema:
    return {"description": description, "schema": _TEXT}
