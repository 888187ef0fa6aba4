"""The judge of the faults benchmark finds what it looks for."""

import json

import pytest

from benchmarks.serving.connection import LATE, LOST, WHOLE, Reply
from benchmarks.serving.judging import ANSWERED, BROKEN, CUT, FAILED, HUNG, RESUMED, TURNED_AWAY, Outcomes

PIECES = 3
HEAD = b"HTTP/1.1 200 OK\r\nx-moe-decision: d1"


def words(tag: str, count: int = PIECES) -> list[str]:
    return [f"{tag}:{number} " for number in range(count)]


def whole(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice]}).encode()


def streamed(parts: list[str], *more: dict[str, object], is_done: bool = True) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts] + list(more)
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"] * is_done
    return "".join(events).encode()


def judged(reply: Reply, *, stream: bool = False) -> tuple[str, Outcomes]:
    outcomes = Outcomes()
    outcomes.add("all well", "aa", PIECES, reply, stream=stream, deadline_s=5.0)
    return next(iter(outcomes.total())), outcomes


ERROR = {"error": {"message": "Every expert failed"}}
TAKEN_OVER = {"choices": [], "moe": {"resumed": {"expert": "b", "after": "a"}}}


@pytest.mark.parametrize(
    ("reply", "stream", "end"),
    [
        (Reply(WHOLE, 200, HEAD, whole("".join(words("aa")))), False, ANSWERED),
        (Reply(WHOLE, 200, HEAD, streamed(words("aa"))), True, ANSWERED),
        (Reply(WHOLE, 200, HEAD, streamed(words("aa", 1), ERROR, is_done=False)), True, BROKEN),
        (Reply(WHOLE, 502, HEAD.replace(b"200", b"502"), b"{}"), False, FAILED),
        (Reply(WHOLE, 503, b"HTTP/1.1 503 No", b"{}"), False, TURNED_AWAY),
        (Reply(LOST), False, TURNED_AWAY),
        (Reply(LOST, 200, HEAD), True, CUT),
    ],
)
def test_what_may_happen_is_told_apart(reply, stream, end):
    found, outcomes = judged(reply, stream=stream)
    assert (found, outcomes.wrong) == (end, [])


def test_what_another_expert_took_over_is_whole_when_its_part_is():
    chunks = streamed(words("aa", 1)).replace(b"data: [DONE]\n\n", b"")
    body = chunks + streamed([], TAKEN_OVER, is_done=False) + streamed(words("aa"))
    found, outcomes = judged(Reply(WHOLE, 200, HEAD, body), stream=True)
    assert (found, outcomes.wrong) == (RESUMED, [])


@pytest.mark.parametrize(
    ("reply", "stream", "says"),
    [
        (Reply(WHOLE, 200, HEAD, whole("".join(words("bb")))), False, "another's content"),
        (Reply(WHOLE, 200, HEAD, whole("".join(words("aa", 2) + words("bb")[2:]))), False, "another's content"),
        (Reply(WHOLE, 200, HEAD, whole("".join(words("aa")) + "and more")), False, "another's content"),
        (Reply(WHOLE, 200, HEAD, streamed([*words("aa", 2), "bb:2 "])), True, "another's content"),
        (Reply(WHOLE, 200, HEAD, whole("".join(words("aa", 2)))), False, "called whole, and is not"),
        (Reply(WHOLE, 200, HEAD, streamed(words("aa"), is_done=False)), True, "called whole, and is not"),
        (Reply(WHOLE, 200, HEAD, whole("".join(words("aa") * 2))), False, "called whole, and is not"),
        (Reply(WHOLE, 200, b"HTTP/1.1 200 OK", whole("".join(words("aa")))), False, "without x-moe-decision"),
        (Reply(WHOLE, 500, HEAD.replace(b"200", b"500"), b"{}"), False, "status 500"),
    ],
)
def test_what_must_not_happen_is_found(reply, stream, says):
    _, outcomes = judged(reply, stream=stream)
    assert any(says in what for what in outcomes.wrong)


@pytest.mark.parametrize("reply", [Reply(LATE, seconds=3.0), Reply(WHOLE, 200, HEAD, whole(""), seconds=5.1)])
def test_what_takes_longer_than_its_deadline_hangs(reply):
    found, outcomes = judged(reply)
    assert found == HUNG
    assert "past its deadline" in outcomes.wrong[0]


def test_two_requests_with_one_decision_are_found():
    outcomes = Outcomes()
    for tag in ("aa", "bb"):
        reply = Reply(WHOLE, 200, HEAD, whole("".join(words(tag))))
        outcomes.add("all well", tag, PIECES, reply, stream=False, deadline_s=5.0)
    assert "have one decision, d1" in outcomes.wrong[0]
