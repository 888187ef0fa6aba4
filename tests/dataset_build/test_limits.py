"""The pace an endpoint is asked at: its level, its rates, its breaker, and that no turn is ever lost."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.errors import ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.limits import (
    CIRCUIT_OPEN,
    FATAL,
    FIRST_COOL_DOWN_S,
    LONGEST_COOL_DOWN_S,
    OF_THE_INSTRUCTION,
    START_LEVEL,
    TOLERATED_SHARE,
    TRIES_UNTIL_OPEN,
    AdaptiveLevel,
    CircuitBreaker,
    Endpoint,
    Limits,
    RateLimit,
    TokenForecast,
    endpoints_of,
)
from dataset_build.src.records import CallEstimate


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def problem(kind: str = "connection", retry_after_s: float | None = None) -> ExpertError:
    return ExpertUnavailableError("no", expert="e", kind=kind, retry_after_s=retry_after_s)


# The level


def grown(most: int, to: int) -> AdaptiveLevel:
    level = AdaptiveLevel(most)
    while level.level < to:
        level.succeeded(was_in_use=True)
    return level


def test_the_level_starts_low_and_doubles_every_round_until_the_first_decrease():
    level = AdaptiveLevel(1000)
    assert level.level == START_LEVEL
    for _ in range(START_LEVEL):  # one round: every call in flight succeeds
        level.succeeded(was_in_use=True)
    assert level.level == 2 * START_LEVEL


def test_where_the_first_call_is_turned_down_it_halves_and_then_rises_by_one_a_round():
    level = AdaptiveLevel(1000)
    level.protested(level.epoch)
    assert level.level == START_LEVEL / 2
    for _ in range(START_LEVEL // 2):
        level.succeeded(was_in_use=True)
    assert level.level == pytest.approx(START_LEVEL / 2 + 1, abs=0.2)


def test_a_few_protests_at_random_leave_the_level_alone_and_a_storm_brings_it_down_within_rounds():
    level, chance = grown(256, 256), random.Random(0)
    lowest = 256.0
    for _ in range(20_000):
        if chance.random() < TOLERATED_SHARE / 3:
            level.protested(level.epoch)
        else:
            level.succeeded(was_in_use=True)
        lowest = min(lowest, level.level)
    assert lowest > 200
    rounds = 0
    while level.level > 1.0:
        epoch = level.epoch
        for _ in range(int(level.level)):
            level.protested(epoch)
        rounds += 1
    assert rounds < 12


def test_it_finds_what_an_endpoint_takes_and_stays_there():
    level, chance, takes = AdaptiveLevel(256), random.Random(0), 40
    levels = []
    for _ in range(400):  # rounds
        in_flight, epoch = int(level.level), level.epoch
        ends = [number < takes for number in range(in_flight)]
        chance.shuffle(ends)
        for is_well in ends:
            if is_well:
                level.succeeded(was_in_use=True)
            else:
                level.protested(epoch)
        levels.append(level.level)
    assert takes * 0.9 < min(levels[100:])
    assert max(levels[100:]) < takes * 1.3


def test_calls_of_one_round_that_all_fail_lower_it_once():
    level = AdaptiveLevel(64)
    epochs = [level.epoch] * 8
    for epoch in epochs:
        level.protested(epoch)
    assert level.level == START_LEVEL / 2
    level.protested(level.epoch)
    assert level.level == START_LEVEL / 4


@given(most=st.integers(1, 300), events=st.lists(st.sampled_from(["well", "protest", "old"]), max_size=300))
def test_the_level_stays_between_one_and_its_most_and_falls_by_half_at_most_once_an_epoch(most: int, events: list[str]):
    level = AdaptiveLevel(most)
    for event in events:
        before, epoch = level.level, level.epoch
        if event == "well":
            level.succeeded(was_in_use=True)
            assert before <= level.level <= before + 1
        elif event == "protest":
            level.protested(epoch)
            assert max(1.0, before / 2) <= level.level <= before
            assert (level.epoch == epoch + 1) == level.is_congested
        else:
            level.protested(epoch - 1)
            assert (level.level, level.epoch) == (before, epoch)
        assert 1.0 <= level.level <= most
        assert 0.0 <= level.share <= 1.0


def test_one_protest_among_many_answers_pauses_only_its_own_call():
    async def work():
        clock = Clock()
        endpoint = Endpoint("e", most=16, clock=clock)
        for _ in range(60):
            endpoint.leave(await endpoint.enter(), None)
        await fail(endpoint, times=1, kind="rate_limit", retry_after_s=10.0)
        await asyncio.wait_for(endpoint.enter(), 2)

    run(work())


# Rates


@settings(max_examples=300)
@given(
    per_minute=st.floats(1, 6000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 60)), min_size=1, max_size=60),
)
def test_no_minute_sees_more_than_the_rate_and_one_burst(per_minute: float, steps: list[tuple[float, int]]):
    clock = Clock()
    rate = RateLimit(per_minute, clock)
    starts = []
    for pause, calls in steps:
        clock.now += pause
        starts += [clock.now + rate.book(1.0) for _ in range(calls)]
    assert starts == sorted(starts)
    burst = max(1.0, per_minute / 60.0)
    first = 0
    for last, moment in enumerate(starts):
        while starts[first] <= moment - 60.0:
            first += 1
        assert last - first + 1 <= per_minute + burst + 1e-6


@given(
    per_minute=st.floats(60, 60_000),
    bookings=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5000)), min_size=1, max_size=50),
)
def test_tokens_are_served_at_their_rate_however_large_one_booking_is(
    per_minute: float, bookings: list[tuple[float, float]]
):
    clock = Clock()
    rate = RateLimit(per_minute, clock)
    begun, used = clock.now, 0.0
    burst = max(1.0, per_minute / 60.0)
    for pause, amount in bookings:
        clock.now += pause
        start = clock.now + rate.book(amount)
        assert used <= (start - begun) * per_minute / 60.0 + burst + 1e-6  # all before it has passed
        used += amount


def test_an_idle_endpoint_saves_up_one_burst_and_no_more():
    clock = Clock()
    rate = RateLimit(600, clock)
    clock.now += 3600
    pauses = [rate.book(1.0) for _ in range(20)]
    assert pauses[:10] == pytest.approx([0.0] * 10, abs=1e-9)
    assert pauses[10:] == pytest.approx([0.1 * n for n in range(1, 11)])


def test_what_an_answer_used_beyond_its_booking_is_paid_back():
    clock = Clock()
    rate = RateLimit(60, clock)
    assert rate.book(1.0) == 0.0
    rate.correct(9.0)
    assert rate.book(1.0) == pytest.approx(10.0)
    rate.correct(-5.0)
    assert rate.book(1.0) == pytest.approx(6.0)


# The breaker


def test_a_breaker_opens_after_so_many_failures_in_a_row_and_a_success_starts_the_count_anew():
    breaker = CircuitBreaker(Clock())
    for _ in range(TRIES_UNTIL_OPEN - 1):
        assert not breaker.failed(problem())
    breaker.succeeded()
    for _ in range(TRIES_UNTIL_OPEN - 1):
        assert not breaker.failed(problem())
    assert breaker.failed(problem())
    assert breaker.is_open
    assert not breaker.failed(problem())  # it is open already
    assert breaker.reason == "connection: no"


def test_its_cool_down_doubles_up_to_a_limit_and_a_success_closes_it():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for _ in range(TRIES_UNTIL_OPEN):
        breaker.failed(problem())
    waited = []
    for _ in range(8):
        waited.append(breaker.remaining_s)
        clock.now += breaker.remaining_s
        assert breaker.remaining_s == 0.0
        breaker.probe_failed(problem())
    assert waited[:3] == [FIRST_COOL_DOWN_S, 2 * FIRST_COOL_DOWN_S, 4 * FIRST_COOL_DOWN_S]
    assert waited[-1] == LONGEST_COOL_DOWN_S
    breaker.succeeded()
    assert (breaker.is_open, breaker.remaining_s) == (False, 0.0)
    for _ in range(TRIES_UNTIL_OPEN):
        breaker.failed(problem())
    assert breaker.remaining_s == FIRST_COOL_DOWN_S


@pytest.mark.parametrize("kind", sorted(FATAL))
def test_what_only_a_person_can_mend_is_fatal_until_it_is_mended(kind: str):
    breaker = CircuitBreaker(Clock())
    for _ in range(TRIES_UNTIL_OPEN):
        breaker.failed(problem(kind))
    assert breaker.is_fatal
    breaker.probe_failed(problem("connection"))
    assert not breaker.is_fatal
    breaker.probe_failed(problem(kind))
    breaker.succeeded()
    assert not breaker.is_fatal


# The endpoint


def test_a_probe_that_fails_after_a_late_success_leaves_nobody_waiting_for_ever():
    async def work():
        endpoint = Endpoint("e", most=1)
        await fail(endpoint, times=TRIES_UNTIL_OPEN)
        probe = await endpoint.enter(is_probe=True)
        endpoint.breaker.succeeded()  # a call that was in flight found it back
        waiting = [asyncio.create_task(endpoint.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        endpoint.leave(probe, problem(), is_probe=True)
        done, pending = await asyncio.wait(waiting, timeout=2)
        for task in pending:
            task.cancel()
        assert not pending
        assert {task.exception().kind for task in done} == {CIRCUIT_OPEN}

    run(work())


def test_an_open_breaker_keeps_the_pause_that_the_endpoint_asked_for():
    async def work():
        clock = Clock()
        endpoint = Endpoint("e", most=8, clock=clock)
        await fail(endpoint, times=TRIES_UNTIL_OPEN, kind="rate_limit", retry_after_s=0.0)
        assert endpoint.breaker.remaining_s == FIRST_COOL_DOWN_S
        endpoint.leave(await endpoint.enter(is_probe=True), problem("rate_limit", 45.0), is_probe=True)
        assert endpoint.breaker.remaining_s == 45.0
        clock.now += 45.0
        endpoint.leave(await endpoint.enter(is_probe=True), problem("rate_limit"), is_probe=True)
        assert FIRST_COOL_DOWN_S < endpoint.breaker.remaining_s <= LONGEST_COOL_DOWN_S

    run(work())


def test_an_endpoint_that_asks_for_hours_is_left_alone_at_once_and_nobody_sleeps_through_them():
    async def work():
        endpoint = Endpoint("e", most=8, clock=Clock())
        first = await endpoint.enter()
        endpoint.leave(first, problem("rate_limit", 7200.0))
        assert endpoint.breaker.is_open
        assert endpoint.breaker.remaining_s == 7200.0
        with pytest.raises(ExpertUnavailableError) as held_back:
            await asyncio.wait_for(endpoint.enter(), 2)
        assert held_back.value.kind == CIRCUIT_OPEN

    run(work())


def test_an_endpoint_that_is_stopped_lets_nobody_in_not_even_those_who_wait():
    async def work():
        endpoint = Endpoint("e", most=1)
        running = await endpoint.enter()
        waiting = asyncio.create_task(endpoint.enter())
        await asyncio.sleep(0)
        endpoint.stop()
        done, _ = await asyncio.wait({waiting}, timeout=2)
        assert done
        assert waiting.exception().kind == CIRCUIT_OPEN
        endpoint.leave(running, None)
        for is_probe in (False, True):
            with pytest.raises(ExpertUnavailableError):
                await endpoint.enter(is_probe=is_probe)

    run(work())


def run(work):
    return asyncio.run(asyncio.wait_for(work, 30))


async def fail(endpoint: Endpoint, *, times: int, kind: str = "connection", retry_after_s: float | None = None) -> None:
    for _ in range(times):
        endpoint.leave(await endpoint.enter(), problem(kind, retry_after_s))


def test_an_open_breaker_holds_back_those_who_come_and_those_who_wait_and_lets_a_probe_through():
    async def work():
        endpoint = Endpoint("e", most=2)
        epochs = [await endpoint.enter() for _ in range(2)]
        waiting = [asyncio.create_task(endpoint.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        for _ in range(TRIES_UNTIL_OPEN - 2):
            endpoint.breaker.failed(problem())
        for epoch in epochs:
            endpoint.leave(epoch, problem())
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [result.kind for result in results] == [CIRCUIT_OPEN] * 3
        with pytest.raises(ExpertUnavailableError, match=r"not asked, because .* \(connection: no\)"):
            await endpoint.enter()
        epoch = await endpoint.enter(is_probe=True)
        endpoint.leave(epoch, None, is_probe=True)
        endpoint.leave(await endpoint.enter(), None)
        assert endpoint._running == 0

    run(work())


@pytest.mark.parametrize("kind", sorted(OF_THE_INSTRUCTION))
def test_failures_that_concern_one_instruction_never_open_the_breaker_nor_lower_the_level(kind: str):
    async def work():
        endpoint = Endpoint("e", most=16)
        level = endpoint.level.level
        refusal = ExpertRefusedError("no", expert="e", kind=kind)
        for _ in range(3 * TRIES_UNTIL_OPEN):
            endpoint.leave(await endpoint.enter(), refusal)
        assert not endpoint.breaker.is_open
        assert endpoint.level.level >= level

    run(work())


def test_congestion_lowers_the_level_and_other_failures_do_not():
    async def work():
        for kind, expected in (("rate_limit", 4), ("overloaded", 4), ("timeout", 4), ("connection", 8)):
            endpoint = Endpoint("e", most=16)
            await fail(endpoint, times=1, kind=kind)
            assert endpoint.level.level == expected, kind

    run(work())


def test_the_level_only_rises_where_it_was_in_use():
    async def work():
        endpoint = Endpoint("e", most=100)
        for _ in range(50):  # one at a time: no sign that the endpoint takes more
            endpoint.leave(await endpoint.enter(), None)
        assert endpoint.level.level == START_LEVEL

    run(work())


def test_answers_that_come_together_raise_the_level_as_much_as_one_after_the_other():
    async def work():
        endpoint = Endpoint("e", most=256)
        rounds = [asyncio.Event()]

        async def call():
            epoch = await endpoint.enter()
            await rounds[-1].wait()
            endpoint.leave(epoch, None)

        tasks = [asyncio.create_task(call()) for _ in range(1000)]
        levels = []
        for _ in range(5):
            await asyncio.sleep(0.01)
            levels.append(endpoint._running)
            rounds.append(asyncio.Event())
            rounds[-2].set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert levels == [8, 16, 32, 64, 128]

    run(work())


def test_turns_are_given_in_the_order_of_asking():
    async def work():
        endpoint = Endpoint("e", most=1)
        order = []

        async def call(name):
            epoch = await endpoint.enter()
            order.append(name)
            await asyncio.sleep(0)
            endpoint.leave(epoch, None)

        await asyncio.gather(*(call(name) for name in range(30)))
        assert order == list(range(30))

    run(work())


def test_a_pause_that_the_endpoint_asked_for_holds_for_everyone_who_comes(monkeypatch: pytest.MonkeyPatch):
    slept = []
    clock = Clock()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    async def work():
        endpoint = Endpoint("e", most=4, clock=clock)
        await fail(endpoint, times=1, kind="rate_limit", retry_after_s=7.0)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        endpoint.leave(await endpoint.enter(), None)
        endpoint.leave(await endpoint.enter(), None)

    run(work())
    assert slept == [7.0]


def test_once_an_endpoint_has_protested_calls_start_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    slept = []
    clock = Clock()

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    async def work():
        endpoint = Endpoint("e", most=16, clock=clock)
        endpoint.leave(await endpoint.enter(), None, took_s=2.0)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        for _ in range(3):
            endpoint.leave(await endpoint.enter(), None, took_s=2.0)
        assert slept == []
        await fail(endpoint, times=1, kind="rate_limit")
        for _ in range(3):
            await endpoint.enter()
        between = 2.0 / endpoint.level.level
        assert slept == pytest.approx([between, 2 * between])

    run(work())


def test_a_call_is_expected_to_write_at_most_at_first_and_then_as_much_as_calls_wrote():
    forecast = TokenForecast()
    estimate = CallEstimate(prompt_tokens=100, most_prompt_tokens=120, most_completion_tokens=1000)
    assert forecast.expect(estimate) == 1100
    for _ in range(200):
        forecast.learn(50)
    assert forecast.expect(estimate) == 150
    assert TokenForecast().expect(CallEstimate(100, 120, None)) == 100


def test_experts_of_one_endpoint_keep_the_strictest_of_their_limits():
    def expert(name: str, limits: Limits | None) -> EchoExpert:
        made = EchoExpert(name)
        made.limits = limits
        return made

    class Shared(EchoExpert):
        endpoint = "shared"

    first, second = Shared("a"), Shared("b")
    first.limits, second.limits = Limits(concurrency=8, requests_per_minute=60), Limits(concurrency=3)
    endpoints = endpoints_of([first, second, expert("alone", None)], 16)
    assert {name: endpoint.most for name, endpoint in endpoints.items()} == {"shared": 3, "alone": 16}
    assert endpoints["shared"]._requests is not None
    assert not endpoints["shared"].counts_tokens


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), most=st.integers(1, 12), has_rate=st.booleans())
def test_whatever_is_cancelled_fails_or_ends_no_turn_is_lost_and_no_limit_is_passed(
    seed: int, most: int, has_rate: bool
):
    chance = random.Random(seed)
    seen: Counter[str] = Counter()

    async def call(endpoint: Endpoint) -> None:
        try:
            epoch = await endpoint.enter(chance.randint(0, 3), is_probe=chance.random() < 0.05)
        except ExpertUnavailableError:
            seen["held back"] += 1
            return
        assert endpoint._running <= most
        seen["entered"] += 1
        try:
            await asyncio.sleep(0 if chance.random() < 0.7 else 0.001)
        except asyncio.CancelledError:
            endpoint.release()
            raise
        fate = chance.random()
        outcome = None if fate < 0.6 else problem(chance.choice(["rate_limit", "connection", "bad_request", "timeout"]))
        endpoint.leave(epoch, outcome, more_tokens=chance.randint(-2, 2), is_probe=chance.random() < 0.05)

    async def work():
        limits = Limits(requests_per_minute=600_000, tokens_per_minute=6_000_000) if has_rate else None
        endpoint = Endpoint("e", most=most, limits=limits)
        tasks = []
        for _ in range(60):
            tasks.append(asyncio.create_task(call(endpoint)))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            if endpoint.breaker.is_open and chance.random() < 0.5:
                endpoint.breaker.succeeded()
        _, pending = await asyncio.wait(tasks, timeout=2)
        assert not pending, "a turn was lost: somebody waits for ever"
        assert not [task for task in tasks if not task.cancelled() and task.exception()]
        assert endpoint._running == endpoint._called == 0
        assert not [turn for turn in endpoint._waiting if not turn.done()]
        endpoint.breaker.succeeded()
        for _ in range(3):
            endpoint.leave(await endpoint.enter(), None)

    run(work())


def test_how_long_a_turn_would_take_is_known_from_what_calls_took():
    now = [0.0]
    endpoint = Endpoint("x", most=1, clock=lambda: now[0])

    async def work() -> None:
        assert endpoint.expected_wait_s == 0.0
        epoch = await endpoint.enter()
        assert (endpoint.in_flight, endpoint.waiting) == (1, 0)
        assert endpoint.expected_wait_s == 0.0  # nothing is known yet
        endpoint.leave(epoch, None, took_s=2.0)
        assert endpoint.expected_wait_s == 0.0  # there is room
        epoch = await endpoint.enter()
        assert endpoint.expected_wait_s == pytest.approx(2.0)
        waiting = asyncio.create_task(endpoint.enter())
        await asyncio.sleep(0)
        assert (endpoint.in_flight, endpoint.waiting) == (1, 1)
        assert endpoint.expected_wait_s == pytest.approx(4.0)
        endpoint.leave(epoch, None, took_s=2.0)
        endpoint.leave(await waiting, None, took_s=2.0)
        assert (endpoint.in_flight, endpoint.waiting, endpoint.expected_wait_s) == (0, 0, 0.0)

    asyncio.run(work())


def test_a_rate_that_is_used_up_is_part_of_the_wait():
    now = [0.0]
    endpoint = Endpoint("x", most=9, limits=Limits(requests_per_minute=60), clock=lambda: now[0])

    async def work() -> None:
        endpoint.leave(await endpoint.enter(), None)
        assert endpoint.expected_wait_s == pytest.approx(0.0)
        endpoint._requests.book(3.0)
        assert endpoint.expected_wait_s == pytest.approx(3.0)
        now[0] = 2.0
        assert endpoint.expected_wait_s == pytest.approx(1.0)
        now[0] = 60.0
        assert endpoint.expected_wait_s == 0.0

    asyncio.run(work())
