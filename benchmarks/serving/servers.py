"""The servers that are compared, each a process tree on one core: `moe serve`, LiteLLM's proxy, RouteLLM's server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NO_PROXY": "*",
    # what the others would fetch or report
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "HF_HUB_OFFLINE": "1",
    "OPENAI_API_KEY": "none",
}
#: RouteLLM's `__main__` listens on every address; this is the same app with the same options on loopback only.
_ROUTELLM = "import sys, uvicorn; from routellm.openai_server import app; uvicorn.run(app, host='127.0.0.1', port={port}, log_level='warning')"  # noqa: E501


class RunningServer:
    """A server and its children. A context manager.

    Attributes:
        url: Up to the version.
        model: What a request has to ask for so that it is routed.
        key: The bearer key it wants; may be empty.
        started: When its process was started, by `time.perf_counter`.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, model: str, key: str, log: Path) -> None:
        self.process, self.url, self.model, self.key, self.log = process, url, model, key, log
        self.started = time.perf_counter()

    def cpu_s(self) -> float:
        """Return the CPU seconds of the tree so far."""
        return float(sum(sum(each.cpu_times()[:2]) for each in self._tree()))

    def pss_mb(self) -> float:
        """Return the resident memory of the tree, shared pages divided among those that share them."""
        return float(sum(each.memory_full_info().pss for each in self._tree())) / 1e6

    def wait_until_ready(self, path: str, timeout_s: float = 120.0) -> float:
        """Return the seconds from its start until `path` answered 200.

        Raises:
            SystemExit: it ended, or did not answer in time; with the end of what it wrote.
        """
        while time.perf_counter() - self.started < timeout_s:
            if self.process.poll() is not None:
                break
            if is_answering(self.url.removesuffix("/v1") + path, self.key):
                return time.perf_counter() - self.started
            time.sleep(0.01)
        raise SystemExit(f"{self.url} did not start: {self.log.read_text(errors='replace')[-3000:]}")

    def stop(self, timeout_s: float = 20.0) -> int:
        """Ask it to stop, and return its exit code; the tree is killed where that takes too long."""
        self.process.send_signal(signal.SIGTERM)
        tree = self._tree()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            for each in tree:
                each.kill()
            return self.process.wait()

    def _tree(self) -> list[psutil.Process]:
        try:
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()


def is_answering(url: str, key: str = "") -> bool:
    """Whether a GET of `url` has status 200."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with _OPENER.open(request, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch(
    command: Sequence[str], log: Path, *, core: int | None = None, more: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a command whose output goes to `log`."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None else list(command)
    with log.open("wb") as file:
        return subprocess.Popen(
            pinned,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ENVIRONMENT, **(more or {})},
            cwd=log.parent,
        )


def start_litellm(python: str, upstream: str, work: Path, *, core: int | None) -> RunningServer:
    """Start LiteLLM's proxy: one model name, two deployments on the upstream, its own router between them, a key."""
    port = free_port()
    deployments = [
        {
            "model_name": "routed",
            "litellm_params": {"model": f"openai/{name}", "api_base": upstream, "api_key": "none"},
        }
        for name in ("small", "large")
    ]
    config = {
        "model_list": deployments,
        "router_settings": {"routing_strategy": "simple-shuffle"},
        "general_settings": {"master_key": "sk-benchmark"},
        "litellm_settings": {"telemetry": False, "set_verbose": False},
    }
    file = work / "litellm.yaml"
    file.write_text(json.dumps(config))  # JSON is YAML
    command = [str(Path(python).parent / "litellm"), "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    log = work / "litellm.log"
    process = launch([*command, "--num_workers", "1"], log, core=core)
    server = RunningServer(process, f"http://127.0.0.1:{port}/v1", "routed", "sk-benchmark", log)
    server.wait_until_ready("/health/liveliness")
    return server


def start_routellm(python: str, upstream: str, work: Path, *, core: int | None) -> RunningServer:
    """Start RouteLLM's server with its random router, which needs no model from a hub."""
    port = free_port()
    options = ["--routers", "random", "--strong-model", "openai/large", "--weak-model", "openai/small"]
    command = [python, "-c", _ROUTELLM.format(port=port), *options, "--base-url", upstream, "--api-key", "none"]
    log = work / "routellm.log"
    process = launch(command, log, core=core)
    server = RunningServer(process, f"http://127.0.0.1:{port}/v1", "router-random-0.5", "", log)
    server.wait_until_ready("/openapi.json")
    return server


def start_moe(
    router: Path,
    work: Path,
    *,
    core: int | None = None,
    store: str | None = None,
    options: Sequence[str] = (),
    python: str = sys.executable,
    name: str = "moe",
) -> RunningServer:
    """Start `moe serve`; its first key is made beforehand.

    Args:
        router: The router folder.
        work: Where its log and its database go.
        core: Which core; None means any.
        store: The database; None means a file in `work`.
        options: Further options of the command.
        python: Whose.
        name: Of the log.
    """
    from mixture_training.src.feedback_store import FeedbackStore

    store = store or f"sqlite:///{work / 'decisions.db'}"
    database = FeedbackStore(store)
    _, key = database.keys.add("benchmark")
    database.close()
    port = free_port()
    serve = ["serve", "--router", str(router), "--host", "127.0.0.1", "--port", str(port), "--feedback", store]
    log = work / f"{name}.log"
    more = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    process = launch([python, "-m", "mixture_training.src.cli", *serve, *options], log, core=core, more=more)
    return RunningServer(process, f"http://127.0.0.1:{port}/v1", "moe", key, log)
