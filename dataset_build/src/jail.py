r"""Programs nobody vouches for, run where they can do no harm: confined in files, network, processes, memory and time.

    with Jail() as jail:
        outcome = jail.run({"program.py": "print(input()[::-1])"}, stdin="abc")
    outcome.stdout      "cba\n"

A jail is one small server process (`jail_process`) that starts each program in about 20 ms.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from dataset_build.src.jail_records import NEEDED, JailError, JailReport, Limits, Outcome, report_of

#: Seconds past a program's deadline in which the server has to say how it ended.
GRACE_S = 10.0
#: Seconds the server may take to start.
START_UP_S = 30.0
MESSAGE_BYTES = 65536

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from dataset_build.src.jail_process import main; main(int(sys.argv[1]))"
)
#: What a program finds of the machine besides Python itself: shared libraries and what finds them.
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo",
              "/etc/ld.so.cache")  # fmt: skip
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_KILLED = {
    "time": "it ran longer than {limits.wall_s:g} s",
    "memory": "it held more than {limits.memory_mb} MB",
    "processes": "it started more than {limits.processes} processes",
}


class Running:
    """A program that runs in a jail: its pipes, until `Jail.wait` collects them."""

    def __init__(self, name: int, limits: Limits, stdout: int, stderr: int) -> None:
        self.name = name
        self.limits = limits
        self.started = time.monotonic()
        self.pipes = {stdout: bytearray(), stderr: bytearray()}
        self.order = (stdout, stderr)
        self.finished: set[int] = set()
        self.is_over_output = False


class Jail:
    """Runs programs, one process tree each, all killed at the latest when it is closed. Not for several threads.

    Args:
        allow_weak: Run programs even where files, network, signals or privileges are not protected.
        packages: Whether programs may import what is installed beside the toolkit (start-up takes longer); otherwise
            they have the standard library only.
        use_namespaces: Whether to use namespaces where the kernel lends them; False leaves the weaker ways.

    Raises:
        JailError: this machine cannot confine programs well enough; the message lists what is missing.
    """

    def __init__(self, *, allow_weak: bool = False, packages: bool = False, use_namespaces: bool = True) -> None:
        if not sys.platform.startswith("linux"):
            raise JailError(f"Programs can be confined on Linux only, this is {sys.platform}; use a container or WSL.")
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._packages = packages
        self._use_namespaces = use_namespaces
        self._count = 0
        self._ended: dict[int, dict[str, Any]] = {}
        self.report = self._start()
        missing = [f"{name} ({why})" for name, why in self.report.missing.items() if name in NEEDED]
        if missing and not allow_weak:
            self.close()
            raise JailError(
                f"This machine cannot confine programs; not protected: {', '.join(missing)}. Allow unprivileged user "
                "namespaces or use Linux 5.13 or later, or run in a virtual machine and set allow_weak_jail."
            )

    def __enter__(self) -> "Jail":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill every program and end."""
        if self._socket is not None:
            self._socket.close()  # the server sees it, kills its programs and leaves
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(timeout=GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __del__(self) -> None:
        if hasattr(self, "_socket"):  # else it was never begun
            self.close()

    def check(self) -> None:
        """Run a program that does nothing.

        Raises:
            JailError: not even that works here; the message says what to do.
        """
        try:
            outcome = self.run({"program.py": ""})
        except JailError as problem:
            raise JailError(f"No program runs in the jail: {problem} {self._advice()}") from None
        if outcome.exit_code != 0:
            told = outcome.killed or (outcome.stderr.strip().splitlines() or [f"exit code {outcome.exit_code}"])[-1]
            raise JailError(
                f"No program runs in the jail; an empty one ended with: {told.rstrip('.')[:200]}. {self._advice()}"
            )

    def _advice(self) -> str:
        return (
            f"Programs run as another user, by {self.python[0]}; see that every user may read and execute it and the "
            "folders it lies in (one below /root is not), or do not run as root."
            if os.geteuid() == 0
            else f"Programs are run by {self.python[0]}, which must be readable and work on its own."
        )

    @property
    def python(self) -> list[str]:
        """The command that starts a Python program in the jail."""
        if self._packages:
            return [sys.executable, "-I", "-B"]
        return [_base_python(), "-I", "-S", "-B"]

    def run(
        self, files: Mapping[str, str], *, main: str = "program.py", stdin: str = "", limits: Limits | None = None
    ) -> Outcome:
        """Run a Python program in an empty directory that holds `files`, and wait for its end.

        Args:
            files: File name -> text.
            main: The file to run.
            stdin: What it reads from its standard input, which ends after it.
            limits: What it may use.

        Raises:
            JailError: it could not be started.
        """
        with _in_memory(stdin) as given:
            running = self.start(files, main=main, stdin=given.fileno(), limits=limits or Limits())
        return self.wait(running)

    def start(
        self,
        files: Mapping[str, str],
        *,
        main: str,
        stdin: int,
        limits: Limits,
        arguments: Sequence[str] = (),
        pipes: Sequence[int] = (),
    ) -> Running:
        """Start a Python program.

        Args:
            files: File name -> text.
            main: The file to run.
            stdin: A descriptor of what it reads; stays the caller's.
            limits: What it may use.
            arguments: What it finds in `sys.argv`.
            pipes: Descriptors it gets as 3, 4, …; they stay the caller's.

        Raises:
            JailError: it could not be started.
        """
        if any("/" in name or name in ("", ".", "..") for name in files):
            raise JailError(f"File names in a jail are plain names; given: {', '.join(map(repr, files))}.")
        if self._socket is None:
            self._start()
        assert self._socket is not None
        self._count += 1
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            with _in_memory(json.dumps(dict(files))) as payload:
                request = {
                    "run": self._count,
                    "argv": [*self.python, main, *arguments],
                    "environment": _ENVIRONMENT,
                    "limits": limits.as_request(),
                }
                descriptors = [payload.fileno(), stdin, out_end, err_end, *pipes]
                socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
        except OSError as problem:
            os.close(out)
            os.close(err)
            self.close()
            raise JailError(f"The jail's server is gone ({problem}).") from None
        finally:
            os.close(out_end)
            os.close(err_end)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        return Running(self._count, limits, out, err)

    def kill(self, running: Running) -> None:
        """Kill a program and its descendants; `wait` still has to be called."""
        if self._socket is not None and running.name not in self._ended:
            with suppress(OSError):
                self._socket.send(json.dumps({"kill": running.name}).encode())

    def wait(self, running: Running) -> Outcome:
        """Return how a program ended, once it has.

        Raises:
            JailError: the server does not answer, or could not start it.
        """
        patience = running.started + running.limits.wall_s + GRACE_S
        most = int(running.limits.output_mb * 2**20)
        try:
            while running.name not in self._ended:
                self._listen(running, patience)
                if not running.is_over_output and any(len(data) > most for data in running.pipes.values()):
                    running.is_over_output = True
                    self.kill(running)
            for pipe in running.order:  # what was written before the end
                while len(running.pipes[pipe]) <= most and self._read(running, pipe):
                    pass
        finally:
            for pipe in running.order:
                os.close(pipe)
        return self._outcome(running, most)

    def _outcome(self, running: Running, most: int) -> Outcome:
        end = self._ended.pop(running.name)
        if "error" in end:
            raise JailError(f"The program could not be started in the jail: {end['error']}.")
        killed = _KILLED.get(end["killed"] or "", "it was stopped" if end["killed"] else None)
        if any(len(data) > most for data in running.pipes.values()):
            killed = "it wrote more than {limits.output_mb:g} MB"
        out, err = (running.pipes[pipe][:most].decode("utf-8", "replace") for pipe in running.order)
        return Outcome(
            exit_code=None if killed else end.get("exit"),
            stdout=out,
            stderr=err,
            killed=killed and killed.format(limits=running.limits),
            wall_s=end.get("wall_s", time.monotonic() - running.started),
            cpu_s=end.get("cpu_s"),
        )

    def _listen(self, running: Running, patience: float) -> None:
        """Wait until the program writes or the server speaks, and take what there is."""
        if self._socket is None:
            raise JailError("The jail was closed while a program ran in it.")
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            for pipe in () if running.is_over_output else set(running.order) - running.finished:
                selector.register(pipe, selectors.EVENT_READ)
            ready = selector.select(max(0.0, patience - time.monotonic()))
        if not ready:
            self.close()
            raise JailError(f"The jail's server did not answer within {GRACE_S:g} s of a program's deadline.")
        for key, _ in ready:
            if key.fileobj is self._socket:
                self._hear()
            elif not self._read(running, key.fd):
                running.finished.add(key.fd)

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(MESSAGE_BYTES)
        except OSError:
            data = b""
        if not data:
            self.close()
            raise JailError("The jail's server ended unexpectedly.")
        message = json.loads(data)
        self._ended[message["end"]] = message

    @staticmethod
    def _read(running: Running, pipe: int) -> bool:
        try:
            data = os.read(pipe, 1 << 20)
        except BlockingIOError:
            return False
        running.pipes[pipe] += data
        return bool(data)

    def _start(self) -> JailReport:
        self._ended = {}
        # The server works elsewhere, and without the hooks by which an editable installation finds its modules.
        paths = [*(os.path.abspath(path) for path in sys.path), str(Path(__file__).parents[2])]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(theirs.fileno()), json.dumps(paths)],
                pass_fds=[theirs.fileno()],
                env={},  # so that there is nothing to be read in it
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._socket = ours
        setup = {"readable": self._readable(), "namespaces": self._use_namespaces}
        try:
            ours.settimeout(START_UP_S)
            ours.send(json.dumps(setup).encode())
            told = ours.recv(MESSAGE_BYTES)
        except OSError:
            told = b""
        ours.settimeout(None)
        if not told:
            self.close()
            raise JailError("The jail's server ended at its start; its own message is above.")
        return report_of(json.loads(told))

    def _readable(self) -> list[str]:
        prefixes = [sys.base_prefix, sys.base_exec_prefix]
        if self._packages:
            prefixes += [sys.prefix, *(path for path in sys.path if os.path.basename(path) == "site-packages")]
        return list(dict.fromkeys([*_LIBRARIES, *prefixes]))


def describe_jail() -> JailReport:
    """Return what protects this machine from programs in a jail, as found by starting one."""
    with Jail(allow_weak=True) as jail:
        return jail.report


def _base_python() -> str:
    """Return the interpreter that a virtual environment stands on."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _in_memory(text: str) -> BinaryIO:
    file = open(os.memfd_create("jail"), "w+b")  # noqa: SIM115 - the caller closes it
    file.write(text.encode("utf-8", "surrogatepass"))
    file.seek(0)
    return file
