"""Serve a router behind the protocol of OpenAI.

moe serve --router runs/router
moe serve --router runs/router --host 0.0.0.0 --workers 4 --feedback postgresql://moe@db/moe
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError, Parser

if TYPE_CHECKING:
    from mixture_training.src.feedback_store import FeedbackStore
    from mixture_training.src.server.serve_config import ServeConfig

#: Options, in the order of the help, with what the help says; their defaults are those of `ServeConfig`.
_OPTIONS: dict[str, tuple[type, str, str]] = {
    "host": (str, "H", "where to listen (127.0.0.1)"),
    "port": (int, "P", "which port; 0 takes a free one (8080)"),
    "workers": (int, "N", "processes (1)"),
    "experts": (str, "E", "who answers: a .yaml file, embedded, … (those it was trained on)"),
    "policy": (str, "P", "what `moe` stands for: quality, cost_weight=NUMBER, budget=USD, target=SHARE (the router's)"),
    "feedback": (str, "F", "the database: a file, or postgresql://… (beside the router)"),
    "spool": (str, "DIR", "folder of decisions on their way to the database (beside it)"),
    "retention_days": (float, "N", "forget decisions older than this, once a day (never)"),
    "drift_every_s": (float, "S", "compare what comes in with the training data so often, for /metrics (never)"),
    "update_every_s": (float, "S", "learn from feedback so often, as `moe update` does (never)"),
    "update_canary": (float, "SHARE", "try what was learned on this share of the traffic first (put it in place)"),
    "hedge_after_s": (str, "S", "start a second expert when the first is this late; or p95 (never)"),
    "after_break": (str, "HOW", "error, or continue: have another expert go on where a stream broke (error)"),
    "explore": (str, "METHOD", "thompson, linucb or epsilon: try other experts now and then, to learn (never)"),
    "explore_budget_usd": (float, "USD", "what that may cost more, in all (1)"),
    "explore_quality": (float, "Q", "what expected score it may give up on average (0.01)"),
    "cache_s": (float, "S", "give an answer again to equal requests of temperature 0 for so long (0: never)"),
    "timeout_s": (float, "S", "seconds one expert may take (60)"),
    "request_timeout_s": (float, "S", "seconds a whole request may take (120)"),
    "retries": (int, "N", "further tries of an expert (1)"),
    "expert_concurrency": (int, "N", "calls of one expert in flight (256)"),
    "concurrency": (int, "N", "requests in flight in a worker; more get 503 (1024)"),
    "max_connections": (int, "N", "open connections of a worker (4096)"),
    "max_body_bytes": (int, "N", "of a request (4194304)"),
    "max_messages": (int, "N", "of a conversation (1000)"),
    "max_prompt_tokens": (int, "N", "of a conversation, estimated (200000)"),
    "max_completion_tokens": (int, "N", "that a request may ask for (no limit)"),
    "head_timeout_s": (float, "S", "seconds until the head of a request is there (10)"),
    "body_timeout_s": (float, "S", "seconds until its body is there (30)"),
    "idle_timeout_s": (float, "S", "seconds an unused connection is kept (75)"),
    "write_timeout_s": (float, "S", "seconds a client may leave unread what it was sent (30)"),
    "shutdown_timeout_s": (float, "S", "seconds running requests have at the end (30)"),
    "settle_s": (float, "S", "seconds between `not ready` and the end of accepting (1)"),
    "embeddings_url": (str, "URL", "endpoint that /v1/embeddings passes on to (none)"),
    "embeddings_key_env": (str, "NAME", "the environment variable with its key (none)"),
}
_SWITCHES = {
    "keep_texts": ("store instructions and responses", False),
    "keep_features": ("store the vectors that quick learning needs", True),
    "no_auth": ("take requests without keys; on loopback only", False),
    "open_metrics": ("show /metrics without a key wherever it listens", False),
    "access_log": ("write a line on stderr for each request", True),
    "page": ("serve the page at /", True),
    "otel": ("send spans to an OpenTelemetry collector, as the OTEL_… variables say", False),
    "uvloop": ("run on uvloop where it is installed", True),
}


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--router", metavar="R", help="a router folder, or hf:org/name")
    parser.add_argument("--config", type=Path, metavar="F", help="a YAML file with the names of these options")
    for name, (kind, metavar, says) in _OPTIONS.items():
        flags = ["--feedback", "--store"] if name == "feedback" else [f"--{name}"]
        parser.add_argument(*flags, dest=name, type=kind, metavar=metavar, help=says)
    for name, (says, shown) in _SWITCHES.items():
        parser.add_boolean(f"--{name}", default=None, help=says, shown=shown)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from dataset_build import resolve
    from mixture_training.src.artifacts import Router
    from mixture_training.src.server.opening import check_policy
    from mixture_training.src.server.serve_config import ServeConfig
    from mixture_training.src.server.serving import listening_socket

    flags = {name: getattr(args, name) for name in ("router", *_OPTIONS, *_SWITCHES)}
    if args.router is None and args.config is None:
        raise ConfigError("Give --router R, the folder that `moe train` wrote (or --config F that names it).")
    config = resolve(ServeConfig, args.config, flags)
    if config.router.startswith("hf:"):  # the configuration names it
        from mixture_training.src.hub_router import find_router

        config = config.model_copy(update={"router": str(find_router(config.router))})
    router = Router.load(config.router)
    if config.policy is not None:
        check_policy(config, router)
    listening_socket(config.host, config.port).close()  # a key is not shown by a server that cannot start
    _prepare_keys(config)
    if config.workers == 1:
        return _one(config)
    from mixture_training.src.server.supervisor import Supervisor

    return Supervisor(config).run(lambda port: _say_where(config, port))


def _one(config: "ServeConfig") -> int:
    from mixture_training.src.server.serving import listening_socket, run_worker

    listener = listening_socket(config.host, config.port)
    port = int(listener.getsockname()[1])
    run_worker(config, listener, started=lambda services: _say_where(config, port))
    return 0


def _prepare_keys(config: "ServeConfig") -> None:
    """Make the first key where there is none.

    Raises:
        ConfigError: there is none, and others than this machine could ask.
    """
    from mixture_training.src.server.opening import open_store

    with open_store(config) as store:
        if config.no_auth or any(not key.is_disabled for key in store.keys.list()):
            return
        if not config.is_loopback:
            raise ConfigError(
                f"There is no key, and everybody can reach {config.host}. Make one first: "
                f"moe keys add NAME {_where(config, store)}"
            )
        _, secret = store.keys.add("first")
    print(
        f"This server had no key; here is its first. It is shown this once:\n\n    {secret}\n\n"
        "Send it as: Authorization: Bearer KEY. `moe keys` lists, adds and revokes keys.",
        file=sys.stderr,
        flush=True,
    )


def _where(config: "ServeConfig", store: "FeedbackStore") -> str:
    return f"--router {config.router}" if config.feedback is None else f"--feedback {store.place}"


def _say_where(config: "ServeConfig", port: int) -> None:
    host: Any = f"[{config.host}]" if ":" in config.host else config.host
    workers = "" if config.workers == 1 else f", {config.workers} workers"
    print(f"Listening on http://{host}:{port}/v1 (process {os.getpid()}{workers}).", file=sys.stderr, flush=True)
