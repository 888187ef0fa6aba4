"""Several workers on one port: a parent that starts them, starts one again that died, and ends them together.

Each worker listens by itself (`SO_REUSEPORT`), so that the system deals out the connections evenly. The parent holds
the port without listening, and does nothing else.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixture_training.src.server.rate_slots import shared_file
from mixture_training.src.server.serving import listening_socket, run_worker

if TYPE_CHECKING:
    from types import FrameType

    from mixture_training.src.server.serve_config import ServeConfig

#: Seconds after which a worker that died is started again: at first, and at most; a worker that lived this long
#: counts as well.
_PAUSE_S, _LONGEST_PAUSE_S, _WELL_S = 0.2, 10.0, 30.0
#: Seconds in which the first workers must come up.
_START_S = 60.0
#: Seconds between two looks.
_LOOK_S = 0.1
#: What a worker is started with: its set-up comes on stdin, because a URL in it may hold a password.
_COMMAND = [sys.executable, "-m", "mixture_training.src.server.supervisor"]


class Supervisor:
    """Runs the workers of one server.

    Args:
        config: The set-up, with more than one worker.
    """

    def __init__(self, config: "ServeConfig") -> None:
        self._config = config
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._due: dict[int, float] = {}
        self._pauses: dict[int, float] = {}
        self._is_ending = False

    def run(self, started: Callable[[int], None]) -> int:
        """Serve until SIGTERM or SIGINT, and return the exit code.

        Args:
            started: Called with the port when every worker takes requests.
        """
        config = self._config
        listening_socket(config.host, config.port).close()  # says whether somebody else is there
        with tempfile.TemporaryDirectory(prefix="moe-serve-") as folder:
            holder = listening_socket(config.host, config.port, is_shared=True)
            port = int(holder.getsockname()[1])
            rates = shared_file(Path(folder))
            counts = Path(folder) / "counts"
            counts.mkdir()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counts)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._end)
            try:
                for worker in range(config.workers):
                    self._start(worker, port, rates, folder)
                if not self._wait_for_all(folder):
                    return 2
                started(port)
                self._watch(port, rates, folder, str(counts))
            finally:
                self._stop_all()
                holder.close()
                os.close(rates)
        return 0

    def _start(self, worker: int, port: int, rates: int, folder: str) -> None:
        setup = {
            "config": {**self._config.model_dump(), "port": port},
            "worker": worker,
            "rates": rates,
            "ready": str(Path(folder) / f"ready-{worker}"),
        }
        process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, pass_fds=[rates])
        assert process.stdin is not None
        process.stdin.write(json.dumps(setup).encode() + b"\n")
        process.stdin.flush()  # it stays open: a worker whose parent is gone sees it end
        self._running[worker] = (process, time.monotonic())

    def _wait_for_all(self, folder: str) -> bool:
        until = time.monotonic() + _START_S
        while time.monotonic() < until and not self._is_ending:
            if all((Path(folder) / f"ready-{worker}").exists() for worker in self._running):
                return True
            if any(process.poll() is not None for process, _ in self._running.values()):
                return False
            time.sleep(0.01)
        return False

    def _watch(self, port: int, rates: int, folder: str, counts: str) -> None:
        from mixture_training.src.server.measures import forget_worker

        while not self._is_ending:
            now = time.monotonic()
            for worker, (process, since) in list(self._running.items()):
                if process.poll() is None:
                    continue
                del self._running[worker]
                forget_worker(process.pid, counts)
                pause = _PAUSE_S if now - since > _WELL_S else self._pauses.get(worker, _PAUSE_S)
                self._pauses[worker] = min(pause * 2, _LONGEST_PAUSE_S)
                self._due[worker] = now + pause
                self._say("worker died", worker=worker, code=process.returncode)
            for worker, due in list(self._due.items()):
                if now >= due:
                    del self._due[worker]
                    self._start(worker, port, rates, folder)
            time.sleep(_LOOK_S)

    def _end(self, number: int, frame: "FrameType | None") -> None:
        self._is_ending = True

    def _stop_all(self) -> None:
        for process, _ in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self._config.settle_s + self._config.shutdown_timeout_s + 15.0
        for process, _ in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _say(self, what: str, **values: Any) -> None:  # noqa: ANN401
        sys.stderr.write(json.dumps({"event": what, **values}) + "\n")
        sys.stderr.flush()


def main() -> int:
    """Run one worker as the parent told it on stdin."""
    from dataset_build import run_command
    from mixture_training.src.server.serve_config import ServeConfig

    setup = json.loads(sys.stdin.readline())
    config = ServeConfig(**setup["config"])

    def work() -> int:
        listener = listening_socket(config.host, config.port, is_shared=True)
        run_worker(
            config,
            listener,
            worker=setup["worker"],
            rates=setup["rates"],
            lifeline=sys.stdin.fileno(),
            started=lambda services: Path(setup["ready"]).touch(),
        )
        return 0

    return run_command("moe serve", work)


if __name__ == "__main__":
    sys.exit(main())
