"""Pictures from addresses that clients name: those that are fetched, and those that are refused.

No public host can be reached here. So tests that need one give names and public addresses to a server on this
machine; all that lies between finding a host and reaching it is what the service does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from promptsearch.errors import FetchError, Overloaded, PictureTooLarge
from service.search.image_fetcher import MAX_CONCURRENT, MAX_REDIRECTS, ImageFetcher, connect, is_public, resolve
from tests.support import web
from tests.support.drawing import as_bytes, picture

PICTURE = as_bytes(picture())
PUBLIC = "93.184.215.14"
PRIVATE = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
    "fe80::1%1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "2002:7f00:1::1", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1", "2001::1",
)  # fmt: skip
ANYONES = (PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
OF_LOCALHOST = (  # ways to write it
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/", "http://0.0.0.0:{port}/",
    "http://127.1:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
    "HTTP://LOCALHOST:{port}/", " http://127.0.0.1:{port}/",
)  # fmt: skip
NO_ADDRESS = (
    "", "cat.png", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/cat.png", "data:image/png;base64,AAAA",
    "gopher://127.0.0.1/", "http://", "http:///cat.png", "http://[::1", "http://example.org:99999/", "http://a\0b/",
    "http://user:secret@example.org/", "http://" + "a" * 70 + ".org/", "https://" + "a/" * 9000, "http://\ud800.org/",
)  # fmt: skip

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
    return asyncio.run(work())


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


class Hosts:
    """A server on this machine that stands for hosts of these names and addresses."""

    def __init__(self, names: dict[str, list[str]], serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self.names = names
        self.serve = serve
        self.tls = tls
        self.connected: list[tuple[str, int]] = []
        self.requests: list[str] = []

    async def get(self, url: str, **limits: Any) -> bytes:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                    await self.serve(reader, writer)
                    await writer.drain()
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=self.tls)
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str, _port: int) -> list[str]:
            if host not in self.names:
                raise OSError("no such host")
            return self.names[host]

        async def reached(
            address: str, its_port: int, tls: ssl.SSLContext | None, host: str
        ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            self.connected.append((address, its_port))
            return await connect("127.0.0.1", port, tls, host)

        limits = {"max_bytes": 1_000_000, **limits}
        try:
            return await ImageFetcher(resolve=resolve, connect=reached, **limits).get(url)
        finally:
            server.close()


def replying(*answers: bytes) -> Serve:
    """Return a server that sends one answer per request, and the last one for all that follow."""
    left = list(answers)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return serve


GOOD = answer("200 OK", f"Content-Length: {len(PICTURE)}", body=PICTURE)
CHUNKED = answer("200 OK", "Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_reserved_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ANYONES)
def test_global_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", OF_LOCALHOST)
def test_this_machine_is_refused_however_it_is_written(url: str) -> None:
    with web.serving() as served:
        with pytest.raises(FetchError, match="is not a public host"):
            run(lambda: ImageFetcher(1_000_000).get(url.format(port=served.server_port) + "good/1.png"))
        assert not served.requests


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_urls_that_are_not_absolute_http_are_refused(url: str) -> None:
    with pytest.raises(FetchError, match="must be an absolute http or https URL"):
        run(lambda: ImageFetcher(1_000_000).get(url))


def test_the_system_finds_this_machine() -> None:
    assert "127.0.0.1" in asyncio.run(resolve("127.0.0.1", 80))


@pytest.mark.parametrize("whole", [GOOD, CHUNKED, answer("200 OK", body=PICTURE)])
def test_a_picture_is_fetched_from_the_address_that_was_checked(whole: bytes) -> None:
    hosts = Hosts({"pictures.test": [PUBLIC, "8.8.8.8"]}, replying(whole))
    assert run(lambda: hosts.get("http://pictures.test/a cat/ä.png?size=1 2#part")) == PICTURE
    assert hosts.connected == [(PUBLIC, 80)]
    [head] = hosts.requests
    assert head.startswith("GET /a%20cat/%C3%A4.png?size=1%202 HTTP/1.1\r\nHost: pictures.test\r\n")


def test_a_host_with_one_private_address_is_not_connected() -> None:
    hosts = Hosts({"pictures.test": [PUBLIC, "10.0.0.1"]}, replying(GOOD))
    with pytest.raises(FetchError, match="is not a public host"):
        run(lambda: hosts.get("http://pictures.test/"))
    assert not hosts.connected


def test_host_names_are_resolved_once() -> None:
    """A name server that answers differently the second time changes nothing."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    class Turning(dict[str, list[str]]):
        def __getitem__(self, _: str) -> list[str]:
            return next(answers)

    hosts = Hosts(Turning({"pictures.test": []}), replying(GOOD))
    assert run(lambda: hosts.get("http://pictures.test/")) == PICTURE
    assert hosts.connected == [(PUBLIC, 80)]


def test_redirects_are_followed_to_other_hosts() -> None:
    names = {"pictures.test": [PUBLIC], "elsewhere.test": ["8.8.8.8"]}
    hosts = Hosts(
        names, replying(
            answer("302 Found", "Location: //elsewhere.test:8080/there", "Content-Length: 0"),
            answer("307 Temporary Redirect", "location: /still", "Content-Length: 0"), GOOD,
        ),
    )  # fmt: skip
    assert run(lambda: hosts.get("http://pictures.test/")) == PICTURE
    assert hosts.connected == [(PUBLIC, 80), ("8.8.8.8", 8080), ("8.8.8.8", 8080)]
    assert "GET /still HTTP/1.1\r\nHost: elsewhere.test:8080\r\n" in hosts.requests[-1]


@pytest.mark.parametrize("location", ["http://inner.test/", "http://127.0.0.1:22/", "//[::1]/", "http://nowhere.test/"])
def test_redirects_to_private_addresses_are_refused(location: str) -> None:
    names = {"pictures.test": [PUBLIC], "inner.test": ["192.168.0.1"], "127.0.0.1": ["127.0.0.1"], "::1": ["::1"]}
    hosts = Hosts(names, replying(answer("301 Moved Permanently", f"Location: {location}"), GOOD))
    with pytest.raises(FetchError, match="is not a public host"):
        run(lambda: hosts.get("http://pictures.test/"))
    assert hosts.connected == [(PUBLIC, 80)]


def test_a_redirect_to_a_file_is_refused() -> None:
    hosts = Hosts({"pictures.test": [PUBLIC]}, replying(answer("302 Found", "Location: file:///etc/passwd")))
    with pytest.raises(FetchError, match="must be an absolute http or https URL"):
        run(lambda: hosts.get("http://pictures.test/"))


def test_redirects_are_limited() -> None:
    hosts = Hosts({"pictures.test": [PUBLIC]}, replying(answer("302 Found", "Location: /again")))
    with pytest.raises(FetchError, match=f"redirects more than {MAX_REDIRECTS} times"):
        run(lambda: hosts.get("http://pictures.test/"))
    assert len(hosts.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("whole", [GOOD, CHUNKED])
def test_a_picture_that_is_too_large_is_refused(whole: bytes) -> None:
    hosts = Hosts({"pictures.test": [PUBLIC]}, replying(whole))
    with pytest.raises(PictureTooLarge, match="larger than 1,000 bytes"):
        run(lambda: hosts.get("http://pictures.test/", max_bytes=1_000))
    assert run(lambda: hosts.get("http://pictures.test/", max_bytes=len(PICTURE))) == PICTURE


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nX: ", answer("200 OK")])
def test_time_ends_for_a_host_that_drips(before: bytes) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        while True:
            writer.write(before and b"a")
            await writer.drain()
            await asyncio.sleep(0.01)

    hosts = Hosts({"pictures.test": [PUBLIC]}, drip)
    with pytest.raises(FetchError, match=r"not be downloaded within 0\.3 seconds"):
        run(lambda: hosts.get("http://pictures.test/drip", timeout=0.3))


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (answer("404 Not Found", "Content-Length: 0"), "pictures.test responded with 404"),
        (answer("304 Not Modified", "Location: /"), "pictures.test responded with 304"),
        (answer("200 OK", "Content-Length: 100", body=b"half"), "sent an invalid response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "sent an invalid response"),
        (answer("200 OK", f"X: {'x' * 100_000}"), "sent an invalid response"),
        (b"", "sent an invalid response"),
    ],
)
def test_invalid_responses_are_errors(whole: bytes, message: str) -> None:
    hosts = Hosts({"pictures.test": [PUBLIC]}, replying(whole))
    with pytest.raises(FetchError, match=message):
        run(lambda: hosts.get("http://pictures.test/"))


def test_an_unreachable_host_is_an_error() -> None:
    async def refused(*_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await connect("127.0.0.1", 1, None, "")

    async def resolve(_host: str, _port: int) -> list[str]:
        return [PUBLIC]

    with pytest.raises(FetchError, match=r"pictures\.test cannot be reached"):
        run(lambda: ImageFetcher(1_000, resolve=resolve, connect=refused).get("http://pictures.test/"))


def test_no_more_than_a_few_are_fetched_at_once() -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def work() -> bytes:
        fetching = ImageFetcher(1_000, timeout=60, resolve=never)
        waiting = [asyncio.create_task(fetching.get("http://pictures.test/")) for _ in range(MAX_CONCURRENT)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await fetching.get("http://pictures.test/")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(FetchError):  # there is room again
            await fetching.get("none")
        return b""

    run(work)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a key and the certificate of pictures.test that it signs for itself; return their path."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not there")
        pytest.skip("no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=pictures.test", "-addext", "subjectAltName=DNS:pictures.test"]
    subprocess.run([*command, "-keyout", str(file), "-out", f"{file}.crt"], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_https_wants_the_certificate_of_the_name(certificate: Path) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    believed = ssl.create_default_context(cafile=certificate)
    hosts = Hosts({"pictures.test": [PUBLIC], "other.test": [PUBLIC]}, replying(GOOD), served)
    assert run(lambda: hosts.get("https://pictures.test/", tls=believed)) == PICTURE
    assert hosts.connected == [(PUBLIC, 443)]
    for url, tls in (("https://other.test/", believed), ("https://pictures.test/", None)):
        with pytest.raises(FetchError, match="cannot be reached"):
            run(lambda url=url, tls=tls: hosts.get(url, tls=tls))  # type: ignore[misc]
    assert len(hosts.requests) == 1
