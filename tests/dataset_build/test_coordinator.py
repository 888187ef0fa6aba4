import asyncio
import functools
import time

import pytest

from dataset_build.src.budget import BudgetMetError
from dataset_build.src.engine import coordinator as coordinating
from dataset_build.src.engine.coordinator import EXPIRED, STOP, Coordinator
from dataset_build.src.engine.messages import Done, Down, Finished, Reserve
from dataset_build.src.engine.shared_limits import Session, SharedBudget, SharedEndpoint
from dataset_build.src.errors import ExpertUnavailableError
from dataset_build.src.limits import FIRST_COOL_DOWN_S, TRIES_UNTIL_OPEN, Limits
from dataset_build.src.records import Response

BUSY = ExpertUnavailableError("down", expert="far", kind="server_error")


def in_a_loop(test):
    """Run a test that is a coroutine."""

    @functools.wraps(test)
    def run(**fixtures):
        asyncio.run(asyncio.wait_for(test(**fixtures), 30))

    return run


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Worker:
    """A worker's end of the line, in the same process."""

    def __init__(self, coordinator, name, *, most=8, cap_usd=None):
        self.name, self.ended, self.stopped = name, False, False
        self.session = Session(
            lambda messages: coordinator.exchange(name, messages),
            lambda: coordinator.replies(name),
            on_stop=lambda: setattr(self, "stopped", True),
            on_expired=lambda: setattr(self, "ended", True),
        )
        self.endpoint = SharedEndpoint("far", most=most, session=self.session, counts_tokens=False)
        self.budget = SharedBudget(cap_usd, self.session)
        self.running = asyncio.create_task(self.session.run())

    def dies(self):
        self.running.cancel()


def desk(*, most=8, cap_usd=None, limits=None, most_blocks=10, clock=time.monotonic):
    return Coordinator({"far": (most, limits or Limits())}, cap_usd, 0.0, most_blocks, clock)


def drive(coordinator):
    """Be the driver: take what there is, and write it down."""

    async def driving():
        while True:
            await coordinator.collect()

    return asyncio.create_task(driving())


def answer(number, expert="e"):
    return Response(f"i{number}", expert, text="x")


async def is_waiting(work):
    """Whether `work` is still not done after everybody had many turns."""
    task = asyncio.ensure_future(work)
    for _ in range(50):
        await asyncio.sleep(0)
    return task, not task.done()


@in_a_loop
async def test_turns_are_those_of_the_whole_build():
    coordinator = desk(most=3)
    workers = [Worker(coordinator, name) for name in "ab"]
    now = most = 0

    async def call(worker):
        nonlocal now, most
        epoch = await worker.endpoint.enter()
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        worker.endpoint.leave(epoch, None)

    await asyncio.gather(*(call(worker) for worker in workers for _ in range(20)))
    assert most == 3


@in_a_loop
async def test_a_dead_worker_gives_its_turns_back_when_its_block_is_begun_anew():
    coordinator = desk(most=1)
    await coordinator.offer(b"block")
    dead, live = Worker(coordinator, "dead"), Worker(coordinator, "live")
    assert await coordinator.begin("dead", 0) == set()
    await dead.endpoint.enter()
    dead.session.post(Finished(0, answer(1), False))
    await dead.session.flush()
    turn, waits = await is_waiting(live.endpoint.enter())
    assert waits
    dead.dies()
    assert await coordinator.begin("live", 0) == {("e", "i1")}
    results, _ = await coordinator.collect()
    assert len(results) == 1
    written = asyncio.ensure_future(coordinator.collect())  # to ask for more is to say that these are in the journal
    await turn
    written.cancel()
    assert await coordinator.exchange("dead", []) == EXPIRED


@in_a_loop
async def test_a_silent_worker_is_taken_for_dead_and_must_end(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(coordinating, "POLL_S", 0.01)
    coordinator = desk(most=1, clock=clock)
    silent, live = Worker(coordinator, "silent"), Worker(coordinator, "live")
    await silent.endpoint.enter()
    silent.dies()
    turn, waits = await is_waiting(live.endpoint.enter())
    assert waits
    clock.now += coordinating.SILENT_S + 1
    await asyncio.sleep(0.05)  # the live one polls
    await coordinator.collect()
    await turn
    back = Worker(coordinator, "silent")
    back.endpoint.release()
    with pytest.raises(ConnectionError):
        await back.session.flush()
    assert back.ended


@in_a_loop
async def test_what_a_dead_worker_had_set_aside_counts_as_spent():
    coordinator = desk(cap_usd=1.0)
    driving = drive(coordinator)
    await coordinator.offer(b"block")
    dead, live = (Worker(coordinator, name, cap_usd=1.0) for name in ("dead", "live"))
    await coordinator.begin("dead", 0)
    await dead.budget.reserve(0.6)
    room, waits = await is_waiting(live.budget.reserve(0.5))
    assert waits
    dead.dies()
    await coordinator.begin("live", 0)
    with pytest.raises(BudgetMetError, match=r"USD 0\.6 are spent"):
        await room
    await live.budget.reserve(0.4)
    driving.cancel()
    _, account = await coordinator.collect()
    assert account.spent_usd == account.at_most_usd == 1.0


@in_a_loop
async def test_workers_never_spend_more_than_the_cap_together():
    coordinator = desk(cap_usd=1.0)
    workers, driving = [Worker(coordinator, name, cap_usd=1.0) for name in "abc"], drive(coordinator)
    spent, refused = 0.0, 0

    async def pay(worker):
        nonlocal spent, refused
        try:
            await worker.budget.reserve(0.25)
        except BudgetMetError:
            refused += 1
            return
        await asyncio.sleep(0)
        spent += 0.2
        worker.budget.settle(0.25, 0.2)

    await asyncio.gather(*(pay(worker) for worker in workers for _ in range(5)))
    driving.cancel()
    assert (round(spent, 6), refused) == (0.8, 11)


@in_a_loop
async def test_no_money_is_given_before_the_driver_has_written_it_down():
    coordinator = desk(cap_usd=1.0)
    worker = Worker(coordinator, "one", cap_usd=1.0)
    money, waits = await is_waiting(worker.budget.reserve(0.25))
    assert waits
    _, account = await coordinator.collect()
    assert account.spent_usd == 0.0
    assert 0.25 <= account.at_most_usd <= 0.5
    _, waits = await is_waiting(money)
    assert waits
    written = asyncio.ensure_future(coordinator.collect())  # to ask for more is to say that it is in the journal
    await money
    written.cancel()


@in_a_loop
async def test_an_endpoint_that_is_down_lets_one_call_of_any_worker_through():
    clock = Clock()
    coordinator = desk(clock=clock)
    one, other = Worker(coordinator, "one"), Worker(coordinator, "other")
    for _ in range(TRIES_UNTIL_OPEN):
        one.endpoint.leave(await one.endpoint.enter(), BUSY)
    with pytest.raises(ExpertUnavailableError, match="down"):
        await other.endpoint.enter()
    assert await coordinator.down() == {"far": Down(FIRST_COOL_DOWN_S, False, "server_error: down")}
    clock.now += FIRST_COOL_DOWN_S
    probe = await other.endpoint.enter()
    with pytest.raises(ExpertUnavailableError):
        await one.endpoint.enter()
    other.endpoint.leave(probe, None)
    await other.session.flush()
    assert await coordinator.down() == {}
    await one.endpoint.enter()


@in_a_loop
async def test_a_probe_that_fails_keeps_the_endpoint_down_for_twice_as_long():
    clock = Clock()
    coordinator = desk(clock=clock)
    worker = Worker(coordinator, "one")
    for _ in range(TRIES_UNTIL_OPEN):
        worker.endpoint.leave(await worker.endpoint.enter(), BUSY)
    await worker.session.flush()
    clock.now += FIRST_COOL_DOWN_S
    worker.endpoint.leave(await worker.endpoint.enter(), BUSY)
    await worker.session.flush()
    assert (await coordinator.down())["far"].remaining_s == 2 * FIRST_COOL_DOWN_S


@in_a_loop
async def test_after_a_stop_no_turn_is_given_and_nobody_waits():
    coordinator = desk(most=1)
    worker = Worker(coordinator, "one")
    epoch = await worker.endpoint.enter()
    waiting, waits = await is_waiting(worker.endpoint.enter())
    assert waits
    await coordinator.stop()
    for work in (waiting, worker.endpoint.enter()):
        with pytest.raises(ExpertUnavailableError, match="stopped"):
            await work
    worker.endpoint.leave(epoch, None)
    await worker.session.flush()
    assert worker.stopped
    assert await coordinator.exchange("late", [Reserve(0, 1.0)]) == STOP


@in_a_loop
async def test_a_turn_that_nobody_waits_for_any_more_is_given_back():
    coordinator = desk(most=1)
    worker = Worker(coordinator, "one")
    epoch = await worker.endpoint.enter()
    dropped, _ = await is_waiting(worker.endpoint.enter())
    dropped.cancel()
    worker.endpoint.leave(epoch, None)
    await worker.endpoint.enter()


@in_a_loop
async def test_blocks_wait_for_room_and_a_second_reader_gets_the_same():
    coordinator = desk(most_blocks=2)
    assert [await coordinator.offer(text) for text in (b"a", b"b")] == [0, 1]
    third, waits = await is_waiting(coordinator.offer(b"c"))
    assert waits
    assert [await coordinator.take(0), await coordinator.take(0)] == [b"a", b"a"]
    await coordinator.exchange("w", [Done(0)])
    assert await third == 2
    assert [await coordinator.take(number) for number in range(3)] == [b"", b"b", b"c"]
    assert await coordinator.begin("w", 0) is None
    beyond, waits = await is_waiting(coordinator.take(3))
    assert waits
    await coordinator.end()
    assert await beyond is None


@in_a_loop
async def test_workers_wait_while_the_journal_is_behind(monkeypatch):
    monkeypatch.setattr(coordinating, "MOST_RESULTS", 3)
    coordinator = desk()
    worker = Worker(coordinator, "one")
    for number in range(3):
        worker.session.post(Finished(0, answer(number), False))
    _, waits = await is_waiting(worker.session.flush())
    assert waits
    results, _ = await coordinator.collect()
    assert [result.response.instruction_id for result in results] == ["i0", "i1", "i2"]
    await worker.session.flush()


@in_a_loop
async def test_without_a_driver_at_most_twice_the_calls_in_flight_are_made():
    coordinator = desk(most=3)
    worker = Worker(coordinator, "one")
    made = 0

    async def call(number):
        nonlocal made
        epoch = await worker.endpoint.enter()
        made += 1
        worker.endpoint.leave(epoch, None)
        worker.session.post(Finished(0, answer(number), False))

    calls, waits = await is_waiting(asyncio.gather(*(call(number) for number in range(100))))
    assert waits
    assert made <= 2 * 3 + 1
    while not calls.done():
        await coordinator.collect()
    assert made == 100


@in_a_loop
async def test_a_broken_line_tells_everybody_who_waits():
    async def broken(*_):
        raise ConnectionError("gone")

    session = Session(broken, broken, on_stop=lambda: None, on_expired=lambda: None)
    waiting = asyncio.ensure_future(session.turn("far", 0))
    await asyncio.sleep(0)
    await session.run()
    for work in (waiting, session.turn("far", 0), session.flush()):
        with pytest.raises(ConnectionError):
            await work
