"""Compares mathematics with math-verify in a process of its own, because expressions can hang.

The process lives on between questions. One that runs over its deadline is killed, and the next question starts
another.
"""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from dataset_build.src.errors import ConfigError, MissingDependencyError, ToolkitError

#: Seconds a new process may take until it is ready: it imports SymPy.
START_UP_S = 60.0
#: Characters of a reference or an answer that are compared at most; of longer ones nothing is.
MAX_LENGTH = 2000

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from dataset_build.src.math_process import main; main(int(sys.argv[1]))"
)


class UndecidedError(ToolkitError):
    """Whether two expressions are equal could not be found out; the message says why."""


class MathWorker:
    """One process that compares; not for several threads.

    Args:
        seconds: What one comparison may take.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = os.getpid()

    def equal(self, reference: str, answer: str) -> bool | None:
        """Return whether `answer` ends in what `reference` is, or None when the reference is no mathematics.

        Raises:
            UndecidedError: it took too long, needed too much memory, or the library failed.
            MissingDependencyError: math-verify is not installed.
            ConfigError: no process can be started.
        """
        if max(len(reference), len(answer)) > MAX_LENGTH:
            raise UndecidedError(f"more than {MAX_LENGTH:,} characters of mathematics")
        if self._socket is None or self._owner != os.getpid():
            self._start()
        assert self._socket is not None
        try:
            self._socket.sendall(json.dumps({"reference": reference, "answer": answer}).encode() + b"\n")
            told = self._receive(self._seconds)
        except TimeoutError:
            self.close()
            raise UndecidedError(f"not decided within {self._seconds:g} s") from None
        except OSError as problem:
            self.close()
            raise UndecidedError(f"the comparison's process died ({problem})") from None
        if "problem" in told:
            raise UndecidedError(f"math-verify failed with {told['problem']}")
        equal: bool | None = told["equal"]
        return equal

    def close(self) -> None:
        """Kill the process."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None and self._owner == os.getpid():
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._process = None

    def __del__(self) -> None:
        self.close()

    def _start(self) -> None:
        self.close()  # in a forked process: lets go of the parent's socket only
        self._owner = os.getpid()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._socket = ours
        try:
            told = self._receive(START_UP_S)
        except OSError as problem:
            self.close()
            raise ConfigError(f"The process that compares mathematics did not start ({problem}).") from None
        if "missing" in told:
            self.close()
            raise MissingDependencyError(
                f'The metric "math" needs math-verify for this reference: pip install math-verify ({told["missing"]})'
            )

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._socket is not None
        deadline = time.monotonic() + seconds
        data = b""
        while not data.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("it closed its socket")
            data += received
        message: dict[str, Any] = json.loads(data)
        return message
