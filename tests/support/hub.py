"""A server on this machine that answers at the addresses of the Hugging Face hub, as the hub does.

Large files are answered with a redirect to another host, a store, with X-Linked-ETag; small ones with a redirect within
the hub. Both take ranges. `cut` ends a connection early, as networks do.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".safetensors", ".bin", ".pt")


@dataclass
class Hub:
    """What it has, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)  # "ORG/REPO/FILE" -> content
    address: str = ""
    store: str = ""  # the address of the store
    cut: list[int] = field(default_factory=list)  # bytes after which each next large answer ends early
    token: str | None = None  # that is asked for, of the hub alone
    sums: dict[str, str] = field(
        default_factory=dict
    )  # "ORG/REPO/FILE" -> a SHA-256 that is said instead of the true one
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, range
    tokens_at_store: list[str] = field(default_factory=list)  # which must stay empty

    def gets(self) -> list[tuple[str, str | None]]:
        """Return path and range of each body of a large file that was asked for."""
        return [(path, range_) for method, path, range_ in self.asked if method == "GET" and path.startswith("/store/")]


@contextmanager
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """Serve files, by `ORG/REPO/FILE`, in every revision but `gone`."""
    served = Hub(dict(files))
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(served)) for _ in range(2)]
    # Two names of this machine, so that the store is another host to a client.
    served.address = f"http://127.0.0.1:{servers[0].server_address[1]}"
    served.store = f"http://localhost:{servers[1].server_address[1]}"
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield served
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(served: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            range_ = self.headers["Range"]
            served.asked.append((self.command, self.path, range_))
            if self.path.startswith("/store/"):
                if self.headers["Authorization"]:
                    served.tokens_at_store.append(self.headers["Authorization"])
                return self._body(served.files[self.path.removeprefix("/store/")], range_, can_be_cut=True)
            if served.token and self.headers["Authorization"] != f"Bearer {served.token}":
                return self._send(401, {"X-Error-Code": "GatedRepo"})
            if self.path.startswith("/cache/"):
                return self._body(served.files[self.path.removeprefix("/cache/")], range_)
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
            if found is None or not any(name.startswith(f"{found[1]}/") for name in served.files):
                return self._send(404, {"X-Error-Code": "RepoNotFound"})
            if found[2] == "gone":
                return self._send(404, {"X-Error-Code": "RevisionNotFound"})
            name = f"{found[1]}/{found[3]}"
            if name not in served.files:
                return self._send(404, {"X-Error-Code": "EntryNotFound"})
            if not name.endswith(LARGE):
                return self._send(307, {"Location": f"/cache/{name}"})
            said = served.sums.get(name, hashlib.sha256(served.files[name]).hexdigest())
            linked = {"X-Linked-ETag": f'"{said}"'} if said else {}
            return self._send(302, {"Location": f"{served.store}/store/{name}", **linked})

        def _send(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for header, value in {"Content-Length": "0", **headers}.items():
                self.send_header(header, value)
            self.end_headers()

        def _body(self, content: bytes, range_: str | None, *, can_be_cut: bool = False) -> None:
            start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ else 0
            if start >= len(content) > 0:
                return self._send(416, {"Content-Range": f"bytes */{len(content)}"})
            part = content[start:]
            partial = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if range_ else {}
            self._send(206 if range_ else 200, {"Content-Length": str(len(part)), **partial})
            if self.command == "HEAD":
                return None
            if can_be_cut and served.cut:
                part = part[: served.cut.pop(0)]
                self.close_connection = True
            self.wfile.write(part)
            return None

    return Handler
