"""Tools run in worker processes: on all cores, each call with a deadline that holds, each crash confined.

A tool that runs over its deadline is interrupted inside the worker; if that does not help, the worker is killed and a
new one goes on with the rest. A worker that dies takes only the call it was in with it.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from dataset_build.src.calls import what_is_wrong
from dataset_build.src.errors import (
    ConfigError,
    ExpertCrashedError,
    ExpertError,
    ExpertUnavailableError,
    MissingDependencyError,
)
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.records import Answer, Instruction, Response
from dataset_build.src.worker_process import WARM_UP_S

#: Seconds after its deadline in which a worker may still report the timeout itself, before it is killed.
GRACE_S = 5.0
#: Seconds a new process may take until it is ready.
START_UP_S = 60.0
#: Processes unless asked for more: with the whole embedded pool each one holds 0.6 GB.
MOST_WORKERS = 4
#: The longest line (one answer) a worker may send, in bytes.
LINE_LIMIT = 64 * 2**20

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from dataset_build.src.worker_process import main; main(int(sys.argv[1]))"
)
# One thread a worker: several libraries spinning on two cores are slower than one. A fixed hash seed keeps the order
# of sets, and with it some tools' answers, the same from run to run.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One call to make."""

    instruction: Instruction
    expert: ToolExpert


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def recipe_of(tool: ToolExpert) -> dict[str, Any]:
    """Return what a worker needs to build the same tool: its class, its name and its options, as JSON values.

    Raises:
        ConfigError: the tool's class lives where another process cannot import it.
    """
    home = f"{type(tool).__module__}:{type(tool).__qualname__}"
    if home.startswith("__main__:") or "<locals>" in home:
        raise ConfigError(
            f"Expert {tool.name!r} is defined in {home.partition(':')[0]} where a worker process cannot import it; "
            "move its class to the top level of a module."
        )
    return {
        "home": home,
        "name": tool.name,
        "price": asdict(tool.price),
        "description": tool.description,
        "options": dict(tool.options),
    }


async def run_together(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all to the end; when one fails the others are cancelled, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


class _Worker:
    """One process and the socket to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
        self._process = process
        self._socket = ours
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.warm: set[int] = set()

    @classmethod
    async def start(cls, setup: Mapping[str, Any]) -> "_Worker":
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent only
            )
        worker = cls(process, ours)
        try:
            worker._reader, worker._writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
            await worker.send([setup])
            if await worker.receive(START_UP_S) is None:
                raise ConfigError(f"A worker process ended at its start ({worker.end()}); its own message is above.")
        except TimeoutError:
            worker.end()
            raise ConfigError(f"A worker process was not ready within {START_UP_S:g} s.") from None
        except BaseException:
            worker.end()
            raise
        return worker

    async def send(self, messages: Sequence[Mapping[str, Any]]) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        with suppress(ConnectionError):  # it died: the next `receive` says so
            await self._writer.drain()

    async def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None when the process has died."""
        assert self._reader is not None
        async with asyncio.timeout(seconds):
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):  # ValueError: longer than LINE_LIMIT
                return None
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> str:
        """Kill the process if it still runs and say how it ended."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # the worker leaves by itself when it sees this
        if self._writer is None:
            self._socket.close()
        else:
            self._writer.transport.abort()
        try:  # a process that just died on its own tells more than one we kill
            code = self._process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class WorkerPool:
    """Runs the calls of tool experts in processes.

    Args:
        tools: The experts, rebuilt in every process.
        workers: How many processes; None means one per core, at most `MOST_WORKERS`.
        timeout_s: Seconds one call may take.
        grace_s: Seconds between a deadline and the kill.
        keeps_processes: Whether they outlive `run`, for the next one, until `close`.
    """

    def __init__(
        self,
        tools: Sequence[ToolExpert],
        *,
        workers: int | None,
        timeout_s: float,
        grace_s: float = GRACE_S,
        keeps_processes: bool = False,
    ) -> None:
        self._keeps_processes = keeps_processes
        self._idle: list[_Worker] = []
        self._positions = {tool.name: position for position, tool in enumerate(tools)}
        self._setup = {
            "tools": [recipe_of(tool) for tool in tools],
            "timeout_s": timeout_s,
        }
        self._workers = workers or min(available_cores(), MOST_WORKERS)
        self._timeout_s = timeout_s
        self._grace_s = grace_s

    async def run(
        self,
        chunks: Iterator[Sequence[Job]],
        on_response: Callable[[Response], None],
        may_start: Callable[[Sequence[Job]], Awaitable[bool]] | None = None,
    ) -> None:
        """Make all calls; `on_response` gets each response as it finishes.

        `chunks` is drawn from only when a worker is free. When this is cancelled the processes are killed.

        Args:
            chunks: The calls.
            on_response: Gets each response.
            may_start: Asked before a chunk is started, which is passed over where it says no; None means always.

        Raises:
            MissingDependencyError: a tool's package is not installed.
            ConfigError: processes cannot be started.
        """
        await run_together([self._work(chunks, on_response, may_start) for _ in range(self._workers)])

    async def _work(
        self,
        chunks: Iterator[Sequence[Job]],
        on_response: Callable[[Response], None],
        may_start: Callable[[Sequence[Job]], Awaitable[bool]] | None,
    ) -> None:
        worker = self._idle.pop() if self._idle else None
        if worker is not None and not worker.is_alive:
            worker.end()
            worker = None
        try:
            for chunk in chunks:
                if may_start is not None and not await may_start(chunk):
                    continue
                waiting = deque(chunk)
                while waiting:
                    if worker is None:
                        worker = await _Worker.start(self._setup)
                    await worker.send([self._call(job) for job in waiting])
                    if not await self._collect(worker, waiting, on_response):
                        worker = None
            if worker is not None and self._keeps_processes:
                self._idle.append(worker)
                worker = None
        finally:
            if worker is not None:
                worker.end()

    def close(self) -> None:
        """End the processes that were kept."""
        while self._idle:
            self._idle.pop().end()

    async def _collect(self, worker: _Worker, waiting: deque[Job], on_response: Callable[[Response], None]) -> bool:
        """Take the results of `waiting` as they come; return whether the worker is still good at the end."""
        while waiting:
            job = waiting[0]
            position = self._positions[job.expert.name]
            patience = self._timeout_s + self._grace_s + (0.0 if position in worker.warm else WARM_UP_S)
            problem: ExpertError
            try:
                result = await worker.receive(patience)
            except TimeoutError:
                worker.end()
                problem = ExpertUnavailableError(
                    f"no answer within {self._timeout_s:g} s; its process was killed",
                    expert=job.expert.name,
                    kind="timeout",
                )
            else:
                if result is not None:
                    worker.warm.add(position)
                    waiting.popleft()
                    on_response(self._response(job, result))
                    continue
                problem = ExpertCrashedError(f"its process died ({worker.end()})", expert=job.expert.name)
            waiting.popleft()
            on_response(Response(job.instruction.id, job.expert.name, error=problem.as_field()))
            return False
        return True

    def _call(self, job: Job) -> dict[str, Any]:
        return {"tool": self._positions[job.expert.name], "id": job.instruction.id, "text": job.instruction.text}

    @staticmethod
    def _response(job: Job, result: dict[str, Any]) -> Response:
        if "missing" in result:
            raise MissingDependencyError(result["missing"])
        if "error" not in result and (wrong := what_is_wrong(Answer(**result))) is not None:
            result = {"error": ExpertCrashedError(wrong, expert=job.expert.name).as_field()}
        return Response(job.instruction.id, job.expert.name, **result)
