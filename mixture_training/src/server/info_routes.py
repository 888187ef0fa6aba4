"""What there is and how it is: /v1/models, /healthz, /readyz, /metrics, /openapi.json."""

from typing import Any

from aiohttp import web

from mixture_training.src.server.access import may_use
from mixture_training.src.server.api_errors import COMMON_HEADERS, ApiError
from mixture_training.src.server.exchange import Exchange
from mixture_training.src.server.model_choice import CHEAP, MOE, QUALITY
from mixture_training.src.server.openapi import openapi
from mixture_training.src.server.record_routes import reply


async def models(exchange: Exchange) -> web.Response:
    """List the policies and the experts that the key may use."""
    return reply({"object": "list", "data": _models(exchange)})


async def model(exchange: Exchange) -> web.Response:
    """Show one of them."""
    name = exchange.request.match_info["model"]
    for found in _models(exchange):
        if found["id"] == name:
            return reply(found)
    exchange.services.choose(name, exchange.key)  # a policy with a number is a model as well
    return reply(_model(name, "moe", "A policy of the router."))


async def healthz(exchange: Exchange) -> web.Response:
    """Say that the process answers."""
    return reply({"status": "ok"})


async def readyz(exchange: Exchange) -> web.Response:
    """Say whether requests should be sent here: not at its end, nor while every expert's circuit is open."""
    services = exchange.services
    experts = services.expert_health()
    why = None
    if services.is_draining:
        why = "it is shutting down"
    elif experts and all(state["circuit"] == "open" for state in experts.values()):
        why = "every expert's circuit is open"
    body = {
        "status": "ready" if why is None else "not ready",
        "reason": why,
        "router_version": services.router_version,
        "spool_pending": services.writer.pending,
        "database": "away" if services.writer.is_away else "ok",
        "experts": {name: state["circuit"] for name, state in experts.items()},
    }
    response = reply(body)
    if why is not None:
        response.set_status(503)
        response.headers["Retry-After"] = "5"
    return response


async def metrics(exchange: Exchange) -> web.Response:
    """Show everything that is counted, for Prometheus."""
    exchange.services.measure()
    return web.Response(
        body=exchange.services.measures.text(),
        headers={**COMMON_HEADERS, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def description(exchange: Exchange) -> web.Response:
    """Describe the API."""
    return reply(openapi())


async def no_embeddings(exchange: Exchange) -> web.Response:
    """Say that there are none, and how to have them."""
    raise ApiError(
        404,
        "This server passes on no embeddings. Start it with --embeddings_url URL (and --embeddings_key_env NAME) to "
        "pass them on to an endpoint.",
        code="embeddings_not_configured",
    )


def _models(exchange: Exchange) -> list[dict[str, Any]]:
    services = exchange.services
    policies = {
        MOE: f"The router by its default policy ({services.default_policy}).",
        QUALITY: "The highest expected score, whatever it costs.",
        CHEAP: f"Little money for good enough answers ({services.cheap}).",
    }
    listed = [_model(name, "moe", says) for name, says in policies.items()]
    described = {card.name: card.description for card in services.router.experts}
    for name in services.experts:
        if may_use(exchange.key, name):
            listed.append(_model(name, "expert", described.get(name, "")))
    return listed


def _model(name: str, owner: str, description: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner, "description": description}
