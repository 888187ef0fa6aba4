"""Experts that misbehave on purpose, importable by worker processes."""

import os
import signal
import time

from dataset_build.src.errors import ExpertRefusedError, ExpertUnavailableError, MissingDependencyError
from dataset_build.src.experts.base import BatchExpert, CannotAnswerError, Expert, ToolExpert
from dataset_build.src.records import Answer


class Shout(ToolExpert):
    tool_name = "shout"
    tool_description = "Says it louder."

    def __init__(self, name=None, *, price=None, description=None, mark="!"):
        super().__init__(name, price=price, description=description)
        self.mark = mark

    def solve(self, text):
        return text.upper() + self.mark


class Trouble(ToolExpert):
    """Does what the instruction says."""

    tool_name = "trouble"
    tool_description = "Trouble."

    def solve(self, text):  # noqa: C901
        if text == "die":
            os._exit(7)
        if text == "raise":
            raise ZeroDivisionError("by zero")
        if text == "cannot":
            raise CannotAnswerError("not a sum")
        if text == "sleep":
            time.sleep(600)
        if text == "swallow":
            try:
                time.sleep(600)
            except BaseException:
                time.sleep(600)
        if text == "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(600)
        if text == "print":
            print("noise on stdout", flush=True)
        if text == "none":
            return None
        if text == "missing":
            raise MissingDependencyError('pip install "moe-toolkit[tools]"')
        if text == "environment":
            return os.environ["OMP_NUM_THREADS"]
        if text == "reference?":
            return "unseen"
        return f"{text} ok"


class BadWarmUp(ToolExpert):
    tool_name = "bad_warm_up"

    def warm_up(self):
        raise OSError("no dictionary")

    def solve(self, text):
        return text


class Moody(Expert):
    """Fails a number of times for each instruction, then answers."""

    provider = "moody"

    def __init__(self, name="moody", *, failures=0, kind=ExpertUnavailableError, retry_after_s=None, **kwargs):
        super().__init__(name, **kwargs)
        self.failures, self.kind, self.retry_after_s = failures, kind, retry_after_s
        self.calls = {}
        self.closed = False

    async def answer(self, instruction):
        count = self.calls[instruction.id] = self.calls.get(instruction.id, 0) + 1
        if count <= self.failures:
            raise self.kind("not now", expert=self.name, retry_after_s=self.retry_after_s)
        return Answer(instruction.text, prompt_tokens=10, completion_tokens=5)

    async def aclose(self):
        self.closed = True


class Batched(BatchExpert):
    provider = "batched"

    def __init__(self, name="batched", *, fail_first=False, crash=False, refuse=(), short=False, **kwargs):
        super().__init__(name, **kwargs)
        self.fail_first, self.crash, self.refuse, self.short = fail_first, crash, refuse, short
        self.sizes = []

    def answer_batch(self, instructions):
        self.sizes.append(len(instructions))
        if self.crash:
            raise RuntimeError("out of memory")
        if self.short:
            return []
        if self.fail_first and len(self.sizes) == 1:
            return [ExpertUnavailableError("busy", expert=self.name) for _ in instructions]
        return [
            ExpertRefusedError("no", expert=self.name) if one.text in self.refuse else Answer(one.text)
            for one in instructions
        ]
