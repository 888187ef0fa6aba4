"""Requests to one address: kept connections, deadlines, TLS, proxies, and every way they fail translated once."""

import asyncio
import io
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit
from weakref import WeakKeyDictionary

from dataset_build.src.errors import ConfigError, ExpertError, ExpertRefusedError, ExpertUnavailableError
from dataset_build.src.experts.chat_protocol import invalid
from dataset_build.src.experts.chat_stream import StreamedReply
from dataset_build.src.experts.masking import masked

if TYPE_CHECKING:
    import aiohttp
    import yarl

#: Seconds a looked-up address is used for.
DNS_TTL_S = 60
#: Seconds to wait, after a stream has said that it is done, for the end of its body; then the connection is given up.
END_OF_STREAM_S = 0.2
#: Bytes above which aiohttp wants a body to be a file.
_LARGE_BODY = 1 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Transport:
    """How an address is reached.

    Attributes:
        connect_timeout_s: Seconds until there is a connection, the look-up of the address included.
        first_byte_timeout_s: Seconds from the start until the reply begins; None means no limit.
        timeout_s: Seconds the whole request may take; None leaves it to the caller.
        most_bytes: Longest body of a reply.
        proxy: A proxy's address without user and password.
        proxy_env: The environment variable that holds a proxy's address, with user and password if need be.
        trust_env: Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY count where no proxy is given. They never do for this
            machine itself, and `.netrc` is never read: it would send a password to a host nobody meant it for.
        verify_tls: Whether the endpoint's certificate is checked.
        ca_file: Certificates of authorities to trust instead of the system's.
        client_cert: A certificate to show.
        client_key: Its key, when not in the same file.
    """

    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float | None = None
    timeout_s: float | None = None
    most_bytes: int = 64 << 20
    proxy: str | None = None
    proxy_env: str | None = None
    trust_env: bool = True
    verify_tls: bool = True
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class HttpConnection:
    """Posts bodies to one address, over one pool of kept connections per event loop.

    Args:
        expert: The expert's name, for errors.
        url: The address.
        transport: How it is reached.
    """

    def __init__(self, expert: str, url: str, transport: Transport) -> None:
        self.url = url
        self._expert = expert
        self._transport = transport
        self._address: yarl.URL | None = None
        self._tls: ssl.SSLContext | bool | None = None
        #: Event loop -> its session, its proxy and the secrets in the proxy's address.
        self._open: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, str | None, tuple[str, ...]]
        ] = WeakKeyDictionary()
        if transport.proxy is not None:
            parts = _proxy(transport.proxy, f"Expert {expert!r}: proxy")
            if parts.username or parts.password:
                raise ConfigError(
                    f"Expert {expert!r}: proxy holds a user or a password; put the whole address into an environment "
                    "variable and give its name as proxy_env."
                )

    def check(self) -> None:
        """Raise where a certificate cannot be read or the proxy's variable is not set.

        Raises:
            ConfigError: so it is.
        """
        self._tls_context()
        self._chosen_proxy()

    async def post(
        self, body: bytes, headers: Mapping[str, str], *, hidden: Sequence[str], stream: StreamedReply | None = None
    ) -> tuple[int, Mapping[str, str], bytes, float | None]:
        """Return status, headers, body and, of a stream, the seconds until it began.

        Args:
            body: What to send.
            headers: To send with it.
            hidden: Secrets among them, kept out of every error.
            stream: Takes in the body of a reply with status 200 as it comes; the body returned is empty then.

        Raises:
            ExpertError: there was no reply, or not all of it.
        """
        status, received, pieces = 200, headers, list[bytes]()
        began: float | None = None
        started = time.perf_counter()
        async with aclosing(self.receive(body, headers, hidden=hidden, stream=stream)) as chunks:
            async for code, given, piece in chunks:
                status, received = code, given
                if stream is None or status != 200:
                    pieces.append(piece)
                    continue
                stream.feed(piece)
                if stream.has_begun and began is None:
                    began = time.perf_counter() - started
        return status, received, b"".join(pieces), began

    async def receive(
        self, body: bytes, headers: Mapping[str, str], *, hidden: Sequence[str], stream: StreamedReply | None = None
    ) -> AsyncGenerator[tuple[int, Mapping[str, str], bytes], None]:
        """Yield status, headers and the next bytes of the body, as they come; at least once, if with no bytes.

        Whoever is slow holds up the endpoint: no more is read from it than a small buffer holds. Whoever closes the
        generator closes the connection, unless all of the reply was there.

        Args:
            body: What to send.
            headers: To send with it.
            hidden: Secrets among them, kept out of every error.
            stream: What the caller feeds with the bytes; the reply has ended when it says so.

        Raises:
            ExpertError: there was no reply, or not all of it.
        """
        import aiohttp

        session, proxy, secrets = self._session()
        left = self._transport.most_bytes
        try:
            async with asyncio.timeout(self._transport.first_byte_timeout_s) as first_byte:
                response = await session.post(
                    self._address or self.url,
                    data=body if len(body) < _LARGE_BODY else io.BytesIO(body),
                    headers=headers,
                    proxy=proxy,
                    allow_redirects=False,
                )
                async with _closed_on_failure(response):
                    piece = b"" if stream is None else await response.content.readany()
            async with response:
                if not piece:
                    yield response.status, response.headers, b""
                    piece = await response.content.readany()
                while piece:
                    left -= len(piece)
                    if left < 0:
                        response.close()
                        raise _TooLongError
                    yield response.status, response.headers, piece
                    if stream is not None and stream.is_done:
                        with suppress(TimeoutError):
                            async with asyncio.timeout(END_OF_STREAM_S):
                                await response.content.readany()
                        return
                    piece = await response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError, _TooLongError) as failure:
            if stream is not None and stream.is_complete:
                return
            problem = self._problem(failure, first_byte.expired(), (*hidden, *secrets))
        else:
            return
        # Outside the `except`: aiohttp's own exceptions can hold the request's headers, and with them the key.
        raise problem

    async def aclose(self) -> None:
        """Close the connections of every event loop this was used in."""
        for loop, (session, _, _) in list(self._open.items()):
            del self._open[loop]
            with suppress(RuntimeError):  # its loop is closed already, and its sockets with it
                await session.close()

    def _problem(self, failure: BaseException, no_first_byte: bool, hidden: Sequence[str]) -> ExpertError:
        """Return what a failure of aiohttp or of the system stands for."""
        import aiohttp

        said = masked(" ".join(str(failure).split()) or type(failure).__name__, hidden)
        name, transport = self._expert, self._transport
        if isinstance(failure, _TooLongError):
            return invalid(f"the reply is longer than {transport.most_bytes >> 20} MB (max_response_mb)", name)
        if isinstance(failure, aiohttp.ServerTimeoutError):
            waited = f"no connection within {transport.connect_timeout_s:g} s (connect_timeout_s)"
            return ExpertUnavailableError(waited, expert=name, kind="timeout")
        if isinstance(failure, TimeoutError):
            waited = f"no answer within {transport.timeout_s or 0:g} s (timeout_s)"
            if no_first_byte:
                waited = f"no first byte within {transport.first_byte_timeout_s:g} s (first_byte_timeout_s)"
            return ExpertUnavailableError(waited, expert=name, kind="timeout", may_be_billed=True)
        if isinstance(failure, aiohttp.ClientHttpProxyError):
            if failure.status == 407:
                return ExpertRefusedError("the proxy wants a user and a password", expert=name, kind="auth")
            return ExpertUnavailableError(f"the proxy answered {failure.status}", expert=name, kind="connection")
        if isinstance(failure, aiohttp.ClientSSLError):
            return ExpertRefusedError(said, expert=name, kind="tls")
        if isinstance(failure, aiohttp.ClientConnectorError):
            kind = "dns" if isinstance(failure.os_error, socket.gaierror) else "connection"
            return ExpertUnavailableError(said, expert=name, kind=kind)
        if isinstance(failure, aiohttp.ClientResponseError):
            return invalid(masked(f"the reply is no HTTP: {failure.message}", hidden)[:200], name)
        return ExpertUnavailableError(said, expert=name, kind="connection", may_be_billed=True)

    def _session(self) -> "tuple[aiohttp.ClientSession, str | None, tuple[str, ...]]":
        loop = asyncio.get_running_loop()
        held = self._open.get(loop)
        if held is not None and not held[0].closed:
            return held
        import aiohttp
        import yarl

        self._address = yarl.URL(self.url)
        transport = self._transport
        proxy = self._chosen_proxy()
        password = urlsplit(proxy).password if proxy else None
        session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=transport.timeout_s, connect=transport.connect_timeout_s),
            # The caller decides how many calls are in flight.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=DNS_TTL_S, ssl=self._tls_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        held = (session, proxy, (password, unquote(password)) if password else ())
        self._open[loop] = held
        return held

    def _tls_context(self) -> ssl.SSLContext | bool:
        """Return what aiohttp takes: a context of one's own, True for the usual one, False for no check."""
        transport = self._transport
        if self._tls is None:
            self._tls = transport.verify_tls
            if transport.ca_file or transport.client_cert:
                self._tls = _tls_context(transport, self._expert)
        return self._tls

    def _chosen_proxy(self) -> str | None:
        transport = self._transport
        if transport.proxy is not None:
            return transport.proxy.strip()
        if transport.proxy_env is not None:
            url = os.environ.get(transport.proxy_env, "").strip()
            if not url:
                variable = f"the environment variable {transport.proxy_env} with its proxy"
                raise ConfigError(f"Expert {self._expert!r}: {variable} is not set.")
            _proxy(url, f"Expert {self._expert!r}: {transport.proxy_env}")
            return url
        return _environment_proxy(self.url) if transport.trust_env else None


@asynccontextmanager
async def _closed_on_failure(response: "aiohttp.ClientResponse") -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        response.close()
        raise


class _TooLongError(Exception):
    """The body of a reply is longer than it may be."""


def parsed_address(url: str) -> SplitResult | None:
    """Return the parts of a web address, or None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None


def _proxy(url: str, where: str) -> SplitResult:
    parts = parsed_address(url.strip())
    if parts is None:
        raise ConfigError(f"{where} is no proxy for HTTP; expected an address like http://proxy:3128.")
    return parts


def _environment_proxy(url: str) -> str | None:
    from urllib.request import getproxies_environment, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    proxy = proxies.get(parts.scheme)
    if not proxy or host in _LOOPBACK or proxy_bypass(host):
        return None
    _proxy(proxy, f"The environment variable {parts.scheme.upper()}_PROXY")
    return proxy


def _tls_context(transport: Transport, expert: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=transport.ca_file)
        if not transport.verify_tls:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if transport.client_cert:
            # With a password given, a key that has one is an error instead of a question on the terminal.
            context.load_cert_chain(transport.client_cert, transport.client_key, password="")  # noqa: S106
    except (OSError, ValueError) as problem:
        raise ConfigError(f"Expert {expert!r}: cannot read ca_file, client_cert or client_key: {problem}.") from None
    return context
