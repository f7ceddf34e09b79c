"""A web server on this machine with every kind of error of an image link."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.drawing import as_bytes, picture


class Web(ThreadingHTTPServer):
    """Serves `/good/N.png`, `/good/N.jpg`; `/redirect/N`, to the first; `/page.png`, HTML; `/stalled`, which does not
    answer; `/half`, which stops within its picture; `/held/N.png`, which waits for `release`. All else is 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.release = threading.Event()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        """Return the server's URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        kind, _, name = self.path[1:].partition("/")
        match kind:
            case "good":
                self._send("image/any", image(name))
            case "held":
                while not (self.server.release.wait(0.1) or self.server.closing.is_set()):
                    pass
                self._send("image/any", image(name))
            case "redirect":
                self.send_response(302)
                self.send_header("Location", f"/good/{name}.png")
                self.end_headers()
            case "page.png":
                self._send("text/html", b"<!doctype html><title>Sign in</title>")
            case "stalled":
                self.server.closing.wait()
            case "half":
                content = image("1.png")
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:100])
                self.wfile.flush()
                self.server.closing.wait()
            case _:
                self.send_error(404)

    def _send(self, kind: str, content: bytes) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # the client has disconnected
            pass

    def log_message(self, *_: object) -> None:
        pass


def image(name: str) -> bytes:
    """Return the content of `/good/NAME`: a picture of 60 x 40 pixels that depends on the number."""
    number, _, suffix = name.partition(".")
    return as_bytes(picture(int(number), 60, 40), "JPEG" if suffix == "jpg" else "PNG")


@contextmanager
def serving() -> Iterator[Web]:
    """Run the server for this block."""
    web = Web()
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        web.shutdown()
        thread.join()
        web.server_close()
