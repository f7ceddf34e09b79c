"""Pictures from URLs that clients send: only from public hosts, and within limits of size and time.

Otherwise a client could explore the network that the service is in. All addresses of a host must be public, and the
connection goes to one of the addresses that were checked, so a name that resolves differently a moment later changes
nothing. Redirects are checked like any other URL.

h11 and not httpx, whose transport cannot be told the address to connect to; a network backend for httpcore, which can,
would be as long.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

import h11

from promptsearch.errors import FetchError, Overloaded, PictureTooLarge
from promptsearch.version import __version__

TIMEOUT = 4.0  # seconds for everything, redirects included
MAX_REDIRECTS = 3
MAX_CONCURRENT = 8

_PORTS = {"http": 80, "https": 443}
_MAX_URL = 8_000  # characters
_HOST = re.compile(r"[A-Za-z0-9._:-]+")  # a name in ASCII, or an IP address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_CHUNK = 65_536  # bytes

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connect = Callable[[str, int, ssl.SSLContext | None, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host; raises OSError."""
    results = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in results]


async def connect(
    address: str, port: int, tls: ssl.SSLContext | None, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to an IP address; with `tls` its certificate must be valid for `host`. Raises OSError."""
    return await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)


def is_public(address: str) -> bool:
    """Return whether an IP address is on the internet: not this machine, a private network, a link or a group."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if embedded is not None:
            return is_public(str(embedded))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class ImageFetcher:
    """Downloads pictures; for the event loop alone."""

    def __init__(
        self, max_bytes: int, *, timeout: float = TIMEOUT, tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve, connect: Connect = connect,
    ) -> None:  # fmt: skip
        """Download at most `max_bytes` within `timeout` seconds.

        `tls` has the certificates to trust (default: the system's). `resolve` and `connect` find and reach hosts.
        """
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolve
        self._connect = connect
        self._running = 0

    async def get(self, url: str) -> bytes:
        """Return the bytes at an http or https URL; raises FetchError, PictureTooLarge and Overloaded."""
        if self._running >= MAX_CONCURRENT:
            wait = math.ceil(self._timeout)
            raise Overloaded(f"{MAX_CONCURRENT} pictures are being downloaded already: try again in {wait} s", wait)
        self._running += 1
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(url)
        except TimeoutError:
            raise FetchError(
                f"the picture could not be downloaded within {self._timeout:g} seconds: send it as `image`"
            ) from None
        finally:
            self._running -= 1

    async def _follow(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            content_or_location = await self._request(_Target.of(url))
            if isinstance(content_or_location, bytes):
                return content_or_location
            url = urljoin(url, content_or_location)
        raise FetchError(f"the picture's URL redirects more than {MAX_REDIRECTS} times: send the final URL")

    async def _request(self, target: _Target) -> bytes | str:
        """Return the bytes at a URL, or the URL that it redirects to."""
        address = await self._public_address(target)
        tls = self._tls if target.scheme == "https" else None
        try:
            reader, writer = await self._connect(address, target.port, tls, target.host)
        except OSError as error:  # refused, unreachable, or not the certificate of this host
            raise FetchError(f"{target.host} cannot be reached: {error.strerror or error}") from None
        try:
            return await self._exchange(target, reader, writer)
        except (OSError, h11.ProtocolError) as error:
            raise FetchError(f"{target.host} sent an invalid response: {error}") from None
        finally:
            writer.transport.abort()

    async def _public_address(self, target: _Target) -> str:
        try:
            addresses = await self._resolve(target.host, target.port)
        except OSError:
            addresses = []
        # One message for both: clients must not learn which names exist in the internal network.
        if not addresses or not all(map(is_public, addresses)):
            raise FetchError(f"{target.host} is not a public host: send the picture as `image`")
        return addresses[0]

    async def _exchange(
        self, target: _Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | str:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", target.authority), ("User-Agent", f"prompt-search/{__version__}"), ("Accept", "image/*"),
                   ("Accept-Encoding", "identity"), ("Connection", "close")]  # fmt: skip
        request = h11.Request(method="GET", target=target.path, headers=headers)
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        content = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                location = dict(event.headers).get(b"location")
                if event.status_code in (301, 302, 303, 307, 308) and location:
                    return location.decode("latin-1")
                if event.status_code != 200:
                    raise FetchError(f"{target.host} responded with {event.status_code} instead of a picture")
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > self._max_bytes:
                    raise PictureTooLarge(f"the picture is larger than {self._max_bytes:,} bytes: choose a smaller one")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(content)


@dataclass(frozen=True)
class _Target:
    """The parts of a URL, in ASCII."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str  # with the query

    @classmethod
    def of(cls, url: str) -> _Target:
        """Return the parts of a URL; raises FetchError."""
        try:
            parts = urlsplit(url.strip())
            scheme, port = parts.scheme.lower(), parts.port
            host = (parts.hostname or "").encode("idna").decode()
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
            query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        except ValueError:  # it cannot be parsed, or written in ASCII
            scheme = host = ""
        if len(url) > _MAX_URL or scheme not in _PORTS or not _HOST.fullmatch(host) or parts.username is not None:
            raise FetchError(
                "image_url must be an absolute http or https URL without a user, such as https://example.org/cat.jpg"
            )
        literal = f"[{host}]" if ":" in host else host
        return cls(
            scheme, host, _PORTS[scheme] if port is None else port,
            literal if port is None else f"{literal}:{port}", f"{path}?{query}" if query else path,
        )  # fmt: skip
