"""Any endpoint that speaks the OpenAI chat protocol: hosted models, gateways, servers on this machine."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from dataset_build.src.errors import ConfigError, ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.chat_protocol import read_answer, read_failure
from dataset_build.src.records import Answer, Instruction, Price

if TYPE_CHECKING:
    import aiohttp

#: Keys of the request that are the toolkit's own.
RESERVED = ("messages", "model", "stream")


class OpenAICompatibleExpert(Expert):
    """Answer by `POST base_url/chat/completions`.

    The key is read from the environment at each call and is stored nowhere. `n`, streaming and tools are not used.

    Args:
        name: How the dataset and the router call it.
        base_url: Where the endpoint is, with its version: `https://api.openai.com/v1`.
        model: What the endpoint calls the model.
        api_key_env: The environment variable that holds the key; None sends no key.
        system_prompt: Sent first, as the system message.
        temperature: 0 is greedy; None leaves it to the endpoint (some models accept no other).
        max_tokens: Tokens the answer may have; None leaves it to the endpoint.
        extra_body: Further keys of the request, such as `seed` or `max_completion_tokens`.
        timeout_s: Seconds one request may take.
        price: USD per million tokens.
        description: One line for people and for routing language models.
    """

    provider = "openai_compatible"

    def __init__(
        self,
        name: str,
        base_url: str,
        model: str,
        api_key_env: str | None = None,
        system_prompt: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        extra_body: Mapping[str, Any] | None = None,
        timeout_s: float = 120.0,
        *,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name, price=price, description=description)
        self._url = _endpoint(base_url, name)
        if api_key_env is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", api_key_env):
            raise ConfigError(
                f"Expert {name!r}: api_key_env takes the name of an environment variable in capitals, such as "
                "OPENAI_API_KEY, never the key itself."
            )
        if timeout_s <= 0:
            raise ConfigError(f"Expert {name!r}: timeout_s is {timeout_s}; it must be above 0.")
        self._api_key_env = api_key_env
        self._timeout_s = timeout_s
        self._system_prompt = system_prompt
        self._body = _body(name, model, temperature, max_tokens, extra_body or {})
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    def check(self) -> None:
        """Raise before a build where the key's environment variable is not set."""
        if self._api_key_env is not None and not os.environ.get(self._api_key_env, "").strip():
            raise ConfigError(
                f"Expert {self.name!r}: the environment variable {self._api_key_env} with its key is not set; export "
                "it, or leave api_key_env out for an endpoint without keys."
            )

    async def answer(self, instruction: Instruction) -> Answer:
        """Ask the endpoint.

        Raises:
            ExpertUnavailableError: kinds timeout, connection, rate_limit, server_error, invalid_response.
            ExpertRefusedError: kinds auth, bad_request, quota, content_filter, empty_response.
        """
        key = self._key()
        status, headers, body = await self._post(self._request(instruction), key)
        if status == 200:
            result = read_answer(body, expert=self.name, hidden=key)
        else:
            result = read_failure(status, headers, body, expert=self.name, hidden=key)
        if isinstance(result, ExpertError):
            raise result
        return result

    async def aclose(self) -> None:
        """Close the connections of every event loop this expert was used in."""
        for loop, session in list(self._sessions.items()):
            del self._sessions[loop]
            with suppress(RuntimeError):  # its loop is closed already, and its sockets with it
                await session.close()

    def fingerprint(self) -> str:
        """Return the endpoint and every part of the request but the instruction and the key."""
        request = {**self._body, "system_prompt": self._system_prompt, "url": self._url}
        return f"{self.provider}:{json.dumps(request, sort_keys=True)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, url={self._url!r}, model={self._body['model']!r})"

    def _request(self, instruction: Instruction) -> dict[str, Any]:
        messages = [{"role": "user", "content": instruction.text}]
        if self._system_prompt:
            messages.insert(0, {"role": "system", "content": self._system_prompt})
        return {**self._body, "messages": messages}

    def _key(self) -> str | None:
        if self._api_key_env is None:
            return None
        key = os.environ.get(self._api_key_env, "").strip()
        if not key:
            raise ExpertRefusedError(
                f"the environment variable {self._api_key_env} with its key is not set", expert=self.name, kind="auth"
            )
        if not key.isascii() or not key.isprintable():
            raise ExpertRefusedError(
                f"the key in {self._api_key_env} has characters no key has", expert=self.name, kind="auth"
            )
        return key

    async def _post(self, request: dict[str, Any], key: str | None) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with self._session().post(
                self._url, json=request, headers=headers, allow_redirects=False
            ) as response:
                return response.status, response.headers, await response.read()
        except TimeoutError:
            problem = ExpertUnavailableError(
                f"no answer within {self._timeout_s:g} s", expert=self.name, kind="timeout"
            )
        except (aiohttp.ClientError, OSError) as failure:
            problem = ExpertUnavailableError(_reason(failure, key), expert=self.name, kind="connection")
        # Outside the `except`: aiohttp's own exceptions can hold the request's headers, and with them the key.
        raise problem

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp

        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                connector=aiohttp.TCPConnector(limit=0),  # the caller decides how many calls are in flight
            )
        return session


def _endpoint(base_url: str, name: str) -> str:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"Expert {name!r}: base_url is no web address; expected one like http://127.0.0.1:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"Expert {name!r}: base_url holds a user, a password or a query; give the plain address, and the key's "
            "environment variable as api_key_env."
        )
    plain = base_url.strip().rstrip("/").removesuffix("/chat/completions")
    return f"{plain}/chat/completions"


def _body(
    name: str, model: str, temperature: float | None, max_tokens: int | None, extra_body: Mapping[str, Any]
) -> dict[str, Any]:
    for reserved in RESERVED:
        if reserved in extra_body:
            raise ConfigError(f"Expert {name!r}: extra_body holds {reserved!r}, which the expert sets itself.")
    body = {"model": model, "temperature": temperature, "max_tokens": max_tokens}
    body = {key: value for key, value in body.items() if value is not None} | dict(extra_body)
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise ConfigError(f"Expert {name!r}: the request cannot be written as JSON: {problem}.") from None
    return body


def _reason(failure: BaseException, key: str | None) -> str:
    text = " ".join(str(failure).split()) or type(failure).__name__
    return text.replace(key, "***") if key else text
