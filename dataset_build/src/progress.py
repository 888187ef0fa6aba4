"""How far a build is, on a terminal as a bar, elsewhere as a line at every tenth of the way."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from dataset_build.src.records import Response

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Seconds between two drawings of the bar.
REDRAW_S = 0.1
LINES = 10


class BuildProgress:
    """Shows rate, time, cost so far and errors by kind.

    Args:
        total: Responses the finished dataset will have.
        done: How many of them were there before.
        budget_usd: What may be spent, for the line; None means no cap.
        spent_usd: What was spent before.
        noun: What is counted.
        lines: How many lines to write where there is no terminal.
        is_shown: False keeps silent.
        stream: Where to write; None means stderr.
    """

    def __init__(
        self,
        total: int,
        done: int,
        *,
        is_shown: bool = True,
        stream: TextIO | None = None,
        budget_usd: float | None = None,
        spent_usd: float = 0.0,
        noun: str = "responses to collect",
        lines: int = LINES,
    ) -> None:
        self.total = total
        self.done = done
        self.cost = spent_usd
        self.errors: Counter[str] = Counter()
        self._before = done
        self._budget = "" if budget_usd is None else f" of {budget_usd:g}"
        self._task_noun = noun
        self._lines = lines
        self._noun = noun.partition(" ")[0]
        self._is_shown = is_shown
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self._drawn = 0.0
        self._next_line = 1
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "BuildProgress":
        self._started = time.monotonic()
        if not self._is_shown:
            return self
        if self._stream.isatty():
            self._bar, self._task = self._make_bar()
            self._show(self._bar.start)
        else:
            there = f", {self.done:,} of them there already" if self.done else ""
            self._say(f"{self.total:,} {self._task_noun}{there}")
            self._next_line = 1 + self._lines * self.done // max(1, self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._draw()
        if self._bar is not None:
            self._show(self._bar.stop)
        if kind is None and self._is_shown and self.done < self.total:
            self._say(
                f"{self.total - self.done:,} of {self.total:,} {self._noun} were not asked for: an endpoint is down"
            )

    def add(self, response: Response) -> None:
        """Count one finished response."""
        self._count(response)
        self.step()

    def add_repeat(self, response: Response) -> None:
        """Count a response to a call that had failed before: it costs, and it is no further one."""
        self._count(response)

    def _count(self, response: Response) -> None:
        self.cost += (response.cost or 0.0) + response.at_risk
        if response.error is not None:
            self.errors[response.error_kind or "error"] += 1

    def step(self) -> None:
        """Count one thing done, and show it from time to time."""
        self.done += 1
        if not self._is_shown:
            return
        if self._bar is not None:
            if time.monotonic() - self._drawn > REDRAW_S:
                self._draw()
        elif self.done * self._lines >= self._next_line * self.total:
            self._next_line = 1 + self._lines * self.done // max(1, self.total)
            self._say(self._facts())

    def _facts(self) -> str:
        elapsed = time.monotonic() - self._started
        rate = (self.done - self._before) / elapsed if elapsed > 0 else 0.0
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.errors.most_common(4))
        errors = f", errors: {kinds}" if kinds else ""
        has_cost = self._noun == "responses" or self._budget
        cost = f", USD {self.cost:.4g}{self._budget}" if has_cost else ""
        return f"{self.done:,} of {self.total:,} {self._noun}, {rate:,.0f}/s, {elapsed:,.0f} s{cost}{errors}"

    def _say(self, line: str) -> None:
        def write() -> None:
            self._stream.write(line + "\n")
            self._stream.flush()

        self._show(write)

    def _show(self, work: Callable[[], None]) -> None:
        """Do what shows something; where nobody looks any more (`| head`) or there is no room, go on in silence."""
        try:
            work()
        except OSError:
            bar, self._bar, self._is_shown = self._bar, None, False
            if bar is not None:
                with suppress(OSError):
                    bar.stop()

    def _make_bar(self) -> "tuple[Progress, TaskID]":
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from dataset_build.src.console import terminal

        bar = Progress(
            BarColumn(bar_width=16),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
            console=terminal(self._stream),
            auto_refresh=False,
        )
        return bar, bar.add_task(self._noun, total=self.total, completed=self.done, facts="")

    def _draw(self) -> None:
        assert self._bar is not None
        assert self._task is not None
        self._drawn = time.monotonic()
        bar, task = self._bar, self._task
        self._show(lambda: bar.update(task, completed=self.done, facts=self._facts(), refresh=True))
