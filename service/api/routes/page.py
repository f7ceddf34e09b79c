"""Serve the web page at `/` and the API's description at `/docs`: static files that load nothing from elsewhere."""

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

FOLDER = Path(__file__).parents[2] / "page"
SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"

HEADERS = {
    # blob: is for the preview of a dropped image, data: for Swagger UI's icons.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",  # cached, but revalidated (304), because a changed file keeps its name
    "Vary": "Accept-Encoding",
}
# By path. Nothing else in the folders is served.
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
    """A file, ready to send."""

    plain: bytes
    zipped: bytes
    media_type: str
    tag: str

    def response(self, request: Request) -> Response:
        headers = {"ETag": self.tag, **HEADERS}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, media_type=self.media_type, headers={"Content-Encoding": "gzip", **headers})
        return Response(self.plain, media_type=self.media_type, headers=headers)


@lru_cache(maxsize=2 * len(FILES))
def _read(path: Path, _changed: int) -> _Asset:
    plain = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # Weak, because it identifies both the compressed and the uncompressed body.
    tag = f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"'
    return _Asset(plain, gzip.compress(plain, mtime=0), media_type, tag)


def _offer(address: str, path: Path) -> None:
    @router.get(address)
    async def file(request: Request) -> Response:
        return _read(path, path.stat().st_mtime_ns).response(request)


for _address, _path in FILES.items():
    _offer(_address, _path)
