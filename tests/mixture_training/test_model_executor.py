import asyncio
import time

from dataset_build import Answer, EchoExpert, Expert, ExpertUnavailableError, Price, ToolExpert
from mixture_training.src.loop_thread import LoopThread
from mixture_training.src.model_executor import Executor


class Broken(ToolExpert):
    tool_name = "broken"

    def solve(self, text):
        raise ValueError("no such thing")


class Busy(Expert):
    """Unavailable a few times, then answers."""

    def __init__(self, name, failures):
        super().__init__(name, price=Price(per_call=0.5))
        self.left = failures
        self.closed = False

    async def answer(self, instruction):
        if self.left:
            self.left -= 1
            raise ExpertUnavailableError("come back later", expert=self.name, kind="rate_limit", retry_after_s=0.0)
        return Answer(f"{self.name} says {instruction.text}")

    async def aclose(self):
        self.closed = True


class Slow(Expert):
    async def answer(self, instruction):
        await asyncio.sleep(30)
        return Answer("too late")


class Stuck(ToolExpert):
    """Never gives the thread back while the test runs, as a solver in an endless loop."""

    tool_name = "stuck"

    def solve(self, text):
        time.sleep(5)
        return "too late"


def run(executor, ranking, text="hello"):
    return asyncio.run(executor.run(text, ranking))


def test_the_first_that_answers_is_taken():
    execution = run(Executor({"echo": EchoExpert("echo"), "busy": Busy("busy", 0)}), ["echo", "busy"])
    assert (execution.expert, execution.response, execution.cost) == ("echo", "hello", 0.0)
    assert [attempt.error for attempt in execution.attempts] == [None]


def test_a_tool_is_warmed_up_once_and_a_failing_warm_up_is_left_to_the_call():
    class Warm(ToolExpert):
        tool_name = "warm"
        count = 0

        def warm_up(self):
            self.count += 1
            raise RuntimeError("not today")

        def solve(self, text):
            return f"warmed up {self.count} times"

    executor = Executor({"warm": Warm()})
    assert run(executor, ["warm"]).response == "warmed up 1 times"
    assert run(executor, ["warm"]).response == "warmed up 1 times"


def test_a_crash_falls_back_to_the_next_and_is_recorded():
    execution = run(Executor({"broken": Broken(), "busy": Busy("busy", 0)}), ["broken", "busy"])
    assert execution.response == "busy says hello"
    assert execution.cost == 0.5
    assert execution.attempts[0].error.startswith("crash: ValueError")
    assert execution.attempts[0].expert == "broken"


def test_a_failure_worth_another_try_gets_one():
    assert run(Executor({"busy": Busy("busy", 1)}, retries=1), ["busy"]).response == "busy says hello"
    given_up = run(Executor({"busy": Busy("busy", 2)}, retries=1), ["busy"])
    assert given_up.expert is None
    assert given_up.attempts[0].error == "rate_limit: come back later"


def test_a_slow_expert_is_given_up_at_its_deadline():
    executor = Executor({"slow": Slow("slow"), "echo": EchoExpert("echo")}, timeout_s=0.05, retries=0)
    execution = run(executor, ["slow", "echo"])
    assert execution.expert == "echo"
    assert execution.attempts[0].error.startswith("timeout:")


def test_a_stuck_tool_holds_up_nobody():
    executor = Executor({"stuck": Stuck(), "echo": EchoExpert("echo")}, timeout_s=0.05, retries=0)
    execution = run(executor, ["stuck", "echo"])
    assert execution.expert == "echo"
    assert execution.latency_s < 4


def test_no_further_expert_is_tried_when_the_total_is_used_up():
    experts = {"slow": Slow("slow"), "slower": Slow("slower"), "echo": EchoExpert("echo")}
    execution = run(Executor(experts, timeout_s=20, total_timeout_s=0.05, retries=3), ["slow", "slower", "echo"])
    assert execution.expert is None
    assert [attempt.expert for attempt in execution.attempts] == ["slow"]
    assert execution.attempts[0].error.startswith("timeout:")


def test_an_expert_that_cannot_be_reached_is_passed_over():
    execution = run(Executor({"echo": EchoExpert("echo")}), ["elsewhere", "echo"])
    assert [attempt.expert for attempt in execution.attempts] == ["echo"]


def test_closing_releases_the_experts():
    busy = Busy("busy", 0)
    asyncio.run(Executor({"busy": busy}).aclose())
    assert busy.closed


def test_a_loop_thread_runs_coroutines_of_any_caller_on_one_loop():
    thread = LoopThread()

    async def where():
        return asyncio.get_running_loop()

    async def from_another_loop():
        return await asyncio.wrap_future(thread.submit(where()))

    assert thread.run(where()) is asyncio.run(from_another_loop())
    endless = thread.submit(asyncio.sleep(100))
    thread.close()
    thread.close()
    assert endless.cancelled() or endless.done()
