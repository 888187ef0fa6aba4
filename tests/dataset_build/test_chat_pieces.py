"""However the network cuts a stream, the same is shown and the same remains, and no secret with it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ChatPiece, ExpertError
from dataset_build.src.experts.chat_pieces import StreamedChat
from dataset_build.src.experts.chat_protocol import Reply
from dataset_build.src.experts.masking import PieceMask, masked

SECRET = "sk-very-secret-0123456789"


def event(payload: object) -> bytes:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return event({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


CALLS = [
    {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
    {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": '{"'}},
]
WHOLE = (
    piece({"role": "assistant", "content": ""})
    + piece({"content": "Zür"})
    + b": keep-alive\n\n"
    + piece({"content": f"ich € {SECRET[:9]}"})
    + piece({"content": SECRET[9:] + " sk"})
    + piece({"tool_calls": CALLS})
    + piece({"tool_calls": [{"index": 1, "function": {"arguments": 'x": 1}'}}]})
    + piece({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    + piece({}, "tool_calls")
    + event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
    + b"data: [DONE]\n\n"
)
MESSAGE = {
    "role": "assistant",
    "content": "Zürich € *** sk",
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x": 1}'}},
    ],
}


def streamed(*parts: bytes, hidden: tuple[str, ...] = (SECRET,)) -> tuple[list[ChatPiece], Reply | ExpertError]:
    stream = StreamedChat("x", hidden)
    pieces: list[ChatPiece] = []
    for part in parts:
        stream.feed(part)
        pieces += stream.take()
    result = stream.finish()
    return pieces + stream.take(), result


@given(
    st.lists(st.integers(0, len(WHOLE)), max_size=12),
    st.sampled_from([WHOLE, WHOLE.replace(b"\n", b"\r\n"), WHOLE.replace(b"\n", b"\r")]),
)
def test_where_the_network_cuts_a_stream_changes_nothing(cuts: list[int], whole: bytes):
    bounds = [0, *sorted(cuts), len(whole)]
    pieces, reply = streamed(*(whole[start:end] for start, end in zip(bounds, bounds[1:], strict=False)))
    assert isinstance(reply, Reply)
    assert reply.choice == {"index": 0, "message": MESSAGE, "finish_reason": "tool_calls"}
    assert reply.usage is not None
    assert "".join(one.text for one in pieces) == MESSAGE["content"]
    assert [one.finish_reason for one in pieces if one.finish_reason] == ["tool_calls"]
    assert pieces == streamed(WHOLE)[0]


@given(st.integers(0, len(WHOLE) - 1))
def test_a_stream_that_ends_early_shows_no_end(cut: int):
    pieces, reply = streamed(WHOLE[:cut])
    ended = [one for one in pieces if one.finish_reason]
    assert bool(ended) == isinstance(reply, Reply)
    if isinstance(reply, ExpertError):
        assert (reply.kind, reply.retryable, reply.may_be_billed) == ("invalid_response", True, True)


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"{", b'"choices": [{}]', b"}"]), max_size=9)
)
def test_any_bytes_are_a_reply_or_an_error(parts: list[bytes]):
    assert isinstance(streamed(*parts)[1], Reply | ExpertError)


KEYS = ["choices", "delta", "index", "content", "tool_calls", "function", "arguments", "audio", "logprobs", "usage"]


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
            max_leaves=8,
        ),
        max_size=4,
    )
)
@settings(max_examples=300)
def test_any_deltas_are_a_reply_or_an_error(deltas: list[Any]):
    parts = [event({"choices": [{"index": 0, "delta": delta, "logprobs": delta}]}) for delta in deltas]
    pieces, result = streamed(*parts, piece({"content": "x"}, "stop"), b"data: [DONE]\n\n")
    assert isinstance(result, Reply | ExpertError)
    json.dumps([one.delta for one in pieces])


def test_a_message_nested_too_deeply_is_an_error_or_is_cut_short():
    deep: Any = "x"
    for _ in range(400):
        deep = {"function": deep}
    assert isinstance(streamed(piece({"function": deep}), piece({"content": "a"}, "stop"))[1], Reply | ExpertError)


@given(st.lists(st.sampled_from([SECRET[:4], SECRET[4:], SECRET, "sk-", "s", "a", "€", SECRET[:-1]]), max_size=8))
def test_masking_in_pieces_shows_what_masking_the_whole_shows(parts: list[str]):
    mask = PieceMask((SECRET,))
    shown = [mask.feed(part) for part in parts]
    assert "".join(shown) + mask.flush() == masked("".join(parts), (SECRET,))


@pytest.mark.parametrize("spelled", [SECRET.upper(), SECRET.replace("-", "%2D")])
def test_a_secret_in_another_spelling_is_masked_in_pieces_too(spelled: str):
    for cut in range(len(spelled)):
        mask = PieceMask((SECRET,))
        text = mask.feed(f"a {spelled[:cut]}") + mask.feed(f"{spelled[cut:]} b") + mask.flush()
        assert text == masked(f"a {spelled} b", (SECRET,))


def test_a_piece_says_whether_the_next_has_arrived_with_it():
    texts = [piece({"content": letter}) for letter in "abc"]
    pieces, _ = streamed(texts[0] + texts[1], texts[2] + piece({}, "stop"), hidden=())
    assert [one.is_followed for one in pieces] == [True, False, False, False]
    # What was kept because of a secret comes with the end.
    pieces, _ = streamed(piece({"content": SECRET[:4]}) + piece({}, "stop"))
    assert [(one.text, one.finish_reason, one.is_followed) for one in pieces[-2:]] == [
        (SECRET[:4], None, True),
        ("", "stop", False),
    ]


def test_without_secrets_a_delta_is_the_very_one_that_came():
    odd = {"role": "assistant", "content": None, "x_own": {"a": [1, None]}, "refusal": None}
    pieces, _ = streamed(piece(odd), piece({"content": "a"}, "stop"), hidden=())
    assert pieces[0].delta == odd
