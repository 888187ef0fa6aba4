import asyncio
import time

import pytest

from dataset_build.src import calls
from dataset_build.src.calls import ExpertCall, call_expert, pause_s
from dataset_build.src.errors import ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.chat_call import ChatCall, ChatPiece
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.own_thread import in_thread
from dataset_build.src.records import Answer, Instruction, Price, Usage
from tests.dataset_build.sample_experts import Batched, Moody, Trouble


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)


def ask(expert, text="hello there", *, timeout_s=5.0, retries=3):
    instruction = Instruction(id="i", text=text)
    return asyncio.run(call_expert(expert, instruction, timeout_s=timeout_s, retries=retries))


class Sleeper(Expert):
    async def answer(self, instruction):
        await asyncio.sleep(600)


class Wrong(Expert):
    def __init__(self, result):
        super().__init__("wrong")
        self.result = result

    async def answer(self, instruction):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_an_answer_is_priced_from_its_tokens_unless_the_expert_knows_its_cost():
    found = ask(EchoExpert("echo", price=Price(1e6, 2e6, 0.5)))
    assert (found.text, found.cost, found.prompt_tokens, found.finish_reason) == ("hello there", 6.5, 2, "stop")
    assert found.latency_s is not None
    assert ask(Wrong(Answer("a", cost=7.0, latency_s=3.0, model="m"))).cost == 7.0
    assert ask(Wrong(Answer("a", cost=7.0, latency_s=3.0))).latency_s == 3.0


def test_a_failure_worth_a_retry_is_retried_and_another_is_not():
    expert = Moody(failures=2)
    assert ask(expert).text == "hello there"
    assert expert.calls == {"i": 3}
    expert = Moody(failures=9)
    assert ask(expert, retries=2).error == "unavailable: not now"
    assert expert.calls == {"i": 3}
    expert = Moody(failures=9, kind=ExpertRefusedError)
    assert ask(expert).error_kind == "refused"
    assert expert.calls == {"i": 1}


def test_the_pause_an_endpoint_asks_for_is_kept_unless_it_is_too_long():
    started = time.perf_counter()
    assert ask(Moody(failures=1, retry_after_s=0.2)).text
    assert time.perf_counter() - started >= 0.2
    expert = Moody(failures=1, retry_after_s=3600)
    assert ask(expert).error_kind == "unavailable"
    assert expert.calls == {"i": 1}


def test_pauses_grow_up_to_a_limit_and_are_spread(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.5)
    assert all(0 <= pause_s(0, None) <= 0.5 for _ in range(50))
    assert max(pause_s(50, None) for _ in range(200)) <= calls.LONGEST_WAIT_S
    assert len({pause_s(4, None) for _ in range(20)}) > 10
    assert pause_s(0, 10.0) >= 10.0


def test_a_call_that_takes_too_long_is_a_timeout_for_every_shape_of_expert():
    assert ask(Sleeper("sleeper"), timeout_s=0.05, retries=1).error == "timeout: no answer within 0.05 s"
    assert ask(Trouble(), "sleep", timeout_s=0.05, retries=0).error_kind == "timeout"


def test_tools_and_batch_experts_answer_through_the_same_door():
    assert ask(Trouble(), "a").text == "a ok"
    assert ask(Trouble(), "raise").error == "crash: ZeroDivisionError: by zero"
    assert ask(Batched()).text == "hello there"
    assert ask(Batched(refuse={"hello there"})).error_kind == "refused"


@pytest.mark.parametrize("result", [None, "text", Answer(None), KeyError("x"), StopIteration()])  # type: ignore[arg-type]
def test_an_expert_with_a_bug_is_a_crash_not_an_exception(result):
    assert ask(Wrong(result)).error_kind == "crash"


def test_work_in_a_thread_passes_on_what_it_raises():
    async def raising(problem):
        def work():
            raise problem

        await in_thread(work)

    with pytest.raises(KeyError):
        asyncio.run(raising(KeyError("k")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(raising(StopIteration()))


ABSURD = [
    {"prompt_tokens": 10**30},
    {"prompt_tokens": 2**53},
    {"completion_tokens": -1},
    {"cached_tokens": True},
    {"reasoning_tokens": 1.5},
    {"cost": float("nan")},
    {"cost": float("inf")},
    {"cost": -5},
    {"cost": "1"},
    {"latency_s": -0.1},
    {"first_token_s": float("nan")},
    {"model": 3},
    {"finish_reason": {"a": 1}},
    {"samples": ("a", 2)},
    {"samples": "ab"},
]


@pytest.mark.parametrize("fields", ABSURD, ids=str)
def test_an_answer_that_cannot_be_written_down_or_counted_is_a_crash_that_names_the_field(fields):
    found = ask(Wrong(Answer("a", **fields)))
    assert found.error_kind == "crash"
    assert f"{next(iter(fields))}=" in found.error
    assert (found.cost, found.prompt_tokens) == (None, None)


def test_the_usage_of_a_failure_counts_only_where_it_is_a_number_of_tokens():
    problem = ExpertRefusedError("no", expert="wrong", usage=Usage(10**30, -2, 5, 1))
    assert problem.usage == Usage(None, None, 5, 1)
    found = ask(Wrong(problem))
    assert (found.cost, found.prompt_tokens, found.cached_tokens) == (0.0, None, 5)


@pytest.mark.parametrize("leaving", [SystemExit(3), KeyboardInterrupt()])
def test_code_that_wants_to_end_the_process_ends_its_call(leaving):
    class Leaving(Expert):
        async def answer(self, instruction):
            raise leaving

    class LeavingBatch(Batched):
        def answer_batch(self, instructions):
            raise leaving

    assert ask(Leaving("leaving")).error.startswith(f"crash: {type(leaving).__name__}")
    assert type(leaving).__name__ in ask(LeavingBatch()).error


def test_a_thread_that_raises_a_cancellation_cancels_nothing():
    def work():
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="CancelledError"):
        asyncio.run(in_thread(work))


class Talks(Expert):
    """Streams what it is given; a number is a pause in seconds."""

    def __init__(self, *items):
        super().__init__("talks", price=Price(0.0, 1e6))
        self.items = items

    async def answer(self, instruction):
        raise NotImplementedError

    async def stream_chat(self, call):
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, float):
                await asyncio.sleep(item)
            else:
                yield item


def stream(expert, *, timeout_s=5.0, retries=0):
    async def work():
        call = ExpertCall(expert, ChatCall.of("hi"), timeout_s=timeout_s, retries=retries)
        return [item async for item in call.stream()]

    *pieces, response = asyncio.run(work())
    return pieces, response


def test_pieces_before_the_first_token_are_held_until_it_comes_and_endless_ones_are_a_timeout():
    role, token = ChatPiece({"role": "assistant", "content": ""}), ChatPiece({"content": "a"})
    pieces, response = stream(Talks(*[role] * 50, token, Answer("a", finish_reason="stop")))
    assert pieces == [role] * calls.MOST_EARLY_PIECES + [token]
    assert [piece.is_followed for piece in pieces] == [True] * calls.MOST_EARLY_PIECES + [False]
    assert (response.text, response.error) == ("a", None)
    pieces, response = stream(Talks(*[role, 0.02] * 100), timeout_s=0.3)
    assert pieces == []
    assert response.error_kind == "timeout"
    # After it, only silence is.
    pieces, response = stream(Talks(*[token, 0.05] * 12, Answer("a")), timeout_s=0.3)
    assert (len(pieces), response.error) == (12, None)


def test_an_answer_that_came_in_no_pieces_is_one():
    pieces, response = stream(Talks(Answer("all", finish_reason="length")))
    assert pieces == [ChatPiece({"content": "all"}, "length")]
    assert response.text == "all"
    assert stream(EchoExpert("echo"))[1].text == "hi"


@pytest.mark.parametrize(
    "items", [(), (ChatPiece({"content": "a"}),), (None,), ("text",), (Answer(None),), (KeyError(),)]
)
def test_a_stream_with_a_bug_is_a_crash_not_an_exception(items):
    pieces, response = stream(Talks(*items))
    assert response.error_kind == "crash"
    assert len(pieces) == sum(isinstance(item, ChatPiece) for item in items)


def test_a_broken_stream_is_taken_to_have_cost_what_had_arrived():
    lost = ExpertUnavailableError("gone", expert="talks", kind="connection", may_be_billed=True)
    pieces, response = stream(Talks(ChatPiece({"content": "one two three"}), lost), retries=3)
    assert len(pieces) == 1
    assert response.error_kind == "connection"
    assert response.at_risk == pytest.approx(3.0)
    refused = ExpertRefusedError("no", expert="talks", usage=Usage(5, 2))
    assert stream(Talks(refused))[1].cost == pytest.approx(2.0)
    assert stream(Talks(refused))[1].at_risk == 0.0


def test_no_try_is_waited_for_beyond_the_moment_given():
    async def work():
        until = asyncio.get_running_loop().time() + 0.5
        expert = Moody(failures=1, retry_after_s=5.0)
        call = ExpertCall(expert, Instruction("i", "hi"), timeout_s=5, retries=3, until=until)
        return await call.run()

    started = time.perf_counter()
    assert asyncio.run(work()).error_kind == "unavailable"
    assert time.perf_counter() - started < 3
