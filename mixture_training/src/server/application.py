"""The routes of the server, put together."""

from typing import TYPE_CHECKING

from aiohttp import web

from mixture_training.src.server import chat_routes, info_routes, record_routes
from mixture_training.src.server.api_errors import from_http
from mixture_training.src.server.embeddings import Embeddings
from mixture_training.src.server.exchange import endpoint
from mixture_training.src.server.page_routes import add_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mixture_training.src.server.services import Services


def make_application(services: "Services") -> web.Application:
    """Return the application that answers with `services`.

    Raises:
        ConfigError: the endpoint for embeddings is badly set up.
    """
    config = services.config
    app = web.Application(client_max_size=config.max_body_bytes, middlewares=[_unknown_addresses(services)])
    add = app.router.add_route
    metrics_need_key = not (config.is_loopback or config.open_metrics)
    for method, path, handler, needs_key, is_work in (
        ("POST", "/v1/chat/completions", chat_routes.chat_completions, True, True),
        ("POST", "/v1/completions", chat_routes.completions, True, True),
        ("GET", "/v1/models", info_routes.models, True, False),
        ("GET", "/v1/models/{model:.+}", info_routes.model, True, False),
        ("POST", "/v1/route", record_routes.route, True, True),
        ("POST", "/v1/feedback", record_routes.feedback, True, False),
        ("GET", "/v1/decisions/{id}", record_routes.decision, True, False),
        ("GET", "/healthz", info_routes.healthz, False, False),
        ("GET", "/readyz", info_routes.readyz, False, False),
        ("GET", "/metrics", info_routes.metrics, metrics_need_key, False),
        ("GET", "/openapi.json", info_routes.description, False, False),
    ):
        add(method, path, endpoint(services, path.replace(":.+", ""), handler, needs_key=needs_key, is_work=is_work))
    if config.embeddings_url is None:
        add("POST", "/v1/embeddings", endpoint(services, "/v1/embeddings", info_routes.no_embeddings))
    else:
        embeddings = Embeddings(config)
        add("POST", "/v1/embeddings", endpoint(services, "/v1/embeddings", embeddings.answer, is_work=True))

        async def close(_: web.Application) -> None:
            await embeddings.aclose()

        app.on_cleanup.append(close)
    if config.page:
        add_page(app, services)
    return app


def _unknown_addresses(services: "Services") -> "Callable[..., Awaitable[web.StreamResponse]]":
    """Return what answers for addresses and methods there are none of, in the shape of the API."""

    @web.middleware
    async def answer(
        request: web.Request, handler: "Callable[[web.Request], Awaitable[web.StreamResponse]]"
    ) -> web.StreamResponse:
        found = request.match_info.http_exception
        if found is None:
            return await handler(request)
        problem = from_http(found.status, found.headers)

        async def refuse(_: object) -> web.StreamResponse:
            raise problem

        return await endpoint(services, "unknown", refuse, needs_key=False)(request)

    return answer
