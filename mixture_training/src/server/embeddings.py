"""/v1/embeddings, passed on to the one endpoint the server was set up with; no request can name another."""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from dataset_build import ConfigError, parsed_address
from mixture_training.src.server.api_errors import COMMON_HEADERS, ApiError
from mixture_training.src.server.chat_bodies import FORBIDDEN
from mixture_training.src.server.exchange import Exchange
from mixture_training.src.server.json_bytes import read_json, write_json

if TYPE_CHECKING:
    import aiohttp

    from mixture_training.src.server.serve_config import ServeConfig

#: Bytes of an answer at most: 2048 vectors of 3072 numbers, as text.
_LONGEST = 160 * 1024 * 1024


class Embeddings:
    """The endpoint behind /v1/embeddings.

    Args:
        config: Names its address and the environment variable of its key.

    Raises:
        ConfigError: the address is none, or the variable is not set.
    """

    def __init__(self, config: "ServeConfig") -> None:
        address = (config.embeddings_url or "").rstrip("/")
        if parsed_address(address) is None:
            raise ConfigError(
                f"embeddings_url is an address like https://host/v1; {config.embeddings_url!r} was given."
            )
        self._address = address if urlsplit(address).path.endswith("/embeddings") else f"{address}/embeddings"
        self._headers = {"Content-Type": "application/json"}
        if config.embeddings_key_env is not None:
            key = os.environ.get(config.embeddings_key_env)
            if not key:
                raise ConfigError(
                    f"The environment variable {config.embeddings_key_env} (embeddings_key_env) is unset."
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, exchange: Exchange) -> web.Response:
        """Pass a request on, and its answer back."""
        import aiohttp

        body = await exchange.json()
        for name in FORBIDDEN & body.keys():
            raise ApiError(400, f"{name!r} is not taken from a request.", param=name, code="unsupported_parameter")
        if not isinstance(body.get("input"), str | list) or not body["input"]:
            raise ApiError(400, "'input' must be a text or a list that is not empty.", param="input")
        if not isinstance(body.get("model", ""), str):
            raise ApiError(400, "'model' must be a text.", param="model")
        exchange.services.access.settle(exchange.services.access.admit(exchange.key, 0.0))
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.post(
                self._address,
                data=write_json(body),
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=exchange.timeout_s()),
            ) as response:
                data = await response.content.read(_LONGEST + 1)
                while len(data) <= _LONGEST and (more := await response.content.read(_LONGEST + 1 - len(data))):
                    data += more
                status = response.status
        except TimeoutError:
            raise ApiError(504, "The embeddings endpoint did not answer in time.") from None
        except aiohttp.ClientError:
            raise ApiError(502, "The embeddings endpoint cannot be reached.") from None
        if status in (400, 404, 413, 422, 429):
            raise ApiError(status, f"The embeddings endpoint refused the request ({status}).")
        if status != 200 or len(data) > _LONGEST or not _is_object(data):
            raise ApiError(502, f"The embeddings endpoint failed ({status}).")
        return web.Response(body=data, content_type="application/json", headers=COMMON_HEADERS)

    async def aclose(self) -> None:
        """Release its connections."""
        if self._session is not None:
            await self._session.close()


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(read_json(data), dict)
    except ValueError:
        return False
