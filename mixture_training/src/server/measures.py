"""What the server counts, for Prometheus: per worker, and over all workers where they share a folder.

With several workers, each writes its counts into files of one folder (`PROMETHEUS_MULTIPROC_DIR`), and whichever
worker is asked for /metrics adds them up.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mixture_training.src.server.api_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixture_training.src.decisions import Attempt

#: Upper ends of the buckets of request durations, seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
#: And of the time that is ours: routing, reading and writing.
_OWN_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5)
#: What a circuit may be, as the number the gauge shows.
CIRCUITS = {"closed": 0, "half_open": 1, "open": 2}


class Measures:
    """The counters, gauges and histograms of one process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the text and tell nothing
        self._registry = CollectorRegistry()
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        r = self._registry
        self._requests = Counter("moe_requests", "Requests by route and status.", ["route", "status"], registry=r)
        self._latency = Histogram(
            "moe_request_seconds",
            "Seconds of answered requests by the expert that answered and how it ended.",
            ["expert", "outcome"],
            buckets=_SECONDS,
            registry=r,
        )
        self._overhead = Histogram(
            "moe_overhead_seconds", "Seconds of a request that no expert had.", buckets=_OWN_SECONDS, registry=r
        )
        self._first_token = Histogram(
            "moe_first_token_seconds",
            "Seconds until the first piece of a stream.",
            ["expert"],
            buckets=_SECONDS,
            registry=r,
        )
        self._attempts = Counter("moe_attempts", "Calls of experts and how they ended.", ["expert", "kind"], registry=r)
        self._cost = Counter("moe_cost_usd", "USD by expert.", ["expert"], registry=r)
        self._tokens = Counter("moe_tokens", "Tokens by expert and kind.", ["expert", "kind"], registry=r)
        self._fallbacks = Counter(
            "moe_fallbacks", "Requests answered by another expert than the first tried.", registry=r
        )
        self._feedback = Counter("moe_feedback", "Judgements by kind.", ["kind"], registry=r)
        self._refused = Counter("moe_refused", "Requests refused, by code.", ["code"], registry=r)
        self._in_flight = Gauge("moe_in_flight", "Requests being answered.", registry=r, multiprocess_mode="livesum")
        self._connections = Gauge("moe_connections", "Open connections.", registry=r, multiprocess_mode="livesum")
        self._dropped = Gauge(
            "moe_connections_dropped", "Connections ended for slowness.", registry=r, multiprocess_mode="livesum"
        )
        self._circuit = Gauge(
            "moe_circuit_state",
            "Circuit breaker of an expert: 0 closed, 1 half open, 2 open; the worst of all workers.",
            ["expert"],
            registry=r,
            multiprocess_mode="livemax",
        )
        self._calls = Gauge(
            "moe_expert_in_flight", "Calls of an expert.", ["expert"], registry=r, multiprocess_mode="livesum"
        )
        self._waiting = Gauge(
            "moe_expert_waiting", "Calls waiting for an expert.", ["expert"], registry=r, multiprocess_mode="livesum"
        )
        self._spool = Gauge(
            "moe_spool_pending", "Decisions not yet in the database.", registry=r, multiprocess_mode="livesum"
        )
        self._version = Gauge(
            "moe_router_version", "1 for the router versions in use.", ["version", "role"], registry=r,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self._drift = Gauge(
            "moe_drift",
            "How far recent instructions are from the training data; see the documentation of updating.",
            ["measure"],
            registry=r,
            multiprocess_mode="livemax",
        )
        self._updates = Counter("moe_updates", "Updates by what became of them.", ["outcome"], registry=r)
        self._versions: set[tuple[str, str]] = set()

    def request(self, route: str, status: int, code: str | None = None) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        if code is not None:
            self._refused.labels(code).inc()

    def answered(self, expert: str, outcome: str, seconds: float, attempts: "tuple[Attempt, ...]") -> None:
        """Count what an answer took and cost."""
        self._latency.labels(expert, outcome).observe(seconds)
        spent = 0.0
        for attempt in attempts:
            kind = "ok" if attempt.error is None else attempt.error.partition(":")[0][:40]
            self._attempts.labels(attempt.expert, kind).inc()
            spent = max(spent, attempt.started_s + attempt.latency_s)
            if attempt.cost:
                self._cost.labels(attempt.expert).inc(attempt.cost)
            if attempt.prompt_tokens:
                self._tokens.labels(attempt.expert, "prompt").inc(attempt.prompt_tokens)
            if attempt.completion_tokens:
                self._tokens.labels(attempt.expert, "completion").inc(attempt.completion_tokens)
            if attempt.cached_tokens:
                self._tokens.labels(attempt.expert, "cached").inc(attempt.cached_tokens)
        if attempts:
            self._overhead.observe(max(seconds - spent, 0.0))
            if attempts[0].expert != expert and outcome == "answered":
                self._fallbacks.inc()

    def first_token(self, expert: str, seconds: float) -> None:
        """Note when a stream began."""
        self._first_token.labels(expert).observe(seconds)

    def judged(self, kind: str) -> None:
        """Count a judgement."""
        self._feedback.labels(kind).inc()

    def state(self, *, in_flight: int, connections: int, dropped: int, spool: int) -> None:
        """Set what is now."""
        self._in_flight.set(in_flight)
        self._connections.set(connections)
        self._dropped.set(dropped)
        self._spool.set(spool)

    def expert(self, name: str, *, circuit: str, in_flight: int, waiting: int) -> None:
        """Set how an expert is."""
        self._circuit.labels(name).set(CIRCUITS.get(circuit, 2))
        self._calls.labels(name).set(in_flight)
        self._waiting.labels(name).set(waiting)

    def versions(self, in_use: "Mapping[str, str]") -> None:
        """Set which versions are in use: version -> `main` or `canary`."""
        now = set(in_use.items())
        for version, role in self._versions - now:
            self._version.labels(version, role).set(0)
        for version, role in now - self._versions:
            self._version.labels(version, role).set(1)
        self._versions = now

    def drift(self, measures: "Mapping[str, float]") -> None:
        """Set how far instructions have drifted, by measure."""
        for name, value in measures.items():
            self._drift.labels(name).set(value)

    def updated(self, outcome: str) -> None:
        """Count an update that this server made: `promoted`, `on_trial`, `kept` as it was, or `failed`."""
        self._updates.labels(outcome).inc()

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if not self._is_shared:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class NoMeasures(Measures):
    """Counts nothing, where prometheus_client is not installed."""

    def __init__(self) -> None:
        """Make nothing."""

    def request(self, route: str, status: int, code: str | None = None) -> None:
        """Do nothing."""

    def answered(self, expert: str, outcome: str, seconds: float, attempts: "tuple[Attempt, ...]") -> None:
        """Do nothing."""

    def first_token(self, expert: str, seconds: float) -> None:
        """Do nothing."""

    def judged(self, kind: str) -> None:
        """Do nothing."""

    def state(self, *, in_flight: int, connections: int, dropped: int, spool: int) -> None:
        """Do nothing."""

    def expert(self, name: str, *, circuit: str, in_flight: int, waiting: int) -> None:
        """Do nothing."""

    def versions(self, in_use: "Mapping[str, str]") -> None:
        """Do nothing."""

    def drift(self, measures: "Mapping[str, float]") -> None:
        """Do nothing."""

    def updated(self, outcome: str) -> None:
        """Do nothing."""

    def text(self) -> bytes:
        """Say what is missing.

        Raises:
            ApiError: always.
        """
        raise ApiError(
            404,
            "Metrics need prometheus_client: pip install 'moe-toolkit[serve]'.",
            code="metrics_not_installed",
        )


def make_measures() -> Measures:
    """Return what counts, or what does not where prometheus_client is not installed."""
    return NoMeasures() if find_spec("prometheus_client") is None else Measures()


def forget_worker(process: int, folder: str) -> None:
    """Drop the gauges of a worker that ended; its counters stay counted."""
    if find_spec("prometheus_client") is None:
        return
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(process, folder)  # type: ignore[no-untyped-call]
