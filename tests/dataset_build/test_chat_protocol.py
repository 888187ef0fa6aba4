import json
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.chat_protocol import (
    Reply,
    read_failure,
    read_reply,
    read_usage,
    retry_after_s,
    total_usage,
)
from dataset_build.src.experts.masking import masked
from dataset_build.src.records import Usage

ZERO = {"prompt_tokens": 0, "completion_tokens": 0}
USAGE = {"prompt_tokens": 11, "completion_tokens": 2}


def body(*choices: dict[str, Any], usage: object = USAGE) -> bytes:
    return json.dumps({"model": "served-0613", "choices": list(choices), "usage": usage}).encode()


def choice(content: object = "2", finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}


def read(raw: bytes) -> Reply:
    reply = read_reply(raw, expert="x")
    assert isinstance(reply, Reply)
    return reply


def problem(raw: bytes) -> ExpertError:
    error = read_reply(raw, expert="x")
    assert isinstance(error, ExpertError)
    return error


def test_a_reply_is_its_texts_model_tokens_and_the_worst_way_it_ended():
    reply = read(body(choice("a"), choice("b", "length")))
    assert reply == Reply(["a", "b"], "length", "served-0613", Usage(11, 2))


def test_a_completion_without_messages_is_read_too():
    assert read(body({"text": " Paris", "finish_reason": "stop"})).texts == [" Paris"]


@pytest.mark.parametrize("absurd", [10**30, 2**53, -1, True, 1.5, "9"])
def test_a_number_of_tokens_that_no_call_has_is_not_reported(absurd: object):
    assert read(body(choice(), usage={"prompt_tokens": absurd, "completion_tokens": 2})).usage == Usage(None, 2)
    assert read(body(choice(), usage={"prompt_tokens": absurd, "completion_tokens": absurd})).usage is None


def test_content_in_parts_and_a_models_own_refusal_are_texts():
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]
    assert read(body(choice(parts))).texts == ["ab"]
    assert read(body(choice(None, refusal="I cannot help with that."))).texts == ["I cannot help with that."]


def test_reasoning_apart_is_left_out_and_a_think_block_stays():
    assert read(body(choice("4", reasoning_content="2 + 2 …", reasoning="2 + 2 …"))).texts == ["4"]
    assert read(body(choice("<think>2 + 2</think>4"))).texts == ["<think>2 + 2</think>4"]


def test_tokens_from_the_cache_and_tokens_of_thought_are_counted():
    openai = {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {}}
    assert read_usage(openai) == Usage(11, 2, 5, None)
    deepseek = {**USAGE, "prompt_cache_hit_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 1}}
    assert read_usage(deepseek) == Usage(11, 2, 7, 1)
    for nothing in (None, [], {}, {"prompt_tokens": -1}, {"prompt_tokens": True, "completion_tokens": "2"}, ZERO):
        assert read_usage(nothing) is None


@pytest.mark.parametrize(
    ("choices", "kind", "said"),
    [
        ([choice("", "stop")], "empty_response", "finish_reason stop"),
        ([choice("  ")], "empty_response", "no text"),
        ([choice(None, "length")], "empty_response", "went into reasoning"),
        ([choice("so far", "content_filter")], "content_filter", "filter"),
        ([choice("good"), choice("")], "empty_response", "no text"),
        ([choice("good"), choice("", "content_filter")], "content_filter", "filter"),
    ],
)
def test_one_sample_without_text_fails_the_call_which_is_billed(choices: list[Any], kind: str, said: str):
    error = problem(body(*choices))
    assert isinstance(error, ExpertRefusedError)
    assert (error.kind, error.usage, error.may_be_billed) == (kind, Usage(11, 2), False)
    assert said in error.message
    unknown = problem(body(*choices, usage=None))
    assert (unknown.usage, unknown.may_be_billed) == (None, True)


def test_an_answer_lost_to_thinking_says_how_many_tokens_that_took():
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1024}}
    assert "1024 tokens went into reasoning" in problem(body(choice("", "length"), usage=usage)).message


@pytest.mark.parametrize(
    "raw",
    [b"<html><body>Welcome</body></html>", b"", b"[]", b"{}", body(), body({"message": None}), b"{" * 100_000]
    + [b'{"choices": 3}', body(choice())[:-9]],
)
def test_a_reply_nobody_can_read_may_be_billed(raw: bytes):
    error = problem(raw)
    assert isinstance(error, ExpertUnavailableError)
    assert error.kind == "invalid_response"
    assert error.may_be_billed or error.usage


@pytest.mark.parametrize(
    ("status", "answer", "kind", "retryable"),
    [
        (400, {"error": {"message": "bad"}}, "bad_request", False),
        (404, b"<html>Not found</html>", "bad_request", False),
        (422, {"detail": [{"msg": "no"}]}, "bad_request", False),
        (301, b"", "bad_request", False),
        (101, b"", "bad_request", False),
        (401, {"error": {"message": "no such key"}}, "auth", False),
        (403, {"detail": "no"}, "auth", False),
        (402, {"error": "pay first"}, "quota", False),
        (429, {"error": {"code": "insufficient_quota"}}, "quota", False),
        (400, {"error": {"code": "content_filter"}}, "content_filter", False),
        (400, {"error": {"code": "context_length_exceeded", "message": "no"}}, "too_long", False),
        (400, {"error": {"message": "This model's maximum context length is 4096 tokens."}}, "too_long", False),
        (400, {"error": {"type": "exceed_context_size_error", "message": "no"}}, "too_long", False),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000"}}, "too_long", False),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096"}, "too_long", False),
        (413, b"", "too_long", False),
        (400, [{"error": {"code": "context_length_exceeded"}}], "too_long", False),
        (429, b"slow down", "rate_limit", True),
        (503, b"", "overloaded", True),
        (529, b"", "overloaded", True),
        (500, b"oops", "server_error", True),
        (502, {"error": None}, "server_error", True),
        (409, b"", "server_error", True),
        (408, b"", "timeout", True),
        (504, b"", "timeout", True),
        (524, b"", "timeout", True),
        (204, b"", "invalid_response", True),
    ],
)
def test_every_status_has_its_kind(status: int, answer: object, kind: str, retryable: bool):
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    error = read_failure(status, {}, raw, expert="x")
    assert (error.kind, error.retryable) == (kind, retryable)
    assert error.may_be_billed == (status in (504, 524, 204))


def test_an_error_object_under_status_200_is_read_by_its_code():
    for code, kind in ((429, "rate_limit"), (502, "server_error"), (None, "server_error"), ("odd", "server_error")):
        assert problem(json.dumps({"error": {"code": code, "message": "busy"}}).encode()).kind == kind
    within = problem(body({**choice(""), "error": {"code": 502, "message": "the provider broke off"}}))
    assert (within.kind, within.may_be_billed) == ("server_error", True)
    assert problem(b'{"error": "overloaded"}').kind == "server_error"


def test_what_an_endpoint_repeats_of_a_secret_is_masked():
    for raw in (b"key sk-1 is wrong", b'{"error": {"message": "key sk-1 is wrong"}}'):
        for error in (
            read_failure(401, {}, raw, expert="x", hidden=["sk-1"]),
            read_reply(raw, expert="x", hidden=["sk-1"]),
        ):
            assert isinstance(error, ExpertError)
            assert "sk-1" not in error.message
            assert "***" in error.message


def test_where_an_address_moved_to_is_said():
    assert "http://new/v1" in read_failure(308, {"Location": "http://new/v1"}, b"", expert="x").message


def test_usages_add_up_and_the_unknown_stays_unknown():
    assert total_usage([]) is None
    assert total_usage([None, Usage(1, 2)]) == Usage(1, 2)
    assert total_usage([Usage(1, 2, 3), None, Usage(10, None, 30)]) == Usage(11, 2, 33, None)


def test_a_pause_is_seconds_milliseconds_or_a_date():
    assert retry_after_s({"Retry-After": "2.5"}) == 2.5
    assert retry_after_s({"retry-after-ms": "250", "Retry-After": "9"}) == 0.25
    assert retry_after_s({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}) == 0.0
    later = retry_after_s({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert later is not None
    assert later > 0
    for illegible in ("", "soon", "-3", "nan", "inf"):
        assert retry_after_s({"Retry-After": illegible}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "finish_reason", "usage", "error", "code", "text", "delta", "index"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
def test_any_body_is_a_reply_or_an_error(raw: bytes):
    reply = read_reply(raw, expert="x")
    assert isinstance(reply, ExpertError) or all(text.strip() for text in reply.texts)
    for status in (200, 302, 418, 429, 500):
        assert isinstance(read_failure(status, {}, raw, expert="x"), ExpertError)


KEY = "sk-Proj/abc+DEF_0123=="


@given(before=st.binary(max_size=9), after=st.binary(max_size=9), wrap=st.sampled_from([b64encode, urlsafe_b64encode]))
def test_a_key_in_base64_is_masked_wherever_it_stands(before: bytes, after: bytes, wrap: Any):
    encoded = wrap(before + KEY.encode() + after).decode()
    shown = masked(f"I got {encoded}.", [KEY])
    assert "***" in shown
    padded = shown.removeprefix("I got ").removesuffix(".")
    assert len(padded) <= len(encoded) - len(KEY) * 4 // 3 + 2 + len("***")


@pytest.mark.parametrize(
    "spell", [str, str.upper, str.lower, str.swapcase, quote, quote_plus, lambda one: quote(one, "")]
)
def test_a_key_in_another_spelling_is_masked(spell: Any):
    assert masked(f"İ {spell(KEY)} ß", [KEY]) == "İ *** ß"
    assert masked(spell(KEY).lower(), [KEY]) == "***"


def test_a_short_secret_is_masked_only_as_it_is():
    assert masked("me, ME and bWU=", ["me"]) == "***, ME and bWU="
    assert masked("nothing of it", [KEY]) == "nothing of it"
