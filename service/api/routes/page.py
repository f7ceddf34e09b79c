"""The web page at `/` and the API's description at `/docs`: plain files that load nothing from other origins."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request, Response

from ...http.etags import is_current

FOLDER = Path(__file__).parents[2] / "page"
SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"

HEADERS = {
    # blob: is for previews of dropped pictures, data: for Swagger UI's icons.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",  # cached, but revalidated (304): a changed file keeps its name
    "Vary": "Accept-Encoding",
}
# By path: nothing else in these folders is served.
FILES = {
    "/": FOLDER / "index.html",
    "/style.css": FOLDER / "style.css",
    "/icon.svg": FOLDER / "icon.svg",
    **{f"/{path.relative_to(FOLDER).as_posix()}": path for path in sorted(FOLDER.glob("css/*.css"))},
    **{f"/{path.relative_to(FOLDER).as_posix()}": path for path in sorted(FOLDER.glob("js/**/*.js"))},
    "/docs": FOLDER / "docs.html",
    "/docs/docs.js": FOLDER / "docs.js",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _Asset:
    """A file, ready to be sent with or without compression."""

    plain: bytes
    zipped: bytes
    media_type: str
    etag: str

    def response(self, request: Request) -> Response:
        headers = {"ETag": self.etag, **HEADERS}
        if is_current(request, self.etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, media_type=self.media_type, headers={"Content-Encoding": "gzip", **headers})
        return Response(self.plain, media_type=self.media_type, headers=headers)


@lru_cache(maxsize=2 * len(FILES))
def _read(path: Path, _mtime_ns: int) -> _Asset:
    plain = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # Weak: it is the same with and without compression.
    etag = f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"'
    return _Asset(plain, gzip.compress(plain, mtime=0), media_type, etag)


def _add_route(url: str, path: Path) -> None:
    @router.get(url)
    async def file(request: Request) -> Response:
        return _read(path, path.stat().st_mtime_ns).response(request)


for _url, _path in FILES.items():
    _add_route(_url, _path)
