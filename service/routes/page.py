"""The web page at `/` and the API's description at `/docs`: plain files of ours, which load from nowhere else."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).parent.parent / "page"
SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"

HEADERS = {
    # blob: is the preview of a picture that someone dropped, data: is Swagger UI's icons.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",  # kept, but asked for again (304): the files' names stay the same when they change
}
# Each by its address: what else lies in the folders is no one's business.
FILES = {
    "/": FOLDER / "index.html",
    "/app.js": FOLDER / "app.js",
    "/style.css": FOLDER / "style.css",
    "/icon.svg": FOLDER / "icon.svg",
    "/docs": FOLDER / "docs.html",
    "/docs/docs.js": FOLDER / "docs.js",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
}

router = APIRouter(include_in_schema=False)


def _offer(address: str, path: Path) -> None:
    files = StaticFiles(directory=path.parent)

    @router.get(address)
    async def file(request: Request) -> Response:
        response = await files.get_response(path.name, request.scope)
        response.headers.update(HEADERS)
        return response


for _address, _path in FILES.items():
    _offer(_address, _path)
