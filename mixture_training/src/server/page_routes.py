"""Where the page hangs in: its files at `/`, under rules that let a browser load nothing from elsewhere.

The page's own module adds its data under /v1/page/…::

    def add_page(app, services):
        app.router.add_get("/v1/page/traffic", endpoint(services, "/v1/page/traffic", traffic))
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from mixture_training.src.server.api_errors import ApiError
from mixture_training.src.server.exchange import Exchange, endpoint

if TYPE_CHECKING:
    from mixture_training.src.server.services import Services

#: The module with the page, if this installation has one, and its files.
_PAGE = "mixture_training.src.web.page"
#: Headers of every file of the page.
PAGE_HEADERS = {
    "Server": "moe",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def add_page(app: web.Application, services: "Services") -> bool:
    """Add the page's files and data to `app`; return whether there is a page."""
    if find_spec("mixture_training.src.web") is None or find_spec(_PAGE) is None:
        return False
    from importlib import import_module

    page = import_module(_PAGE)
    files = _Files(Path(page.STATIC))
    app.router.add_get("/", endpoint(services, "/", files.index, needs_key=False))
    app.router.add_get("/static/{name:.+}", endpoint(services, "/static", files.named, needs_key=False))
    page.add_page(app, services)
    return True


class _Files:
    """The files of the page, read once; what is not in the folder cannot be asked for.

    Args:
        folder: With `index.html`.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): (path.read_bytes(), _TYPES[path.suffix])
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }

    async def index(self, exchange: Exchange) -> web.Response:
        """Send the page."""
        return self._send("index.html")

    async def named(self, exchange: Exchange) -> web.Response:
        """Send one of its files."""
        return self._send(exchange.request.match_info["name"])

    def _send(self, name: str) -> web.Response:
        if name not in self._files:
            raise ApiError(404, "There is no such file.")
        body, kind = self._files[name]
        return web.Response(body=body, content_type=kind, charset="utf-8" if kind.startswith("text") else None,
                            headers=PAGE_HEADERS)  # fmt: skip
