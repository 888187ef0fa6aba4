"""Where a program in the jail runs: its namespaces, its root directory, its user, and what is taken from it.

Used by the jail's server only, which is a process without anything worth stealing.
"""

import contextlib
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from dataset_build.src import jail_kernel as kernel

#: The program's directory where it has a root directory of its own.
BOX = "/tmp"
#: Users that no system gives to anybody; each program runs as another one when the server is root.
FIRST_USER = 0x6A000000
#: The user a program is within a user namespace.
INNER_USER = 1000
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_NEW_ROOT = "/sys"  # exists everywhere, and nobody installs Python there


def _inside_of(path: str, paths: list[str]) -> bool:
    return any(path != other and (path + "/").startswith(other.rstrip("/") + "/") for other in paths)


def _enter_root(readable: list[str]) -> None:
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _NEW_ROOT, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for path in [*readable, *DEVICES]:
        target = _NEW_ROOT + path
        if not os.path.lexists(path) or _inside_of(path, readable):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(path) and path not in DEVICES:
            os.symlink(os.readlink(path), target)
        elif os.path.isdir(path):
            os.makedirs(target, exist_ok=True)
            kernel.bind_read_only(path, target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
            if path in DEVICES:
                kernel.mount(path, target, None, kernel.MS_BIND)
            else:
                kernel.bind_read_only(path, target)
    os.makedirs(_NEW_ROOT + BOX, exist_ok=True)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount("tmpfs", _NEW_ROOT, None, flags)
    kernel.change_root(_NEW_ROOT)


class Place:
    """How far this machine lets the jail go, decided once, and the way into it.

    Args:
        setup: `readable`, the paths programs may read, and `namespaces`, whether to use them.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self.readable: list[str] = setup["readable"]
        self.proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.is_root = os.geteuid() == 0
        self.reasons: dict[str, str] = {}
        self.namespaces = setup["namespaces"] and self._tried("namespaces", self._enter)
        self.filter = self._tried("filter", kernel.filter_system_calls)
        self.landlock = kernel.landlock_version() if self._tried("landlock", self._restrict) else 0
        self.user = self.is_root and self._tried("user", lambda: self._drop(FIRST_USER))
        if self.namespaces:
            self._enter()
        else:
            kernel.adopt_orphans()

    def _tried(self, what: str, step: Callable[[], None]) -> bool:
        """Return whether a step works, tried in a process of its own."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                step()
            except Exception as problem:  # whatever goes wrong there is told here
                os.write(writing, str(problem).encode()[:500])
                os._exit(1)
            os._exit(0)
        os.close(writing)
        with open(reading, encoding="utf-8", errors="replace") as told:
            reason = told.read()
        worked = os.waitpid(child, 0)[1] == 0
        if not worked:
            self.reasons[what] = reason or "the process ended"
        return worked

    def _enter(self) -> None:
        shared = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(shared if self.is_root else shared | kernel.CLONE_NEWUSER)
        if not self.is_root:
            kernel.become(self.proc, 0, user, group)
        _enter_root(self.readable)

    @staticmethod
    def _restrict() -> None:
        kernel.gain_no_privileges()
        kernel.landlock([], [])

    @staticmethod
    def _drop(user: int) -> None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)

    def report(self) -> dict[str, Any]:
        """Return what was found, as `jail_records.report_of` reads it."""
        return {
            "namespaces": self.namespaces,
            "filter": self.filter,
            "landlock": self.landlock,
            "root": self.is_root,
            "user": self.user,
            "reasons": self.reasons,
        }

    def keep(self, request: dict[str, Any], descriptors: list[int], status: int, user: int, box: str) -> NoReturn:
        """Be the keeper of one program: make its namespaces, start its warden and wait for its end."""
        try:
            kernel.die_with_parent()
            if self.namespaces:
                own = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
                kernel.unshare(own if self.is_root else own | kernel.CLONE_NEWUSER)
                if not self.is_root:
                    kernel.become(self.proc, INNER_USER, 0, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until there is somebody to hear it
            warden = os.fork()
            if warden == 0:
                self._guard(request, descriptors, status, user, box)
            for descriptor in descriptors:
                os.close(descriptor)
            signal.signal(signal.SIGTERM, lambda *_: os.kill(warden, signal.SIGTERM))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            os.waitpid(warden, 0)
        except Exception as problem:
            _tell(status, {"error": f"{type(problem).__name__}: {problem}"})
        os._exit(0)

    def _guard(self, request: dict[str, Any], descriptors: list[int], status: int, user: int, box: str) -> NoReturn:
        try:
            kernel.die_with_parent()
            limits = request["limits"]
            if self.namespaces:
                owner = f"uid={user},gid={user}" if self.user else f"uid={os.getuid()},gid={os.getgid()}"
                size = f"mode=700,size={limits['disk_bytes']},nr_inodes={limits['disk_files']},{owner}"
                kernel.mount("tmpfs", box, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, size)
            else:
                kernel.adopt_orphans()
            os.chdir(box)
            with open(descriptors[0], "rb") as payload:
                for name, text in json.load(payload).items():
                    with open(name, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                        file.write(text)
                    if self.user:
                        os.chown(name, user, user)
            started = time.monotonic()
            program = os.fork()
            if program == 0:
                self._become_program(request, descriptors[1:], status, user, box)
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            if not self.namespaces:  # asked to end: the descendants first
                signal.signal(signal.SIGTERM, lambda *_: self._sweep(os.getpid()))
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            code, usage = self._wait_for(program)
            _tell(
                status,
                {
                    "exit": os.waitstatus_to_exitcode(code),
                    "cpu_s": usage.ru_utime + usage.ru_stime,
                    "memory_bytes": usage.ru_maxrss * 1024,
                    "wall_s": time.monotonic() - started,
                },
            )
            if not self.namespaces:
                self._sweep(os.getpid())
        except Exception as problem:
            _tell(status, {"error": f"{type(problem).__name__}: {problem}"})
        os._exit(0)

    @staticmethod
    def _wait_for(program: int) -> tuple[int, resource.struct_rusage]:
        while True:
            ended, code, usage = os.wait4(-1, 0)
            if ended == program:
                return code, usage

    def _become_program(
        self, request: dict[str, Any], descriptors: list[int], status: int, user: int, box: str
    ) -> NoReturn:
        try:
            os.setsid()
            # First out of the way of the numbers they are to have, then onto them.
            high = [_moved(descriptor) for descriptor in descriptors]
            status = _moved(status)
            for number, descriptor in enumerate(high):
                os.dup2(descriptor, number, inheritable=True)
            os.closerange(len(high), 512)
            limits = request["limits"]
            for name, value in limits["resources"].items():
                kind = getattr(resource, name)
                most = resource.getrlimit(kind)[1]
                soft, hard = (
                    int(number if most == resource.RLIM_INFINITY else min(number, most))
                    for number in (value, value + (name == "RLIMIT_CPU"))
                )
                resource.setrlimit(kind, (soft, hard))
            if self.user:
                self._drop(user)
            kernel.die_with_parent()
            kernel.gain_no_privileges()
            if self.landlock:
                kernel.landlock([*self.readable, *DEVICES], [box, "/dev/null"])
            if self.filter:
                kernel.filter_system_calls(None if self.namespaces else os.getpid())
            for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            environment = {**request["environment"], "HOME": box, "TMPDIR": box}
            os.execve(request["argv"][0], request["argv"], environment)
        except Exception as problem:
            _tell(status, {"error": f"{type(problem).__name__}: {problem}"})
        os._exit(127)

    def family(self, process: int) -> Iterator[int]:
        """Yield the descendants of a process, nearest first."""
        waiting = [process]
        while waiting:
            parent = waiting.pop(0)
            with contextlib.suppress(OSError):
                for task in self._tasks(parent):
                    children = [int(child) for child in self._read(f"{parent}/task/{task}/children").split()]
                    waiting += children
                    yield from children

    def use(self, process: int) -> tuple[int, int]:
        """Return how many processes descend from `process`, and the bytes of memory they hold together."""
        pages = [0]
        for child in self.family(process):
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = self._read(f"{child}/statm").split()
                pages.append(int(fields[1]))
        return len(pages) - 1, sum(pages) * resource.getpagesize()

    def kill(self, process: int) -> None:
        """Kill a keeper and all that descends from it."""
        if self.namespaces:
            for child in self.family(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                break  # the warden: with it the whole namespace
            os.kill(process, signal.SIGKILL)
            return
        os.kill(process, signal.SIGTERM)

    def _sweep(self, warden: int) -> NoReturn:
        """Kill every descendant, those of dead parents included, then end."""
        while True:
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none can fork away
                for child in list(self.family(warden)):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(child, number)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                os._exit(0)

    def _tasks(self, process: int) -> list[str]:
        descriptor = os.open(f"{process}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.proc)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, path: str) -> str:
        descriptor = os.open(path, os.O_RDONLY, dir_fd=self.proc)
        try:
            return os.read(descriptor, 65536).decode()
        finally:
            os.close(descriptor)


def _moved(descriptor: int) -> int:
    moved = 600 + descriptor
    os.dup2(descriptor, moved, inheritable=False)
    return moved


def _tell(status: int, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(status, json.dumps(message).encode() + b"\n")
