import io

import pytest

from dataset_build.src.progress import BuildProgress
from dataset_build.src.records import Response


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, total=1000, done=0, **options):
    with BuildProgress(total, done, stream=stream, **options) as progress:
        for number in range(total - done):
            error = "timeout: slow" if number % 10 == 0 else None
            progress.add(Response("i", "e", text=None if error else "x", error=error, cost=None if error else 0.001))
    return stream.getvalue()


def test_without_a_terminal_there_are_a_few_plain_lines():
    lines = run(io.StringIO()).splitlines()
    assert len(lines) == 11
    assert lines[0] == "1,000 responses to collect"
    assert lines[-1].startswith("1,000 of 1,000 responses, ")
    assert "USD 0.9" in lines[-1]
    assert lines[-1].endswith("errors: timeout 100")


def test_a_resumed_build_says_what_was_there():
    lines = run(io.StringIO(), done=500).splitlines()
    assert lines[0] == "1,000 responses to collect, 500 of them there already"
    assert len(lines) == 6


def test_on_a_terminal_there_is_a_bar():
    shown = run(Terminal())
    assert "1,000 of 1,000" in shown
    assert "USD" in shown


def test_what_was_not_asked_is_told_at_the_end_unless_something_else_ended_it():
    for stream in (io.StringIO(), Terminal()):
        with BuildProgress(100, 0, stream=stream) as progress:
            for _ in range(60):
                progress.add(Response("i", "e", text="x"))
        assert stream.getvalue().endswith("40 of 100 responses were not asked for: an endpoint is down\n")
    stream = io.StringIO()
    with pytest.raises(KeyError), BuildProgress(100, 0, stream=stream):
        raise KeyError
    assert "not asked" not in stream.getvalue()


def test_what_was_spent_before_counts_and_without_a_cap_other_rounds_show_no_cost():
    assert "USD 1.9 of 2\n" in run(io.StringIO(), budget_usd=2.0, spent_usd=1.0).replace(", errors: timeout 100", "")
    assert "USD" not in run(io.StringIO(), noun="verdicts to collect")
    assert "USD 0.9 of 2" in run(io.StringIO(), noun="verdicts to collect", budget_usd=2.0)


def test_quiet_is_quiet_and_nothing_to_do_is_no_trouble():
    assert run(io.StringIO(), is_shown=False) == ""
    assert run(io.StringIO(), total=0) == "0 responses to collect\n"


class Gone(io.StringIO):
    """A stream that takes some writes and then nobody reads any more."""

    def __init__(self, problem, after, is_terminal):
        super().__init__()
        self.problem, self.left, self.is_terminal = problem, after, is_terminal

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.problem
        return super().write(text)


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize("problem", [BrokenPipeError(32, "gone"), OSError(28, "full")], ids=["pipe", "full"])
def test_when_nobody_looks_any_more_the_work_goes_on_in_silence(problem, after, is_terminal):
    stream = Gone(problem, after, is_terminal)
    run(stream)
    assert stream.left < 0
