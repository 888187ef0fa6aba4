"""Spans for OpenTelemetry, made when a request is over from what was recorded of it.

One is for the request, one for the routing, one for each attempt. They hold names, costs and outcomes, never texts.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dataset_build import MissingDependencyError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from mixture_training.src.decisions import Attempt

_NANO = 1_000_000_000


class Tracing:
    """Makes the spans.

    Args:
        provider: Of OpenTelemetry; None makes one that sends where the `OTEL_…` variables say.

    Raises:
        MissingDependencyError: OpenTelemetry is not installed.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            self._provider = provider or _from_environment()
        except ImportError:
            raise MissingDependencyError(
                "Spans need OpenTelemetry: pip install 'moe-toolkit[otel]', or leave --otel out."
            ) from None
        self._trace = trace
        self._tracer = self._provider.get_tracer("moe")
        self._parent: Callable[..., Any] = TraceContextTextMapPropagator().extract

    def request(
        self,
        route: str,
        headers: Mapping[str, str],
        *,
        seconds: float,
        status: int,
        attempts: "tuple[Attempt, ...]" = (),
        notes: Mapping[str, str | float | bool] | None = None,
    ) -> None:
        """Make the spans of a request that has just ended."""
        end = time.time_ns()
        start = end - int(seconds * _NANO)
        parent = self._parent({name: headers[name] for name in ("traceparent", "tracestate") if name in headers})
        kind = self._trace.SpanKind
        span = self._tracer.start_span(
            route,
            parent,
            kind=kind.SERVER,
            start_time=start,
            attributes={"http.route": route, "http.response.status_code": status, **(notes or {})},
        )
        inside = self._trace.set_span_in_context(span, parent)
        if attempts:
            first = start + int(max(seconds - _spent(attempts), 0.0) * _NANO)
            self._tracer.start_span("moe.route", inside, start_time=start).end(first)
            for attempt in attempts:
                begun = first + int(attempt.started_s * _NANO)
                call = self._tracer.start_span(
                    "moe.attempt",
                    inside,
                    kind=kind.CLIENT,
                    start_time=begun,
                    attributes={
                        "moe.expert": attempt.expert,
                        "moe.cost_usd": attempt.cost or 0.0,
                        "moe.is_hedge": attempt.is_hedge,
                    },
                )
                if attempt.error is not None:
                    call.set_status(self._trace.StatusCode.ERROR, attempt.error.partition(":")[0])
                call.end(begun + int(attempt.latency_s * _NANO))
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def _spent(attempts: "tuple[Attempt, ...]") -> float:
    return max(attempt.started_s + attempt.latency_s for attempt in attempts)


def _from_environment() -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "moe"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
