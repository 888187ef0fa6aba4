"""A Ray cluster for the length of a build: one that is there, or one started on this machine, private and quiet."""

import logging
import math
import os
import secrets
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.workers import MOST_WORKERS, available_cores

#: Bytes of shared memory for blocks of instructions on their way to a worker; responses do not pass through it.
OBJECT_STORE_BYTES = 128 * 2**20
#: Characters of a temporary folder that leave Ray enough for the names of its sockets.
LONGEST_FOLDER = 30
#: Seconds in which a cluster must answer to the first contact.
CONTACT_S = 5
# How a client of HTTP/2, which Ray speaks, greets, and the kind of frame that a server answers with (RFC 9113, 3.4).
_GREETING, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), b"\x04"
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
_AUTH_MODE = "RAY_AUTH_MODE"
_QUIET = ("ray", "ray.data")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a build may use.

    Attributes:
        workers: Processes that make calls.
        gpus_per_worker: What each may hold of them.
    """

    workers: int
    gpus_per_worker: float


@contextmanager
def running_cluster(address: str | None, workers: int | None, *, needs_gpu: bool) -> Iterator[Cluster]:
    """Connect to Ray, or start it here, and leave nothing of it behind.

    Args:
        address: `host:port` of a cluster's head as seen from one of its nodes, or `auto` for the one this machine
            belongs to; None starts one on this machine that nobody else can reach.
        workers: Processes that make calls; None means one per core of the cluster, here at most `MOST_WORKERS`.
        needs_gpu: Whether each worker holds a model, and so a GPU where the cluster has some.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: there is no cluster at `address`.
    """
    if address is not None:
        _check_reachable(address)
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(prefix="moe-", dir=_short_folder(), ignore_cleanup_errors=True) as folder,
        _environment(folder, is_ours=address is None),
    ):
        warnings.simplefilter("ignore")  # Ray's own, about itself
        ray = _import_ray()
        if ray.is_initialized():
            raise ConfigError(
                "Ray is connected in this process already; call ray.shutdown() first, and give its address as "
                "ray_address."
            )
        with _quiet(ray):
            try:
                here = workers or min(available_cores(), MOST_WORKERS)
                _connect(ray, address, folder, here)
                yield _cluster(ray.cluster_resources(), here if address is None else workers, needs_gpu=needs_gpu)
            finally:
                ray.shutdown()


def _short_folder() -> str:
    """Return where to put the folder of a cluster: the path of a socket in it may have 107 characters."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= LONGEST_FOLDER or not os.path.isdir("/tmp") else "/tmp"  # noqa: S108


def _import_ray() -> Any:  # noqa: ANN401 - a module
    try:
        import ray
        import ray.data
    except ImportError as missing:
        raise MissingDependencyError(
            'The engine "ray" needs Ray, which is not installed: pip install "moe-toolkit[ray]"'
        ) from missing
    return ray


def _connect(ray: Any, address: str | None, folder: str, cores: int) -> None:  # noqa: ANN401
    if address is None:
        options = {
            "address": "local",
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": folder,
        }
        is_only_here = True
    else:
        options = {"address": address}
        is_only_here = _is_only_here(ray, address)
    # This makes 127.0.0.1 the node's address, and keeps every socket on it; `_node_ip_address` does not.
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    try:
        if is_only_here:
            constants.ENABLE_RAY_CLUSTER = False
        with suppress(AttributeError):  # a token of an earlier cluster; older versions have none
            ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
        with _silent_stderr():
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as problem:  # whatever a version of Ray raises when it cannot connect
        reason = " ".join(str(problem).split())[:300]
        where = "on this machine" if address is None else f"at --ray_address {address}"
        raise ConfigError(
            f"Cannot have a Ray cluster {where}: {reason}; a build runs on one of its nodes, with the same versions of "
            f"Python and Ray, and with {_AUTH_MODE}=token where the cluster wants a token."
        ) from None
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _is_only_here(ray: Any, address: str) -> bool:  # noqa: ANN401
    """Return whether a cluster on this machine is to be had at its loopback address only."""
    host, _, port = address.rpartition(":")
    if host.strip("[]") not in {"127.0.0.1", "localhost", "::1"}:
        return False
    return _refusal(ray.util.get_node_ip_address(), int(port)) is not None


def _check_reachable(address: str) -> None:
    """Find out within seconds whether a cluster may be at `address`; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise ConfigError(
            f"--ray_address is {address!r}; `host:port` of a cluster's head was expected (6379 is Ray's usual port), "
            "or `auto` on one of its nodes."
        )
    if (reason := _refusal(host.strip("[]"), int(port))) is not None:
        raise ConfigError(
            f"No Ray cluster answers at --ray_address {address} ({reason}); start one there, or leave the option out."
        )


def _refusal(host: str, port: int) -> str | None:
    """Return why there can be no cluster; None where there may be one."""
    try:
        with socket.create_connection((host, port), timeout=CONTACT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "1":
                return None
            connection.sendall(_GREETING)
            is_ray = connection.recv(9)[3:4] == _SETTINGS
    except TimeoutError:
        return f"no answer within {CONTACT_S} s"
    except (OSError, OverflowError) as problem:
        return str(problem)
    return None if is_ray else "something else answers there"


def _cluster(resources: dict[str, float], workers: int | None, *, needs_gpu: bool) -> Cluster:
    cores, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
    if not cores:
        raise ConfigError("The Ray cluster has no CPU to give; wait for its nodes, or give another --ray_address.")
    count = min(workers or cores, cores)
    if not needs_gpu or not gpus:
        return Cluster(count, 0.0)
    return Cluster(min(count, math.ceil(gpus)), 1.0)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what compiled code writes to stderr; what goes wrong is raised all the same."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _environment(folder: str, *, is_ours: bool) -> Iterator[None]:
    """Set what Ray reads, and take back what it sets.

    A cluster of ours gets a token of its own, which vanishes with its folder; Ray would keep one in the home folder.
    """
    settings = dict(_ENVIRONMENT)
    if is_ours and _AUTH_MODE not in os.environ:
        token = Path(folder, "token")
        token.write_text(secrets.token_hex(32), encoding="ascii")
        settings["RAY_AUTH_TOKEN_PATH"] = str(token)
    before = {name: os.environ.get(name) for name in (*settings, _AUTH_MODE)}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is not None:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:  # noqa: ANN401
    """Keep what Ray says about itself off the terminal: what concerns the user is said by us."""
    loggers = [logging.getLogger(name) for name in _QUIET]
    before = [logger.level for logger in loggers]
    worker = ray._private.worker
    printed = getattr(worker, "_worker_logs_enabled", True)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = printed
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
