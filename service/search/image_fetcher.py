"""Pictures by their addresses on the web: from public hosts alone, and no more or longer than allowed.

Whoever may name an address could otherwise look around in the network that the service stands in. So every host's
addresses must all be public, and the connection goes to one of those that were looked at: a name that means another
host a moment later changes nothing. A redirect is looked at like any other address.
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

SECONDS = 4.0  # for all of it, redirects included
MAX_REDIRECTS = 3
AT_ONCE = 8

_PORTS = {"http": 80, "https": 443}
_MOST_URL = 8_000  # characters
_HOST = re.compile(r"[A-Za-z0-9._:-]+")  # a name in ASCII, or an IP address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is meant
_CHUNK = 65_536  # bytes

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connect = Callable[[str, int, ssl.SSLContext | None, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def connect(
    address: str, port: int, tls: ssl.SSLContext | None, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To an IP address; with `tls` its certificate must be that of `host`. Raises OSError."""
    return await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)


def is_public(address: str) -> bool:
    """Whether an IP address is anyone's to reach: not this machine, a private network, a link or a group."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if within is not None:
            return is_public(str(within))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Fetching:
    """For the event loop alone."""

    def __init__(
        self, max_bytes: int, *, seconds: float = SECONDS, tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve, connect: Connect = connect,
    ) -> None:  # fmt: skip
        """`tls` says which certificates are believed: the system's, unless said. `resolve` and `connect` are how hosts
        are found and reached."""
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolve
        self._connect = connect
        self._under_way = 0

    async def get(self, url: str) -> bytes:
        """The bytes at an http or https address; raises FetchError, PictureTooLarge, and Overloaded."""
        if self._under_way >= AT_ONCE:
            wait = math.ceil(self._seconds)
            raise Overloaded(f"{AT_ONCE} pictures are being fetched already: try again in {wait} seconds", wait)
        self._under_way += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url)
        except TimeoutError:
            raise FetchError(
                f"the picture was not there within {self._seconds:g} seconds: send it as `image`"
            ) from None
        finally:
            self._under_way -= 1

    async def _follow(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._ask(_Target.of(url))
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise FetchError(f"the picture's address was redirected more than {MAX_REDIRECTS} times: name the last one")

    async def _ask(self, target: _Target) -> bytes | str:
        """The bytes at an address, or where it says that they are."""
        address = await self._public_address(target)
        tls = self._tls if target.scheme == "https" else None
        try:
            reader, writer = await self._connect(address, target.port, tls, target.host)
        except OSError as error:  # refused, unreachable, or not the certificate of this host
            raise FetchError(f"{target.host} cannot be reached: {error.strerror or error}") from None
        try:
            return await self._exchange(target, reader, writer)
        except (OSError, h11.ProtocolError) as error:
            raise FetchError(f"{target.host} gave no answer that can be read: {error}") from None
        finally:
            writer.transport.abort()

    async def _public_address(self, target: _Target) -> str:
        try:
            addresses = await self._resolve(target.host, target.port)
        except OSError:
            addresses = []
        # One answer for both: whether a name of the inner network exists is nobody's business.
        if not addresses or not all(map(is_public, addresses)):
            raise FetchError(f"{target.host} is no host with public addresses alone: send the picture as `image`")
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
                    raise FetchError(f"{target.host} answered {event.status_code} instead of a picture")
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > self._max_bytes:
                    raise PictureTooLarge(f"the picture has more than {self._max_bytes:,} bytes: name a smaller one")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(content)


@dataclass(frozen=True)
class _Target:
    """An address taken apart, all of it ASCII."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str  # and query

    @classmethod
    def of(cls, url: str) -> _Target:
        """Raises FetchError."""
        try:
            parts = urlsplit(url.strip())
            scheme, port = parts.scheme.lower(), parts.port
            host = (parts.hostname or "").encode("idna").decode()
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
            query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        except ValueError:  # what cannot be taken apart or written in ASCII
            scheme = host = ""
        if len(url) > _MOST_URL or scheme not in _PORTS or not _HOST.fullmatch(host) or parts.username is not None:
            raise FetchError(
                "image_url is a whole address of http or https without a user, such as https://example.org/cat.jpg"
            )
        literal = f"[{host}]" if ":" in host else host
        return cls(
            scheme, host, _PORTS[scheme] if port is None else port,
            literal if port is None else f"{literal}:{port}", f"{path}?{query}" if query else path,
        )  # fmt: skip
