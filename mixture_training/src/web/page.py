"""The page's files, and the addresses under /v1/page/ it takes its figures from.

Decisions, answers and judgements it takes from the same addresses as everybody else.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dataset_build import ConfigError, DataError
from mixture_training.src.server.api_errors import ApiError, unavailable
from mixture_training.src.server.exchange import Exchange, endpoint
from mixture_training.src.server.record_routes import find_decision, reply
from mixture_training.src.web import live_figures, router_figures

if TYPE_CHECKING:
    from mixture_training.src.server.services import Services

#: The folder with `index.html` and all it loads.
STATIC = Path(__file__).parent / "static"
#: Seconds for which figures are given again, so that many who look cost no more than one.
LIVE_S, VERSIONS_S, DRIFT_S = 1.0, 10.0, 60.0
#: How many training instructions like the one decided on are shown.
NEAREST = 4


def add_page(app: web.Application, services: "Services") -> None:
    """Add the addresses that only the page asks."""
    figures = _Figures(services)
    for path, handler in (
        ("/v1/page/router", figures.router),
        ("/v1/page/live", figures.live),
        ("/v1/page/versions", figures.versions),
        ("/v1/page/drift", figures.drift),
        ("/v1/page/nearest/{id}", figures.nearest),
    ):
        app.router.add_get(path, endpoint(services, path, handler))


class _Figures:
    """Answers the page."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._known: dict[tuple[str, str | None], tuple[float, Any]] = {}

    async def router(self, exchange: Exchange) -> web.Response:
        """Tell what routes: its experts, its evaluation, its guard and its trade-offs."""
        return reply(router_figures.router_figures(self._services, exchange.key))

    async def live(self, exchange: Exchange) -> web.Response:
        """Tell what was asked and spent."""
        key = exchange.key
        sees_all = live_figures.sees_all(key)
        key_id = None if key is None or sees_all else key.id
        figures = await self._recall("live", key_id, LIVE_S, partial(live_figures.live_figures, self._services, key))
        return reply(figures)

    async def versions(self, exchange: Exchange) -> web.Response:
        """Tell which versions there are and what became of them."""
        read = partial(router_figures.version_figures, self._services)
        return reply(await self._recall("versions", None, VERSIONS_S, read))

    async def drift(self, exchange: Exchange) -> web.Response:
        """Tell how the latest instructions differ from those of training.

        Raises:
            ApiError: the key has limits.
        """
        if not live_figures.sees_all(exchange.key):
            raise ApiError(
                403, "Drift is measured over everybody's traffic, for keys without limits.", code="not_allowed"
            )
        return reply(await self._recall("drift", None, DRIFT_S, partial(router_figures.drift_figures, self._services)))

    async def nearest(self, exchange: Exchange) -> web.Response:
        """Tell which training instructions are most like the one of a decision of the key's own.

        Raises:
            ApiError: the key has limits: whose data the router learned from is not for everybody it serves.
        """
        if not live_figures.sees_all(exchange.key):
            raise ApiError(403, "Training instructions are shown to keys without limits.", code="not_allowed")
        found = await find_decision(exchange, exchange.request.match_info["id"])
        rows = await _read(partial(router_figures.nearest_figures, self._services, found, NEAREST))
        return reply({"nearest": rows})

    async def _recall(self, name: str, key_id: str | None, seconds: float, read: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Return figures read at most `seconds` ago."""
        at, figures = self._known.get((name, key_id), (0.0, None))
        if figures is None or time.monotonic() - at > seconds:
            figures = await _read(read)
            self._known = {place: one for place, one in self._known.items() if time.monotonic() - one[0] < DRIFT_S}
            self._known[name, key_id] = (time.monotonic(), figures)
        return figures


async def _read(read: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return what `read` does in a thread.

    Raises:
        ApiError: the database is away, or the router folder is damaged.
    """
    from mixture_training.src.storing.database import StoreUnavailableError

    try:
        return await asyncio.to_thread(read)
    except StoreUnavailableError:
        raise unavailable("The database is away; try again later.", code="store_unavailable") from None
    except (ConfigError, DataError) as problem:
        raise ApiError(503, str(problem), code="unreadable") from None
