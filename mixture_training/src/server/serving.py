"""The life of one worker: listen, serve, and end without breaking off what runs."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError

if TYPE_CHECKING:
    from mixture_training.src.server.serve_config import ServeConfig
    from mixture_training.src.server.services import Services

#: Open files besides connections.
_OTHER_FILES = 256
#: Connections that wait to be accepted.
_BACKLOG = 1024
#: Seconds for which what a refused request still sends is read, so that its sender gets to read the answer.
_LINGER_S = 2.0
#: Seconds in which what has run beyond its time at the end takes note that it is cut off.
_CUT_OFF_S = 1.0


def listening_socket(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket bound to `host` and `port`.

    Args:
        host: A name or an address.
        port: 0 takes a free one.
        is_shared: Whether several processes listen there, each getting its part of the connections.

    Raises:
        ConfigError: the port is taken, or the address is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise ConfigError(f"Cannot listen on {host}: {problem.strerror or problem}.") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError as problem:
        made.close()
        raise ConfigError(
            f"Cannot listen on {host}:{port}: {problem.strerror or problem}. {_advice(problem)}"
        ) from None
    made.setblocking(False)
    return made


def _advice(problem: OSError) -> str:
    if problem.errno == errno.EADDRNOTAVAIL:
        return "This machine has no such address; give another --host (0.0.0.0 is all it has)."
    return "Give another --port (0 takes a free one)."


def run_worker(
    config: "ServeConfig",
    listener: socket.socket,
    *,
    worker: int = 0,
    rates: int | None = None,
    lifeline: int | None = None,
    started: Callable[["Services"], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: The set-up.
        listener: A bound socket.
        worker: Its number.
        rates: As for `open_services`.
        lifeline: A descriptor whose end is that of the parent, and of this worker; None has no parent.
        started: Called when requests are taken.

    Raises:
        ToolkitError: something cannot be opened.
    """
    _allow_files(config.max_connections)
    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        runner.run(_serve(config, listener, worker, rates, lifeline, started))


async def _serve(
    config: "ServeConfig",
    listener: socket.socket,
    worker: int,
    rates: int | None,
    lifeline: int | None,
    started: Callable[["Services"], None] | None,
) -> None:
    from aiohttp import web

    from mixture_training.src.server.application import make_application
    from mixture_training.src.server.opening import open_services
    from mixture_training.src.server.request_log import LogLines

    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _parent_is_gone, loop, lifeline, end)
    services = open_services(config, worker=worker, rates=rates)
    lines = LogLines(services.log)
    logging.getLogger().addHandler(lines)
    options: dict[str, Any] = {
        "access_log": None,
        "keepalive_timeout": config.idle_timeout_s,
        "lingering_time": _LINGER_S,
    }
    runner = web.AppRunner(
        make_application(services),
        handler_cancellation=True,
        shutdown_timeout=_CUT_OFF_S,
        **options,
    )
    try:
        await runner.setup()
        manager = runner.server
        assert manager is not None
        server = await loop.create_server(
            lambda: services.connections.serve(manager, options), sock=listener, backlog=_BACKLOG
        )
        services.start()
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        if started is not None:
            started(services)
        await end.wait()
        await _drain(services, server, runner)
    finally:
        await runner.cleanup()
        await services.aclose()
        logging.getLogger().removeHandler(lines)


async def _drain(services: "Services", server: asyncio.AbstractServer, runner: Any) -> None:  # noqa: ANN401
    """Say that nothing more is taken, take nothing more, and let what runs come to its end."""
    config = services.config
    services.is_draining = True
    services.log.event("stopping", in_flight=services.in_flight)
    await asyncio.sleep(config.settle_s)
    server.close()
    until = time.monotonic() + config.shutdown_timeout_s
    runner.server.pre_shutdown()  # idle connections end now, the others after their answer
    while services.in_flight and time.monotonic() < until:
        await asyncio.sleep(0.02)
    if services.in_flight:
        services.log.event("cut off", in_flight=services.in_flight)


def _parent_is_gone(loop: asyncio.AbstractEventLoop, lifeline: int, end: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    end.set()


def _allow_files(connections: int) -> None:
    """Raise the limit of open files to what the connections need, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_FILES  # an expert may have one for each
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _loop_factory(config: "ServeConfig") -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not config.uvloop:
        return None
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
