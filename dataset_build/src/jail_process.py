"""The inside of the jail: a small server that starts one confined process tree for each program it is sent.

It is started with an empty environment, moves into namespaces and a root directory of its own, and then answers on
its socket. For every program it forks a keeper, which makes a PID namespace whose first process, the warden, forks the
program. When the program ends, the warden ends, and the kernel kills whatever is left. Where the kernel lends no
namespaces, the warden adopts and kills all descendants itself.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from typing import Any

from dataset_build.src.jail_place import BOX, FIRST_USER, Place

#: Seconds between two looks at what a program and its descendants use together.
LOOK_S = 0.05
MESSAGE_BYTES = 65536


class _Job:
    """One program that runs."""

    def __init__(self, name: int, keeper: int, status: int, limits: dict[str, Any], box: str | None) -> None:
        self.name = name
        self.keeper = keeper
        self.status = status
        self.limits = limits
        self.box = box
        self.deadline = time.monotonic() + limits["wall_s"]
        self.next_look = time.monotonic() + LOOK_S
        self.killed: str | None = None
        self.told = b""


class Server:
    """Runs the programs that arrive on a socket, each in its own jail.

    Args:
        connection: A `SOCK_SEQPACKET` socket; closing the other end kills everything.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        setup = json.loads(connection.recv(MESSAGE_BYTES))
        self._place = Place(setup)
        self._jobs: dict[int, _Job] = {}
        self._user = FIRST_USER
        connection.send(json.dumps(self._place.report()).encode())

    def serve(self) -> None:
        """Answer until the other end closes."""
        while True:
            now = time.monotonic()
            times = [min(job.deadline, job.next_look) - now for job in self._jobs.values() if job.killed is None]
            waiting = [self._connection.fileno(), *self._jobs]
            for ready in select.select(waiting, [], [], max(0.0, min(times)) if times else None)[0]:
                if ready in self._jobs:
                    self._hear(self._jobs[ready])
                elif not self._accept():
                    for job in self._jobs.values():
                        self._place.kill(job.keeper)
                    return
            for job in list(self._jobs.values()):
                if job.killed is None:
                    self._look_at(job)

    def _accept(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, MESSAGE_BYTES, 16)
        except ConnectionError:
            return False
        if not data:
            return False
        message = json.loads(data)
        if "kill" in message:
            for job in self._jobs.values():
                if job.name == message["kill"]:
                    self._end(job, "asked")
            return True
        self._start(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        self._user = FIRST_USER + (self._user + 1 - FIRST_USER + os.getpid() * 64) % 0x1000000
        box = BOX if self._place.namespaces else tempfile.mkdtemp(prefix="jail-")
        if self._place.user and not self._place.namespaces:
            os.chown(box, self._user, self._user)
        reading, writing = os.pipe()
        keeper = os.fork()
        if keeper == 0:
            self._connection.close()
            os.close(reading)
            for status in self._jobs:
                os.close(status)
            self._place.keep(request, descriptors, writing, self._user, box)
        os.close(writing)
        given_box = None if self._place.namespaces else box
        self._jobs[reading] = _Job(request["run"], keeper, reading, request["limits"], given_box)

    def _look_at(self, job: _Job) -> None:
        now = time.monotonic()
        if now >= job.deadline:
            self._end(job, "time")
        elif now >= job.next_look:
            job.next_look = now + LOOK_S
            processes, memory = self._place.use(job.keeper)
            if memory > job.limits["memory_bytes"] * 1.1:
                self._end(job, "memory")
            elif processes > job.limits["processes"] + 8:
                self._end(job, "processes")

    def _end(self, job: _Job, why: str) -> None:
        job.killed = why
        self._place.kill(job.keeper)

    def _hear(self, job: _Job) -> None:
        data = os.read(job.status, MESSAGE_BYTES)
        job.told += data
        if data:
            return
        os.waitpid(job.keeper, 0)
        os.close(job.status)
        del self._jobs[job.status]
        if job.box is not None:
            shutil.rmtree(job.box, onerror=_make_removable)
        told: dict[str, Any] = {}
        for line in job.told.splitlines():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if "error" in told:
                    break
        with contextlib.suppress(ConnectionError):
            self._connection.send(json.dumps({**told, "end": job.name, "killed": job.killed}).encode())


def _make_removable(function: Any, path: str, _problem: object) -> None:  # noqa: ANN401 - as shutil calls it
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700, follow_symlinks=False) if os.chmod in os.supports_follow_symlinks else None
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def main(descriptor: int) -> None:
    """Serve on an inherited socket; Ctrl-C is the parent's to decide about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o022)
    Server(socket.socket(fileno=descriptor)).serve()
