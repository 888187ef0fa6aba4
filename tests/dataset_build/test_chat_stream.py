import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ExpertError
from dataset_build.src.experts.chat_protocol import Reply
from dataset_build.src.experts.chat_stream import StreamedReply
from dataset_build.src.records import Usage


def piece(content: str | None = None, *, index: int = 0, finish: str | None = None, **delta: Any) -> bytes:
    fields = {**({} if content is None else {"content": content}), **delta}
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    return event(json.dumps({"model": "m", "choices": [choice]}, ensure_ascii=False))


def event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


USAGE = event(json.dumps({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}))
DONE = event("[DONE]")
WHOLE = piece("", role="assistant") + piece("Zür") + piece("ich €") + piece(finish="stop") + USAGE + DONE


def streamed(*parts: bytes) -> StreamedReply:
    stream = StreamedReply("x", ["sk-1"])
    for part in parts:
        stream.feed(part)
    return stream


def reply(*parts: bytes) -> Reply:
    result = streamed(*parts).finish()
    assert isinstance(result, Reply), result
    return result


def problem(*parts: bytes) -> ExpertError:
    result = streamed(*parts).finish()
    assert isinstance(result, ExpertError)
    return result


def test_pieces_add_up_to_the_reply():
    assert reply(WHOLE) == Reply(["Zürich €"], "stop", "m", Usage(9, 2))


@given(
    st.lists(st.integers(0, len(WHOLE)), max_size=12),
    st.sampled_from([WHOLE, WHOLE.replace(b"\n", b"\r\n"), WHOLE.replace(b"\n", b"\r")]),
)
def test_where_the_network_cuts_a_stream_does_not_matter(cuts: list[int], whole: bytes):
    bounds = [0, *sorted(cuts), len(whole)]
    assert reply(*(whole[start:end] for start, end in zip(bounds, bounds[1:], strict=False))) == reply(WHOLE)


def test_comments_other_fields_and_data_on_several_lines_are_understood():
    text = json.dumps({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}, indent=1)
    several = "".join(f"data: {line}\r\n" for line in text.splitlines()).encode() + b"\r\n"
    assert reply(b": keep-alive\n\nevent: message\nid: 7\nretry: 3\n", several, DONE).texts == ["hi"]
    assert reply(b'data:{"choices": [{"delta": {"content": "hi"}}]}\n\ndata:[DONE]').texts == ["hi"]


def test_samples_may_arrive_interleaved_and_out_of_order():
    parts = [piece("b", index=1), piece("a"), piece("B", index=1, finish="length"), piece("A", finish="stop"), DONE]
    assert reply(*parts) == Reply(["aA", "bB"], "length", "m", None)


def test_a_stream_of_plain_completions_has_texts_for_deltas():
    parts = [{"text": "Par", "index": 0}, {"text": "is", "index": 0, "finish_reason": "stop"}]
    assert reply(*(event(json.dumps({"choices": [part]})) for part in parts)).texts == ["Paris"]


def test_the_first_token_is_the_first_text_or_shown_thought():
    stream = streamed(piece("", role="assistant"), b": keep-alive\n\n")
    assert not stream.has_begun
    stream.feed(piece(reasoning_content="hm"))
    assert stream.has_begun
    assert streamed(piece("x")).has_begun
    assert reply(piece(reasoning_content="hm"), piece("4", finish="stop")).texts == ["4"]


def test_done_or_a_finish_reason_for_every_sample_ends_a_stream():
    assert reply(piece("a"), piece(finish="stop")).texts == ["a"]
    assert reply(piece("a"), DONE).finish_reason is None
    for cut in (
        [],
        [piece("a")],
        [piece("a"), piece("b", index=1, finish="stop")],
        [piece("a", finish="stop")[:-20]],
    ):
        error = problem(*cut)
        assert (error.kind, error.retryable, error.may_be_billed) == ("invalid_response", True, True)


def test_an_error_in_place_of_a_piece_is_the_result():
    broken = event('{"error": {"message": "bad key sk-1", "code": 429}}')
    error = problem(broken)
    assert (error.kind, error.may_be_billed) == ("rate_limit", False)
    assert "sk-1" not in error.message
    error = problem(piece("a"), event('{"error": "the engine died"}'), DONE)
    assert (error.kind, error.may_be_billed) == ("server_error", True)
    assert problem(b'error: {"code": 503, "message": "slots"}\n\n').kind == "overloaded"


@pytest.mark.parametrize("data", ["hello sk-1", "[1]", '{"choices": [', "3"])
def test_a_piece_nobody_can_read_is_an_error_and_shows_no_secret(data: str):
    error = problem(piece("a"), event(data), piece(finish="stop"), DONE)
    assert error.kind == "invalid_response"
    assert "sk-1" not in error.message


def test_a_body_that_is_no_stream_is_read_as_a_whole():
    whole = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
    assert reply(whole[:9], whole[9:]).texts == ["hi"]
    assert problem(b'\n{"error": {"code": 401, "message": "no"}}').kind == "auth"
    assert problem(b"<html></html>").kind == "invalid_response"


def test_empty_and_filtered_answers_are_errors_with_their_usage():
    assert problem(piece(""), piece(finish="stop"), USAGE, DONE).usage == Usage(9, 2)
    assert problem(piece("so far"), piece(finish="content_filter"), DONE).kind == "content_filter"
    assert "reasoning" in problem(piece(reasoning="hm"), piece(finish="length"), USAGE, DONE).message


def test_a_long_line_in_many_parts_is_not_copied_again_and_again():
    stream = StreamedReply("x")
    for _ in range(2000):
        stream.feed(b"x" * 1000)
    assert len(stream._unread) == 2000


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"{", b'"choices": [{}]', b"}"]), max_size=9)
)
def test_any_bytes_are_a_reply_or_an_error(parts: list[bytes]):
    assert isinstance(streamed(*parts).finish(), Reply | ExpertError)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "index", "text", "content", "usage", "error"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_any_piece_is_a_reply_or_an_error(data: object):
    assert isinstance(streamed(event(json.dumps(data)), DONE).finish(), Reply | ExpertError)
