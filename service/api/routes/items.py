"""One image or prompt, its files, and the items that are like it."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from promptsearch.errors import NoFile

from ...catalogue.catalogue import Served
from ...http import problems
from ...http.etags import is_current
from ...responses import schemas
from ..dependencies import CatalogueState, NamedCollection, SearchServiceState, response_builder
from ..query import URL_SCHEMA, parse_url_options
from .search import MEDIA_TYPE

router = APIRouter(tags=["items"])

# An id stays the same over rebuilds but its picture need not: after an hour a client revalidates by ETag.
_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
# Nothing in a version changes: a URL that names the version is valid for good.
_IMMUTABLE = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
# What a browser may display; any other file is sent as a download of unknown type.
_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
                ".gif": "image/gif", ".bmp": "image/bmp", ".avif": "image/avif", ".tif": "image/tiff",
                ".tiff": "image/tiff"}  # fmt: skip
# Starlette's plain-text responses to a range that is malformed or outside the file.
_RANGE_ERRORS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


@router.get("/images/{id}", summary="One image")
async def image(
    id: str, served: NamedCollection, catalogue: CatalogueState, service: SearchServiceState, request: Request
) -> schemas.ImageItem:
    """Return one image, with everything that is known of it."""
    items = served.collection.items
    return await service.read(request, served, lambda: response_builder(catalogue, served).image(items.image(id)))


@router.get(
    "/images/{id}/similar",
    summary="Images like this one",
    response_model=schemas.ImageResults,
    openapi_extra=URL_SCHEMA,
)
async def similar_images(id: str, service: SearchServiceState, request: Request) -> Response:
    """Return the images nearest to this one. Options and further terms are those of a search."""
    body = await service.similar(request, "images", id, parse_url_options(request))
    return Response(body, media_type=MEDIA_TYPE)


@router.get("/images/{id}/thumbnail", summary="A small WebP of the picture", response_class=Response)
async def thumbnail(
    id: str,
    served: NamedCollection,
    service: SearchServiceState,
    request: Request,
    version: Annotated[
        str | None, Query(description="The collection's version, as in a response: then clients cache it for good.")
    ] = None,
) -> Response:
    """Return a picture of at most 256 pixels a side."""

    def read() -> Response:
        row = served.collection.items.image(id).row
        webp = served.collection.thumbnails.get(row) if served.collection.thumbnails else None
        if webp is None:
            raise NoFile(f"image {id} has no thumbnail: its picture was missing when the collection was built")
        # A URL that names another version may have meant another picture.
        caching = _IMMUTABLE if version == served.collection.version else _HEADERS
        headers = {"ETag": f'"{served.collection.version}-{row}"', **caching}
        return _unless_current(request, Response(webp, media_type="image/webp", headers=headers))

    return await service.read(request, served, read)


@router.get(
    "/images/{id}/file",
    summary="The original picture, or ranges of its bytes",
    response_class=Response,
    responses={
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: problems.response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    },
)
async def file(id: str, served: NamedCollection, service: SearchServiceState, request: Request) -> Response:
    """Return the original file, if the service has its folder (--files)."""

    def read() -> Response:
        path = _original(served, id)
        media_type = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
        response = _FileResponse(path, media_type=media_type, headers=_HEADERS, stat_result=path.stat())
        return _unless_current(request, response)

    return await service.read(request, served, read)


@router.get("/prompts/{id}", summary="One prompt and its images")
async def prompt(
    id: str, served: NamedCollection, catalogue: CatalogueState, service: SearchServiceState, request: Request
) -> schemas.PromptItem:
    """Return one prompt and up to 50 of its images."""
    items = served.collection.items
    return await service.read(request, served, lambda: response_builder(catalogue, served).prompt(items.prompt(id)))


@router.get(
    "/prompts/{id}/similar",
    summary="Prompts like this one",
    response_model=schemas.PromptResults,
    openapi_extra=URL_SCHEMA,
)
async def similar_prompts(id: str, service: SearchServiceState, request: Request) -> Response:
    """Return the prompts nearest to this one. Options and further terms are those of a search."""
    body = await service.similar(request, "prompts", id, parse_url_options(request))
    return Response(body, media_type=MEDIA_TYPE)


@router.get(
    "/prompts/{id}/images",
    summary="The images of this prompt",
    response_model=schemas.ImageResults,
    openapi_extra=URL_SCHEMA,
)
async def images_of_prompt(id: str, service: SearchServiceState, request: Request) -> Response:
    """Return a prompt's images that have a vector, by row; with terms, best first. Options are those of a search."""
    body = await service.images_of_prompt(request, id, parse_url_options(request))
    return Response(body, media_type=MEDIA_TYPE)


class _FileResponse(FileResponse):
    """A file, or ranges of its bytes; a range outside the file is answered with a problem document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_error = False

        async def send_unless_error(message: Message) -> None:
            nonlocal is_error
            is_error = is_error or message.get("status") in _RANGE_ERRORS
            if not is_error:
                await send(message)

        # A range in an unknown unit is ignored (RFC 9110, 14.2).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_in_bytes(value)]
        await super().__call__({**scope, "headers": headers}, receive, send_unless_error)
        if is_error:
            size = Path(self.path).stat().st_size
            detail = f"the file has {size} bytes: request a range of those, such as bytes=0-{min(size, 1000) - 1}"
            length = {"Content-Range": f"bytes */{size}"}
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            await problems.problem(status, "range-not-satisfiable", detail, length)(scope, receive, send)


def _is_in_bytes(range: bytes) -> bool:
    return range.partition(b"=")[0].strip().lower() == b"bytes"


def _unless_current(request: Request, response: Response) -> Response:
    """Return `response`, or 304 if the client has it already."""
    if not is_current(request, response.headers["etag"]):
        return response
    headers = {name: response.headers[name] for name in ("etag", "cache-control")}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def _original(served: Served, id: str) -> Path:
    """Return the path of an image's original, which must be inside the collection's folder.

    Raises NoFile, also if the file now holds a picture that is hidden.
    """
    image = served.collection.items.image(id)
    if image.file is None:
        raise NoFile(f"image {id} has no file: it came from {image.source}")
    if served.files is None:
        root = served.collection.manifest.source["root"]
        raise NoFile(f"originals of this collection are not served; start the service with --files {root}=DIR")
    try:
        path = (served.files / image.file).resolve()
        if path.is_relative_to(served.files) and path.is_file():
            if served.collection.shows_hidden_picture(path):
                raise NoFile(
                    f"the file of image {id} no longer holds the picture that the collection was built from: build the "
                    "collection again"
                )
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise NoFile(f"the file of image {id} no longer exists")
