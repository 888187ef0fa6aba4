"""The executor against real servers that fail in every way: who answers in the end, and what is recorded of it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing
from typing import Any

import pytest

from dataset_build import Answer, ChatCall, ChatPiece, Expert, Price
from dataset_build.src import calls, limits
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from mixture_training.src.model_executor import Ended, Execution, Executor, Piece, Resumed, StreamEvent
from tests.fault_server import FaultServer, start_fault_server

PRICE = Price(1.0, 10.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def servers() -> Iterator[Callable[..., FaultServer]]:
    """Start servers that are stopped in the end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(start_fault_server(**options))


def expert(name: str, server: FaultServer, **options: Any) -> OpenAICompatibleExpert:
    return OpenAICompatibleExpert(name, server.url, name, price=PRICE, **options)


def executor(*experts: Expert, **options: Any) -> Executor:
    return Executor({one.name: one for one in experts}, **options)


def run(one: Executor, call: ChatCall | str, *ranking: str, times: int = 1, **options: Any) -> Execution:
    """Return what came of a call made `times` times."""

    async def work() -> Execution:
        for _ in range(times):
            execution = await one.run(call, ranking or list(one.experts), **options)
        await one.aclose()
        return execution

    return asyncio.run(work())


def events(one: Executor, call: ChatCall | str, *ranking: str, **options: Any) -> list[StreamEvent]:
    async def work() -> list[StreamEvent]:
        found = [event async for event in one.stream(call, ranking or list(one.experts), **options)]
        await one.aclose()
        return found

    return asyncio.run(work())


def text_of(found: list[StreamEvent]) -> str:
    return "".join(event.piece.text for event in found if isinstance(event, Piece))


def end_of(found: list[StreamEvent]) -> Execution:
    assert [isinstance(event, Ended) for event in found] == [False] * (len(found) - 1) + [True]
    last = found[-1]
    assert isinstance(last, Ended)
    return last.execution


FAILING = ["429", "429_retry_after", "400", "401", "402", "500", "503", "529", "504", "reset", "reset_body"]
FAILING += ["cut_body", "truncated_json", "html", "empty_choices", "empty_content", "content_filter", "error_in_200"]


@pytest.mark.parametrize("fault", [*FAILING, "never", "slow_drip", "stall"])
@pytest.mark.parametrize("stream", [False, True])
def test_whatever_the_first_expert_does_the_second_answers(
    servers: Callable[..., FaultServer], fault: str, stream: bool
):
    bad, good = servers(always=fault, drip_s=1.0), servers()
    one = executor(expert("bad", bad), expert("good", good), timeout_s=0.7, retries=1)
    if stream:
        found = events(one, "x" if fault in ("cut_body", "reset_body") else "one two three")
        execution = end_of(found)
        if fault in ("cut_body", "reset_body", "stall"):  # they show something first, and that cannot be taken back
            assert execution.is_partial
            assert execution.expert == "bad"
            return
        assert text_of(found) == execution.response
    else:
        execution = run(one, "one two three")
    assert (execution.expert, execution.response, execution.error) == ("good", "one two three", None)
    assert [attempt.expert for attempt in execution.attempts] == ["bad", "good"]
    assert execution.attempts[0].error is not None
    assert execution.attempts[1].error is None
    assert execution.attempts[1].started_s >= execution.attempts[0].latency_s - 0.01
    assert (execution.attempts[1].prompt_tokens, execution.attempts[1].completion_tokens) == (3, 3)
    assert execution.cost >= 33e-6 - 1e-12


def test_a_server_that_is_not_there_is_passed_by(servers: Callable[..., FaultServer]):
    gone, good = servers(), servers()
    gone.close()
    execution = run(executor(expert("gone", gone), expert("good", good)), "hi")
    assert execution.expert == "good"
    assert str(execution.attempts[0].error).startswith("connection:")
    assert execution.attempts[0].cost is None


def test_an_execution_tells_model_usage_and_choice(servers: Callable[..., FaultServer]):
    good = servers(served_model="served-1")
    execution = run(executor(expert("good", good)), ChatCall(({"role": "user", "content": "a <<tool_calls>>"},)))
    assert (execution.model, execution.finish_reason, execution.response) == ("served-1", "tool_calls", "")
    assert execution.choice is not None
    assert execution.choice["message"]["tool_calls"][0]["id"] == "call_1"
    assert execution.usage is not None
    assert (execution.usage.prompt_tokens, execution.usage.is_estimated) == (2, False)


def test_a_pause_that_does_not_fit_is_not_waited_for(servers: Callable[..., FaultServer]):
    busy, good = servers(always="429_retry_after", retry_after_s=5.0), servers()
    started = time.perf_counter()
    execution = run(executor(expert("busy", busy), expert("good", good), timeout_s=2.0, retries=3), "hi")
    assert execution.expert == "good"
    assert time.perf_counter() - started < 4
    assert busy.requests == 1
    patient = run(executor(expert("busy", servers(script=["429_retry_after"])), timeout_s=5.0, retries=1), "hi")
    assert patient.response == "hi"


def test_what_would_be_refused_again_is_not_asked_again(servers: Callable[..., FaultServer]):
    for fault, requests in (("400", 1), ("content_filter", 1), ("500", 3), ("reset", 3)):
        bad = servers(always=fault)
        execution = run(executor(expert("bad", bad), retries=2), "hi")
        assert (execution.expert, execution.response) == (None, None)
        assert execution.error == execution.attempts[0].error
        assert bad.requests == requests


@pytest.mark.parametrize("stream", [False, True])
def test_an_open_circuit_is_passed_by_at_once_and_probed_by_one_call(
    servers: Callable[..., FaultServer], stream: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "FIRST_COOL_DOWN_S", 0.5)
    bad, good = servers(always="500"), servers()
    one = executor(expert("bad", bad), expert("good", good), retries=0)

    async def ask() -> Execution:
        if not stream:
            return await one.run("hi", ["bad", "good"])
        return end_of([event async for event in one.stream("hi", ["bad", "good"])])

    async def work() -> None:
        for _ in range(limits.TRIES_UNTIL_OPEN):
            assert (await ask()).expert == "good"
        asked = bad.requests
        assert one.health()["bad"].is_open
        assert str(one.health()["bad"].reason).startswith("server_error")
        execution = await ask()
        assert str(execution.attempts[0].error).startswith("circuit_open:")
        assert execution.attempts[0].cost is None
        assert execution.attempts[0].latency_s == 0.0
        assert bad.requests == asked
        await asyncio.sleep(0.6)
        bad.change(latency_s=0.3)
        both = await asyncio.gather(*[ask() for _ in range(20)])
        assert {execution.expert for execution in both} == {"good"}
        assert bad.requests == asked + 1
        await asyncio.sleep(1.1)
        bad.change(always=None, latency_s=0.0)
        assert (await ask()).expert == "bad"
        assert not one.health()["bad"].is_open
        assert (await ask()).expert == "bad"
        await one.aclose()

    asyncio.run(work())


def test_a_queue_that_is_too_long_is_passed_by(servers: Callable[..., FaultServer]):
    slow, good = servers(latency_s=0.25), servers()
    one = executor(expert("slow", slow), expert("good", good), timeout_s=0.6, concurrency=1)

    async def work() -> None:
        assert (await one.run("first", ["slow"])).expert == "slow"
        executions = await asyncio.gather(*[one.run(f"text {number}", ["slow", "good"]) for number in range(12)])
        by = [execution.expert for execution in executions]
        assert set(by) == {"slow", "good"}
        errors = [str(execution.attempts[0].error) for execution in executions if execution.expert == "good"]
        assert any(error.startswith("busy:") for error in errors)
        assert slow.stats()["peak_in_flight"] == 1
        assert (await one.run("alone", ["slow"])).expert == "slow"
        await one.aclose()

    asyncio.run(work())


def test_experts_of_one_endpoint_share_its_turns(servers: Callable[..., FaultServer]):
    server = servers(latency_s=0.05)
    twins = [OpenAICompatibleExpert(name, server.url, "m") for name in ("a", "b")]
    one = executor(*twins, concurrency=2)

    async def work() -> None:
        await asyncio.gather(*[one.run(f"text {number}", [name]) for number in range(6) for name in ("a", "b")])
        assert server.stats()["peak_in_flight"] == 2
        health = one.health()
        assert (health["a"].in_flight, health["a"].waiting, health["a"].level) == (0, 0, 2)
        await one.aclose()

    asyncio.run(work())


@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_is_mixed_up_with_anothers(servers: Callable[..., FaultServer], stream: bool):
    """Two hundred at once, half of the first expert's answers failing in every way."""
    kinds = [*FAILING, "slow_drip"] if not stream else [name for name in FAILING if "body" not in name]
    bad, good = servers(faults=0.5, kinds=kinds, seed=3, drip_s=0.002, latency_s=0.01), servers(latency_s=0.01)
    one = executor(expert("bad", bad), expert("good", good), timeout_s=10, retries=0, hedge_after_s=0.05)

    async def ask(text: str) -> tuple[str, Execution]:
        if not stream:
            execution = await one.run(text, ["bad", "good"])
            return execution.response or "", execution
        found = [event async for event in one.stream(text, ["bad", "good"])]
        return text_of(found), end_of(found)

    async def work() -> None:
        texts = [f"number {number} of {'many ' * (number % 7)}" for number in range(200)]
        answers = await asyncio.gather(*map(ask, texts))
        for text, (said, execution) in zip(texts, answers, strict=True):
            assert said == execution.response == text
            assert execution.error is None
        assert {execution.expert for _, execution in answers} == {"bad", "good"}
        assert all(health.in_flight == health.waiting == 0 for health in one.health().values())
        await one.aclose()

    asyncio.run(work())


@pytest.mark.parametrize("stream", [False, True])
def test_deadlines_are_kept_by_each_expert_and_by_all(servers: Callable[..., FaultServer], stream: bool):
    silent = [servers(always="never") for _ in range(4)]
    experts = [expert(f"silent{number}", server) for number, server in enumerate(silent)]
    one = executor(*experts, timeout_s=0.3, total_timeout_s=0.75, retries=5)
    started = time.perf_counter()
    execution = end_of(events(one, "hi")) if stream else run(one, "hi")
    took = time.perf_counter() - started
    assert 0.7 < took < 3
    assert execution.expert is None
    asked = [attempt.expert for attempt in execution.attempts]
    assert asked in (["silent0", "silent1", "silent2"], ["silent0", "silent1"])  # the latter on a very busy machine
    assert all(str(attempt.error).startswith("timeout:") for attempt in execution.attempts)
    assert str(execution.error).startswith("timeout:")
    # What it may have been billed for is at most what it was allowed to write.
    assert all(attempt.cost and attempt.cost > 0.01 for attempt in execution.attempts)
    sooner = time.perf_counter()
    other = executor(*[expert(one.name, server) for one, server in zip(experts, silent, strict=True)], timeout_s=30)
    if stream:
        end_of(events(other, "hi", total_timeout_s=0.2))
    else:
        run(other, "hi", total_timeout_s=0.2)
    assert time.perf_counter() - sooner < 3


# Streams


def test_a_stream_ends_with_what_it_amounts_to(servers: Callable[..., FaultServer]):
    one = executor(expert("good", servers()))
    found = events(one, "one two three")
    execution = end_of(found)
    assert text_of(found) == execution.response == "one two three"
    assert [event.piece.finish_reason for event in found if isinstance(event, Piece)][-1] == "stop"
    assert execution.choice is not None
    assert execution.choice["message"]["content"] == "one two three"
    assert execution.attempts[0].first_token_s is not None
    assert 0 < execution.attempts[0].first_token_s <= execution.attempts[0].latency_s
    assert (execution.is_partial, execution.error, execution.cost) == (False, None, pytest.approx(33e-6))


BREAKING = ["cut_body", "reset_body", "stream_error", "no_finish", "stall"]


@pytest.mark.parametrize("fault", BREAKING)
def test_a_stream_that_breaks_after_its_first_token_says_so(servers: Callable[..., FaultServer], fault: str):
    bad, good = servers(always=fault), servers()
    one = executor(expert("bad", bad), expert("good", good), timeout_s=0.6)
    found = events(one, "one two three four five six")
    execution = end_of(found)
    assert "one two three four five six".startswith(text_of(found))
    assert execution.response == text_of(found) != ""
    assert (execution.is_partial, execution.expert, execution.finish_reason) == (True, "bad", None)
    assert execution.error == execution.attempts[0].error is not None
    assert good.requests == 0
    assert execution.usage is not None
    assert execution.usage.is_estimated
    assert 0 < execution.cost < 1e-3


@pytest.mark.parametrize("fault", BREAKING)
def test_a_broken_stream_is_gone_on_with_by_the_next_expert(servers: Callable[..., FaultServer], fault: str):
    bad, worse, good = servers(always=fault), servers(always="500"), servers(answer="and so on")
    experts = [expert("bad", bad), expert("worse", worse), expert("good", good)]
    one = executor(*experts, timeout_s=0.6, after_break="continue", retries=0)
    call = ChatCall(({"role": "user", "content": "one two three four five six"},), {"temperature": 0.5})
    found = events(one, call)
    execution = end_of(found)
    (resumed,) = [event for event in found if isinstance(event, Resumed)]
    assert resumed == Resumed("good", "bad")
    at = found.index(resumed)
    begun = text_of(found[:at])
    assert "one two three four five six".startswith(begun)
    assert begun
    assert text_of(found[at:]) == "and so on"
    assert execution.response == f"{begun}and so on"
    assert execution.choice is not None
    assert execution.choice["message"]["content"] == execution.response
    assert (execution.expert, execution.is_partial, execution.error) == ("good", False, None)
    assert [bool(attempt.error) for attempt in execution.attempts] == [True, True, False]
    sent = good.last_request()[1]
    assert sent["messages"][:2] == [*call.messages, {"role": "assistant", "content": begun}]
    assert sent["messages"][2]["role"] == "user"
    assert sent["temperature"] == 0.5


def test_what_nobody_can_go_on_with_ends_in_an_error(servers: Callable[..., FaultServer]):
    bad, good = servers(always="no_finish"), servers()
    for options in ({"response_format": {"type": "json_object"}}, {}):
        one = executor(expert("bad", bad), expert("good", servers(always="500")), after_break="continue", retries=0)
        found = events(one, ChatCall(({"role": "user", "content": "one two three four"},), options))
        assert end_of(found).is_partial
        assert end_of(found).expert == "bad"
        assert end_of(found).response == text_of(found)
        assert len(end_of(found).attempts) == (1 if options else 2)
    assert good.requests == 0


def test_an_expert_whose_first_token_is_late_is_left_before_anything_is_shown(servers: Callable[..., FaultServer]):
    late, good = servers(latency_s=5.0), servers(token_s=0.1)
    one = executor(expert("late", late), expert("good", good), timeout_s=30, first_token_timeout_s=0.3)
    found = events(one, "one two three four five")
    assert end_of(found).expert == "good"
    assert text_of(found) == "one two three four five"
    assert str(end_of(found).attempts[0].error).startswith("timeout:")


# Hedging


@pytest.mark.parametrize("stream", [False, True])
def test_a_late_expert_gets_company_and_the_first_answer_wins(servers: Callable[..., FaultServer], stream: bool):
    late, good = servers(latency_s=5.0), servers()
    one = executor(expert("late", late), expert("good", good), hedge_after_s=0.1)
    started = time.perf_counter()
    execution = end_of(events(one, "one two")) if stream else run(one, "one two")
    assert time.perf_counter() - started < 3
    assert (execution.expert, execution.response) == ("good", "one two")
    lost, won = execution.attempts
    assert (lost.expert, lost.is_hedge, won.expert, won.is_hedge) == ("late", False, "good", True)
    assert str(lost.error).startswith("cancelled:")
    assert lost.cost is not None
    assert lost.cost > 0.01  # it may have been billed for all it was allowed to write
    assert won.cost == pytest.approx(22e-6)
    assert won.started_s >= 0.1
    assert execution.cost == pytest.approx(lost.cost + won.cost)
    assert one.health()["late"].in_flight == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_hedge_that_is_slower_loses_and_is_ended(servers: Callable[..., FaultServer], stream: bool):
    first, slow = servers(latency_s=0.4), servers(latency_s=30.0)

    async def work() -> None:
        one = executor(expert("first", first), expert("slow", slow), hedge_after_s=0.1)
        if stream:
            execution = end_of([event async for event in one.stream("one two", ["first", "slow"])])
        else:
            execution = await one.run("one two", ["first", "slow"])
        assert execution.expert == "first"
        assert [attempt.is_hedge for attempt in execution.attempts] == [False, True]
        assert str(execution.attempts[1].error).startswith("cancelled:")
        for _ in range(100):
            if slow.stats()["dropped"]:
                break
            await asyncio.sleep(0.02)
        assert slow.stats()["dropped"] == 1
        assert one.health()["slow"].in_flight == 0
        await one.aclose()

    asyncio.run(work())


def test_an_expert_in_time_gets_no_company_and_one_that_fails_early_is_followed_at_once(
    servers: Callable[..., FaultServer],
):
    first, second = servers(), servers()
    execution = run(executor(expert("first", first), expert("second", second), hedge_after_s=5.0), "hi")
    assert (execution.expert, second.requests) == ("first", 0)
    started = time.perf_counter()
    one = executor(expert("bad", servers(always="400")), expert("second", second), hedge_after_s=5.0)
    assert run(one, "hi").expert == "second"
    assert time.perf_counter() - started < 4


def test_the_own_percentile_of_an_expert_decides_what_is_late(servers: Callable[..., FaultServer]):
    first, second = servers(latency_s=0.02), servers()
    one = executor(expert("first", first), expert("second", second), hedge_after_s="p95")

    async def work() -> None:
        for number in range(20):
            assert one.health()["first"].p95_s is None
            assert (await one.run(f"text {number}", ["first", "second"])).expert == "first"
        p95_s = one.health()["first"].p95_s
        assert p95_s is not None
        assert 0.02 <= p95_s < 1
        first.change(latency_s=10.0)
        execution = await one.run("late", ["first", "second"])
        assert execution.expert == "second"
        assert execution.attempts[1].is_hedge
        await one.aclose()

    asyncio.run(work())


# The caller goes away


def test_a_cancelled_caller_gives_back_turns_and_connections_and_leaves_a_record(
    servers: Callable[..., FaultServer],
):
    silent, other = servers(always="never"), servers(always="never")
    kept: list[Execution] = []

    async def work() -> None:
        one = executor(expert("silent", silent), expert("other", other), concurrency=2, hedge_after_s=0.1)
        tasks = [asyncio.create_task(one.run("hi", ["silent", "other"], on_cancel=kept.append)) for _ in range(5)]
        await asyncio.sleep(0.6)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert all(health.in_flight == health.waiting == 0 for health in one.health().values())
        silent.change(always=None)
        assert (await one.run("hi again", ["silent"])).response == "hi again"
        await one.aclose()
        for _ in range(100):
            if silent.stats()["in_flight"] == 0:
                break
            await asyncio.sleep(0.02)
        assert silent.stats()["dropped"] == 2

    asyncio.run(work())
    assert len(kept) == 5
    for execution in kept:
        assert execution.expert is None
        assert all(str(attempt.error).startswith(("cancelled:", "busy:")) for attempt in execution.attempts)
    asked = [attempt for execution in kept for attempt in execution.attempts if attempt.cost]
    assert len(asked) == 4  # two of each had their turn; those that waited for one cost nothing


@pytest.mark.parametrize("way", ["close", "cancel"])
def test_a_client_that_leaves_a_stream_ends_it_upstream_and_leaves_a_record(
    servers: Callable[..., FaultServer], way: str
):
    server = servers(token_s=0.05)

    async def work() -> None:
        one = executor(expert("good", server), concurrency=1)
        stream = one.stream("word " * 200, ["good"])
        seen: list[StreamEvent] = []

        async def read() -> None:
            async for event in stream:
                seen.append(event)

        if way == "cancel":
            task = asyncio.create_task(read())
            while len(seen) < 3:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            async with aclosing(stream):
                seen += [await anext(stream) for _ in range(3)]
        assert one.health()["good"].in_flight == 0
        execution = stream.execution
        assert (execution.expert, execution.is_partial, execution.response) == ("good", True, text_of(seen))
        assert str(execution.error).startswith("cancelled:")
        (attempt,) = execution.attempts
        assert attempt.error == execution.error
        assert 0 < (attempt.cost or 0.0) < 1e-2
        assert attempt.completion_tokens
        for _ in range(100):
            if server.stats()["dropped"]:
                break
            await asyncio.sleep(0.02)
        assert server.stats()["dropped"] == 1
        await stream.aclose()
        await one.aclose()

    asyncio.run(work())


def test_a_stream_that_is_never_read_asks_nobody(servers: Callable[..., FaultServer]):
    server = servers()

    async def work() -> None:
        one = executor(expert("good", server))
        stream = one.stream("hi", ["good"])
        await stream.aclose()
        assert stream.execution.attempts == ()
        assert [event async for event in stream] == []
        await one.aclose()

    asyncio.run(work())
    assert server.requests == 0


# Truncation


class Cut(Expert):
    def __init__(self, name: str, finish: str) -> None:
        super().__init__(name, price=Price(per_call=1.0))
        self.finish = finish

    async def chat(self, call: ChatCall) -> Answer:
        return Answer(f"by {self.name}", completion_tokens=5, finish_reason=self.finish)

    async def answer(self, instruction: object) -> Answer:
        raise NotImplementedError


def test_an_answer_that_was_cut_off_may_be_left_for_a_longer_one():
    experts = [Cut("short", "length"), Cut("cut", "length"), Cut("long", "stop")]
    assert run(executor(*experts), "hi").expert == "short"
    execution = run(executor(*experts, on_truncation="next"), "hi")
    assert (execution.expert, execution.cost) == ("long", 3.0)
    kept = run(executor(*experts, on_truncation="next"), "hi", "short", "cut")
    assert (kept.expert, kept.response, kept.finish_reason) == ("cut", "by cut", "length")
    bounded = ChatCall(({"role": "user", "content": "hi"},), {"max_tokens": 5})
    assert run(executor(*experts, on_truncation="next"), bounded).expert == "short"
    assert end_of(events(executor(*experts, on_truncation="next"), "hi")).expert == "short"


class Whole(Expert):
    """Says all at once; in pieces it gives only the answer."""

    async def answer(self, instruction: object) -> Answer:
        return Answer("all of it")

    async def stream_chat(self, call: ChatCall) -> Any:
        yield ChatPiece({"role": "assistant"})
        yield Answer("all of it")


def test_an_expert_without_pieces_is_shown_all_the_same():
    found = events(executor(Whole("whole")), "hi")
    assert end_of(found).response == "all of it"
    assert text_of(found) == "all of it"
