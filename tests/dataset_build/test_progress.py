import io

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


def test_quiet_is_quiet_and_nothing_to_do_is_no_trouble():
    assert run(io.StringIO(), is_shown=False) == ""
    assert run(io.StringIO(), total=0) == "0 responses to collect\n"
