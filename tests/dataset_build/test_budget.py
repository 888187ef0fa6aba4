"""A cap that holds: whatever overlaps, fails or is cancelled, what is spent and set aside stays below it."""

import asyncio
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import BuildConfig, Expert, ExpertUnavailableError
from dataset_build.src import calls
from dataset_build.src.budget import Budget, BudgetMetError, at_most_usd, check_bounded
from dataset_build.src.building import build, plan_build
from dataset_build.src.errors import ConfigError, EarlyStopError, ExpertRefusedError
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.querying import count_answered, query_all
from dataset_build.src.records import Answer, CallEstimate, Instruction, Price, Usage
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore
from tests.fault_server import start_fault_server


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)


def run(work):
    return asyncio.run(asyncio.wait_for(work, 30))


class Watched(Budget):
    """Looks after every step whether the cap holds."""

    def __init__(self, cap_usd, spent_usd=0.0):
        super().__init__(cap_usd, spent_usd)
        self.open = 0

    async def reserve(self, usd):
        await super().reserve(usd)
        self.open += usd != 0.0
        self.look()

    def settle(self, reserved_usd, spent_usd):
        super().settle(reserved_usd, spent_usd)
        self.open -= reserved_usd != 0.0
        self.look()

    def look(self):
        assert self.reserved_usd >= -1e-9
        assert self.spent_usd + self.reserved_usd <= self.cap_usd + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    cap=st.floats(0.0, 20.0),
    costs=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1.0)), min_size=1, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_whatever_overlaps_fails_or_is_cancelled_the_cap_holds_and_every_reservation_is_settled(cap, costs, seed):
    chance = random.Random(seed)

    async def call(budget, most, share):
        try:
            await budget.reserve(most)
        except BudgetMetError:
            assert budget.spent_usd + most > cap, "there was room"
            return 0.0
        spent = most  # of a call that is dropped
        try:
            await asyncio.sleep(0 if chance.random() < 0.8 else 0.001)
            spent = most * share
        finally:
            budget.settle(most, spent)
        return spent

    async def work():
        budget = Watched(cap)
        tasks = []
        for most, share in costs:
            tasks.append(asyncio.create_task(call(budget, most, share)))
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        _, pending = await asyncio.wait(tasks, timeout=2)
        assert not pending, "somebody waits for money that nobody holds"
        assert not [task for task in tasks if not task.cancelled() and task.exception()]
        assert budget.open == 0
        assert budget.reserved_usd == 0.0
        assert budget.spent_usd <= cap + 1e-9

    run(work())


def test_without_a_cap_everything_is_only_counted():
    async def work():
        budget = Budget(None)
        await budget.reserve(1e9)
        budget.settle(1e9, 2.5)
        assert (budget.spent_usd, budget.reserved_usd) == (2.5, 0.0)

    run(work())


def test_what_costs_nothing_goes_on_when_the_money_is_spent():
    async def work():
        budget = Budget(1.0, spent_usd=1.0)
        await budget.reserve(0.0)
        with pytest.raises(BudgetMetError, match="the budget of USD 1 is met: USD 1 are spent and the next call may"):
            await budget.reserve(0.01)

    run(work())


def test_a_call_waits_for_the_room_that_a_cheaper_answer_leaves():
    async def work():
        budget = Watched(1.0)
        await budget.reserve(0.7)
        waiting = asyncio.create_task(budget.reserve(0.7))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(0.7, 0.1)
        await waiting
        budget.settle(0.7, 0.7)
        assert budget.spent_usd == pytest.approx(0.8)

    run(work())


def test_the_bound_of_a_call_is_its_tokens_its_time_and_nothing_where_there_is_none():
    class Bounded(EchoExpert):
        def estimate(self, instruction):
            return CallEstimate(10, 20, 30)

    one = Instruction(id="i", text="text")
    tokens = Price(prompt_per_million=1.0, completion_per_million=2.0, per_call=0.5)
    assert at_most_usd(Bounded("e", price=tokens), one, 60) == pytest.approx(0.5 + 20e-6 + 60e-6)
    assert at_most_usd(EchoExpert("e", price=Price(per_core_hour=3.6)), one, 10, cores=2) == pytest.approx(0.02)
    assert at_most_usd(EchoExpert("e"), one, 10) == 0.0
    assert at_most_usd(EchoExpert("e", price=tokens), one, 10) is None
    with pytest.raises(ConfigError, match="nothing limits its answers, so no budget can hold; give it max_tokens"):
        check_bounded(EchoExpert("e", price=tokens), one)
    check_bounded(EchoExpert("e", price=Price(prompt_per_million=1.0)), one)


class Erratic(Expert):
    """Answers, fails with and without a bill, and takes a random time over it; it knows what it charged in truth."""

    def __init__(self, name, seed):
        super().__init__(name, price=Price(prompt_per_million=1e6, completion_per_million=1e6))
        self.chance = random.Random(seed)
        self.charged = 0.0

    def estimate(self, instruction):
        return CallEstimate(1, 1, 4)

    async def answer(self, instruction):
        await asyncio.sleep(self.chance.choice([0, 0, 0.001]))
        written = self.chance.randint(0, 4)
        fate = self.chance.random()
        if fate < 0.15:
            raise ExpertUnavailableError("free", expert=self.name)
        self.charged += 1 + written
        if fate < 0.25:
            raise ExpertUnavailableError("lost", expert=self.name, may_be_billed=True)
        if fate < 0.32:
            raise ExpertRefusedError("billed", expert=self.name, usage=Usage(1, written))
        if fate < 0.36:
            raise ExpertUnavailableError("billed", expert=self.name, usage=Usage(1, written))
        return Answer(instruction.text, prompt_tokens=1, completion_tokens=written)


@pytest.mark.parametrize("seed", range(5))
def test_a_build_never_charges_more_than_its_cap_over_all_its_runs_and_the_journal_knows_it(tmp_path, seed):
    cap, charged = 300.0, 0.0
    asked = InstructionStore(Instruction(id=f"i{n:03d}", text="text") for n in range(120))
    for part in (0.4, 0.7, 1.0):
        experts = [Erratic("a", seed), Erratic("b", seed + 100)]
        with ResponseStore(tmp_path / JOURNAL_NAME) as store:
            budget = Watched(cap * part, store.spent_usd)
            config = BuildConfig(concurrency=32, retries=2)
            try:
                run(query_all(asked, experts, store=store, config=config, budget=budget))
            except BudgetMetError:
                assert part < 1.0 or budget.spent_usd > cap - 20.0
            charged += sum(expert.charged for expert in experts)
            assert charged <= budget.spent_usd + 1e-6 <= cap * part + 1e-6
            assert store.spent_usd == pytest.approx(budget.spent_usd)
            assert budget.reserved_usd == 0.0
            assert count_answered(asked, experts, store) > 0


def left_by_a_kill(store, folder):
    """Return the journal as a `kill -9` at this moment leaves it."""
    folder.mkdir()
    for file in store.path.parent.glob(f"{store.path.name}*"):
        shutil.copy(file, folder)
    return ResponseStore(folder / store.path.name)


@pytest.mark.parametrize("seed", range(3))
def test_whenever_a_build_is_killed_the_journal_knows_the_most_it_has_spent(tmp_path, seed, caplog):
    cap, looked = 300.0, []
    asked = InstructionStore(Instruction(id=f"i{n:03d}", text="text") for n in range(120))
    experts = [Erratic("a", seed), Erratic("b", seed + 100)]
    with ResponseStore(tmp_path / JOURNAL_NAME) as store:

        def look(response):
            if len(looked) < 20 and experts[0].chance.random() < 0.1:
                charged = sum(expert.charged for expert in experts)
                with left_by_a_kill(store, tmp_path / str(len(looked))) as left:
                    assert charged - 1e-6 <= left.spent_usd <= cap + 1e-6
                    looked.append(left.lost_usd)
                with ResponseStore(left.path) as again:
                    assert again.lost_usd == looked[-1]

        config = BuildConfig(concurrency=8, retries=2)
        budget = Budget(cap, store.spent_usd)
        with pytest.raises(BudgetMetError):
            run(query_all(asked, experts, store=store, config=config, budget=budget, on_response=look))
        assert store.lost_usd == 0.0
    assert max(looked) > 1.0
    assert "was lost with calls in flight when a run ended; it counts as spent" in caplog.text


class Endless(Expert):
    """Is paid by the call, and never answers."""

    def __init__(self):
        super().__init__("endless", price=Price(per_call=0.1))
        self.calls = 0

    async def answer(self, instruction):
        self.calls += 1
        await asyncio.sleep(600)


@pytest.mark.parametrize("is_killed", [True, False])
def test_calls_that_were_dropped_stay_spent_over_all_runs_of_a_build(tmp_path, is_killed):
    path, expert = tmp_path / JOURNAL_NAME, Endless()
    asked = InstructionStore(Instruction(id=f"i{n:03d}", text="text") for n in range(120))

    async def work(store):
        budget = Budget(1.0, store.spent_usd)
        task = asyncio.create_task(
            query_all(asked, [expert], store=store, config=BuildConfig(concurrency=8), budget=budget)
        )
        await asyncio.wait([task], timeout=0.2)
        if is_killed:
            left_by_a_kill(store, tmp_path / "left").close()
        task.cancel()
        await asyncio.wait([task])

    for _ in range(4):
        with ResponseStore(path) as store:
            run(work(store))
        if is_killed:
            shutil.copy(tmp_path / "left" / JOURNAL_NAME, path)
            shutil.rmtree(tmp_path / "left")
    assert 8 <= expert.calls <= 10
    with ResponseStore(path) as store:
        assert expert.calls * 0.1 - 1e-9 <= store.spent_usd == store.lost_usd <= 1.0 + 1e-9


def test_without_a_cap_nothing_is_written_down_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(ResponseStore, "set_note", lambda *_: pytest.fail("a note"))
    monkeypatch.setattr(ResponseStore, "close_account", lambda *_: pytest.fail("an account"))
    with ResponseStore(tmp_path / JOURNAL_NAME) as store:
        expert = EchoExpert("e", price=Price(per_call=1.0))
        run(query_all(InstructionStore([Instruction("i", "text")]), [expert], store=store, config=BuildConfig()))
        assert store.spent_usd == 1.0


def test_a_bound_is_raised_in_steps_not_with_every_call():
    async def work():
        written = []
        budget = Budget(100.0)
        budget.have_written_down(written.append)
        for _ in range(2000):
            await budget.reserve(0.04)
            assert budget.reserved_usd <= written[-1]
        assert written == sorted(written)
        assert len(written) < 100

    run(work())


def job(tmp_path, url, count, **options):
    path = tmp_path / "questions.csv"
    path.write_text("instruction,reference\n" + "".join(f"question {n} of many,x\n" for n in range(count)))
    expert = {
        "provider": "openai_compatible", "name": "e", "base_url": url, "model": "m", "max_tokens": 4,
        "price": {"prompt_per_million": 1e4, "completion_per_million": 1e5},
    }  # fmt: skip
    values = {"output": tmp_path / "dataset", "concurrency": 16, "retries": 2, "timeout_s": 5, **options}
    return BuildConfig.model_validate(
        {"sources": [{"source": "file", "path": str(path)}], "experts": [expert], **values}
    )


def billed(truth):
    return (truth["prompt_tokens"] * 1e4 + truth["completion_tokens"] * 1e5) / 1e6


@pytest.mark.parametrize("faults", [0.0, 0.3])
def test_a_budget_ends_the_build_with_everything_kept_and_more_money_finishes_it(tmp_path, faults):
    with start_fault_server(faults=faults, latency_s=0.002, seed=5, retry_after_s=0.01) as server:
        config = job(tmp_path, server.url, 200, budget_usd=30.0)
        with pytest.raises(EarlyStopError, match="with a higher --budget_usd the same command resumes") as stop:
            build(config)
        assert stop.value.exit_code == 3
        assert billed(server.stats()) <= 30.0
        assert server.stats()["answered"] > 0
        result = build(config.model_copy(update={"budget_usd": 1000.0}))
        assert result.summary.experts["e"].missing == 0
        if not faults:
            assert server.stats()["answered"] == 200


def test_a_partial_build_writes_what_the_money_was_enough_for(tmp_path):
    with start_fault_server() as server:
        config = job(tmp_path, server.url, 100, budget_usd=20.0, partial=True)
        with pytest.raises(EarlyStopError, match="holds what was answered"):
            build(config)
        answered = server.stats()["answered"]
    assert (tmp_path / "dataset" / "dataset.json").is_file()
    assert 0 < answered < 100


def test_a_dry_run_after_an_interrupted_build_knows_what_was_spent_and_touches_nothing(tmp_path):
    with start_fault_server() as server:
        config = job(tmp_path, server.url, 100, budget_usd=20.0)
        with pytest.raises(EarlyStopError):
            build(config)
        before = server.stats()
        files = sorted(path.name for path in (tmp_path / "dataset").iterdir())
        plan = plan_build(config)
        assert server.requests == before["requests"]
    assert sorted(path.name for path in (tmp_path / "dataset").iterdir()) == files
    (expert,) = plan.experts
    assert expert.reused == before["answered"]
    assert expert.to_ask == 100 - before["answered"]
    assert plan.spent_usd == pytest.approx(billed(before))
    assert expert.least_usd <= expert.likely_usd <= expert.most_usd
