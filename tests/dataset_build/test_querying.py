import asyncio
import os
import signal
import threading
from collections import Counter

import pytest

from dataset_build.src import calls, limits, querying
from dataset_build.src.config import BuildConfig
from dataset_build.src.errors import DataError, EarlyStopError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.querying import count_answered, query_all
from dataset_build.src.records import Answer, Instruction
from dataset_build.src.response_store import ResponseStore, request_key
from tests.dataset_build.sample_experts import Batched, Moody, Shout, Trouble


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "journal.sqlite") as opened:
        yield opened


def instructions(count):
    return InstructionStore(Instruction(id=f"i{n:04d}", text=f"text {n}") for n in range(count))


def query(asked, experts, store, *, on_response=lambda response: None, **options):
    config = BuildConfig(**{"workers": 1, "timeout_s": 10, "batch_size": 4, **options})
    asyncio.run(query_all(asked, experts, store=store, config=config, on_response=on_response))


class Counting(Expert):
    """Counts how many of its calls overlap."""

    def __init__(self):
        super().__init__("counting")
        self.now = self.most = self.calls = 0

    async def answer(self, instruction):
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        return Answer("x")


def test_every_shape_of_expert_answers_every_instruction_and_is_closed(store):
    experts = [EchoExpert("echo"), Batched(), Shout(), Moody(failures=1)]
    seen = []
    query(instructions(10), experts, store, on_response=seen.append)
    assert len(seen) == 40
    assert count_answered(instructions(10), experts, store) == 40
    assert experts[1].sizes == [4, 4, 2]
    assert experts[3].closed
    found = store.of_instruction("i0003")
    assert found["shout", request_key(experts[2])].text == "TEXT 3!"


def test_calls_of_one_expert_overlap_up_to_the_concurrency(store):
    expert = Counting()
    query(instructions(50), [expert], store, concurrency=7)
    assert expert.most == 7


def test_answers_are_final_and_errors_are_tried_again(store):
    expert = Moody(failures=1, kind=ExpertRefusedError)
    query(instructions(3), [expert], store)
    assert count_answered(instructions(3), [expert], store) == 0
    query(instructions(5), [expert], store)
    assert count_answered(instructions(5), [expert], store) == 3
    query(instructions(5), [expert], store)
    assert set(expert.calls.values()) == {2}
    assert count_answered(instructions(5), [expert], store) == 5


def test_tools_that_answered_are_not_run_again(store):
    query(instructions(6), [Shout()], store)
    seen = []
    query(instructions(8), [Shout(), Trouble()], store, on_response=seen.append)
    assert sum(one.expert == "shout" for one in seen) == 2
    assert sum(one.expert == "trouble" for one in seen) == 8


def test_in_a_batch_only_failures_worth_it_are_repeated(store):
    expert = Batched(fail_first=True)
    query(instructions(4), [expert], store)
    assert expert.sizes == [4, 4]
    assert count_answered(instructions(4), [expert], store) == 4
    expert = Batched("picky", refuse={"text 2"})
    query(instructions(4), [expert], store)
    assert expert.sizes == [4]
    assert store.of_instruction("i0002")["picky", request_key(expert)].error == "refused: no"


@pytest.mark.parametrize("trouble", [{"crash": True}, {"short": True}])
def test_a_batch_that_crashes_is_an_error_for_each_of_its_instructions(store, trouble):
    expert = Batched(**trouble)
    query(instructions(5), [expert], store)
    assert {one.error_kind for n in range(5) for one in store.of_instruction(f"i{n:04d}").values()} == {"crash"}


def test_what_a_batch_finished_before_it_failed_is_kept(store):
    class Halfway(Batched):
        window_batches = 2

        def iter_answers(self, instructions):
            self.sizes.append(len(instructions))
            for number in (2, 0):
                yield number, Answer("done")
            raise RuntimeError("the rest is lost")

    expert = Halfway()
    query(instructions(6), [expert], store)
    assert expert.sizes == [6]
    assert count_answered(instructions(6), [expert], store) == 2
    assert {one.error_kind for n in (1, 3, 4, 5) for one in store.of_instruction(f"i{n:04d}").values()} == {"crash"}


def test_a_batch_over_its_deadline_is_a_timeout(store):
    class Stuck(Batched):
        def answer_batch(self, instructions):
            threading.Event().wait(5)

    query(instructions(2), [Stuck()], store, timeout_s=0.05, retries=0)
    assert store.of_instruction("i0001").popitem()[1].error_kind == "timeout"


def test_a_journal_that_cannot_be_written_ends_the_build_with_its_own_error(store):
    def broken(responses, asked):
        raise DataError("damaged")

    store.put_all = broken
    with pytest.raises(DataError, match="damaged"):
        query(instructions(5), [EchoExpert("echo"), Shout()], store)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_an_interrupt_starts_nothing_new_keeps_all_and_says_how_much(store, number, name):
    expert = Counting()
    count = 0

    def interrupt(response):
        nonlocal count
        count += 1
        if count == 20:
            os.kill(os.getpid(), number)

    with pytest.raises(EarlyStopError, match=f"stopped by {name} with .* of 10,000 answers kept") as stop:
        query(instructions(5000), [expert, Shout()], store, on_response=interrupt, concurrency=3)
    kept = count_answered(instructions(5000), [expert, Shout()], store)
    assert f"with {kept:,} of" in str(stop.value)
    assert expert.calls <= kept  # what was in flight was waited for
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    seen = []
    query(instructions(30), [expert], store, on_response=seen.append)
    assert len(seen) + kept >= 30


def test_calls_in_flight_that_do_not_end_are_dropped_after_a_grace(store, monkeypatch):
    class Endless(Expert):
        async def answer(self, instruction):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(600)

    monkeypatch.setattr(querying, "STOP_GRACE_S", 0.1)
    with pytest.raises(EarlyStopError, match="with 0 of 2"):
        query(instructions(2), [Endless("endless")], store, concurrency=1)


def test_querying_works_outside_the_main_thread(tmp_path):
    with ResponseStore(tmp_path / "journal.sqlite") as store:
        thread = threading.Thread(target=query, args=(instructions(3), [EchoExpert("echo")], store))
        thread.start()
        thread.join()
        assert count_answered(instructions(3), [EchoExpert("echo")], store) == 3


class Spaced(Expert):
    """Takes one call every so many seconds, and turns away what comes sooner, without saying how long to wait."""

    def __init__(self, every_s):
        super().__init__("spaced")
        self._every_s, self._free_at = every_s, 0.0
        self.now, self.overlaps = 0, []

    async def answer(self, instruction):
        now = asyncio.get_running_loop().time()
        if now < self._free_at:
            raise ExpertUnavailableError("too many requests", expert=self.name, kind="rate_limit")
        self._free_at = now + self._every_s
        self.now += 1
        self.overlaps.append(self.now)
        await asyncio.sleep(20 * self._every_s)
        self.now -= 1
        return Answer("x")


def test_after_a_breaker_opened_and_a_call_in_flight_closed_it_all_workers_come_back(store, monkeypatch):
    monkeypatch.setattr(limits, "FIRST_COOL_DOWN_S", 0.02)
    expert = Spaced(0.002)
    query(instructions(300), [expert], store, concurrency=32)
    assert count_answered(instructions(300), [expert], store) == 300
    assert max(expert.overlaps[200:]) >= 3


class Late(Expert):
    """Fails the first tries of an instruction, as many as its number's last digit modulo three."""

    def __init__(self):
        super().__init__("late")
        self.tries = Counter()

    async def answer(self, instruction):
        self.tries[instruction.id] += 1
        if self.tries[instruction.id] <= int(instruction.id[-1]) % 3:
            raise ExpertUnavailableError("not yet", expert=self.name, kind="server")
        return Answer("x")


def test_what_failed_is_asked_again_for_as_long_as_that_leaves_less_of_it(store):
    expert = Late()
    query(instructions(40), [expert], store, retries=0, concurrency=4)
    assert count_answered(instructions(40), [expert], store) == 40
    assert max(expert.tries.values()) == 3


class Never(Late):
    """Fails every second instruction for ever."""

    async def answer(self, instruction):
        self.tries[instruction.id] += 1
        if int(instruction.id[-1]) % 2:
            raise ExpertUnavailableError("no", expert=self.name, kind="server")
        return Answer("x")


def test_what_fails_for_ever_is_asked_once_more_and_left(store):
    expert = Never()
    query(instructions(20), [expert], store, retries=0, concurrency=1)
    assert count_answered(instructions(20), [expert], store) == 10
    assert max(expert.tries.values()) == 2
