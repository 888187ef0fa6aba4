import asyncio

import pytest

from dataset_build import Answer, ChatCall, ConfigError, Expert, Price
from mixture_training.src.hedging import LEAST_OBSERVATIONS, WINDOW, Latencies
from mixture_training.src.model_executor import Executor


def noted(*seconds: float) -> Latencies:
    latencies = Latencies()
    for one in seconds:
        latencies.note(one)
    return latencies


def test_the_percentile_is_known_from_enough_observations_on_and_follows_the_last_ones():
    assert noted(*[1.0] * (LEAST_OBSERVATIONS - 1)).p95_s is None
    assert noted(*[number / 100 for number in range(100)], *[0.5] * 4).p95_s == pytest.approx(0.94, abs=0.06)
    assert noted(*[9.0] * WINDOW, *[1.0] * WINDOW).p95_s == 1.0


def test_what_nobody_waited_for_does_not_make_an_expert_look_fast():
    latencies = noted(*[1.0] * LEAST_OBSERVATIONS)
    for _ in range(100):
        latencies.note_unfinished(0.1)  # cancelled early, for another reason
    assert latencies.p95_s == 1.0
    for _ in range(WINDOW):
        latencies.note_unfinished(1.5)
    assert latencies.p95_s == 1.5


class Sleeps(Expert):
    def __init__(self, name: str, seconds: float, *, stubborn_s: float = 0.0) -> None:
        super().__init__(name, price=Price(per_call=1.0))
        self.seconds, self.stubborn_s = seconds, stubborn_s
        self.cancelled = 0

    async def answer(self, instruction: object) -> Answer:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(self.stubborn_s)
            raise
        return Answer(f"by {self.name}")


def executor(*experts: Expert, **options: object) -> Executor:
    return Executor({one.name: one for one in experts}, **options)  # type: ignore[arg-type]


def test_two_that_answer_at_the_same_moment_are_one_answer():
    one = executor(Sleeps("a", 0.1), Sleeps("b", 0.0), hedge_after_s=0.1)
    execution = asyncio.run(one.run("hi", ["a", "b"]))
    assert [attempt.error for attempt in execution.attempts].count(None) == 1
    assert execution.response == f"by {execution.expert}"


def test_at_most_two_run_at_a_time():
    experts = [Sleeps(name, 30) for name in "abc"]
    one = executor(*experts, hedge_after_s=0.05, total_timeout_s=0.5)
    execution = asyncio.run(one.run(ChatCall.of("hi"), ["a", "b", "c"]))
    assert [attempt.expert for attempt in execution.attempts] == ["a", "b"]
    assert execution.expert is None


def test_a_loser_that_will_not_end_holds_up_nobody():
    async def work() -> None:
        stubborn = Sleeps("stubborn", 30, stubborn_s=1.0)
        one = executor(stubborn, Sleeps("quick", 0.0), hedge_after_s=0.05)
        started = asyncio.get_running_loop().time()
        execution = await one.run("hi", ["stubborn", "quick"])
        assert asyncio.get_running_loop().time() - started < 0.9
        assert (execution.expert, stubborn.cancelled) == ("quick", 1)
        assert str(execution.attempts[0].error).startswith("cancelled:")
        await asyncio.sleep(1.2)
        assert one.health()["stubborn"].in_flight == 0

    asyncio.run(work())


def test_a_hedge_goes_on_alone_where_the_first_fails():
    class Fails(Expert):
        async def answer(self, instruction: object) -> Answer:
            await asyncio.sleep(0.15)
            raise RuntimeError("no")

    one = executor(Fails("fails"), Sleeps("slow", 0.4), Sleeps("third", 0.0), hedge_after_s=0.05)
    execution = asyncio.run(one.run("hi", ["fails", "slow", "third"]))
    assert execution.expert == "slow"
    assert [attempt.expert for attempt in execution.attempts] == ["fails", "slow"]
    assert str(execution.attempts[0].error).startswith("crash:")


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"total_timeout_s": -1}, {"concurrency": 0}, {"hedge_after_s": "p50"}]
)
def test_settings_that_mean_nothing_are_refused_by_name(options: dict[str, object]):
    with pytest.raises(ConfigError, match=next(iter(options))):
        executor(**options)
