"""One image or prompt, its files, and what is like it."""

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
from ...responses import schemas
from ..dependencies import CatalogueState, NamedCollection, SearchingState, answers
from ..query import URL_SCHEMA, options_of_url
from . import search

router = APIRouter(tags=["items"])

# An id stays the same over rebuilds and its picture need not: after an hour a client asks again, by ETag.
_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
# Nothing in a version changes: what is asked for together with its version need not be asked for again.
_OF_VERSION = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
# What a browser may be told; any other file is given as a download of unknown type.
_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
                ".gif": "image/gif", ".bmp": "image/bmp", ".avif": "image/avif", ".tif": "image/tiff",
                ".tiff": "image/tiff"}  # fmt: skip
# What Starlette answers, as plain text, to a range that is malformed or lies outside the file.
_WRONG_RANGE = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


@router.get("/images/{id}", summary="One image")
async def image(
    id: str, served: NamedCollection, catalogue: CatalogueState, searching: SearchingState, request: Request
) -> schemas.ImageItem:
    return await searching.item(request, lambda: answers(catalogue, served).image(served.collection.items.image(id)))


@router.get(
    "/images/{id}/similar",
    summary="Images like this one",
    response_model=schemas.ImageResults,
    openapi_extra=URL_SCHEMA,
)
async def similar_images(id: str, searching: SearchingState, request: Request) -> Response:
    """Options, further terms included, are those of a search."""
    return Response(
        await searching.similar(request, "images", id, options_of_url(request)), media_type=search.MEDIA_TYPE
    )


@router.get("/images/{id}/thumbnail", summary="A small WebP of the picture", response_class=Response)
async def thumbnail(
    id: str,
    served: NamedCollection,
    searching: SearchingState,
    request: Request,
    version: Annotated[
        str | None, Query(description="the collection's, as answers name it: it then may be kept for good")
    ] = None,
) -> Response:
    def work() -> Response:
        row = served.collection.items.image(id).row
        found = served.collection.thumbnails.get(row) if served.collection.thumbnails else None
        if found is None:
            raise NoFile(f"image {id} has no thumbnail: its picture was not there when the collection was built")
        # Another version's picture may have been another one: not to be kept as that.
        lasting = _OF_VERSION if version == served.collection.version else _HEADERS
        headers = {"ETag": f'"{served.collection.version}-{row}"', **lasting}
        return _unless_known(request, Response(found, media_type="image/webp", headers=headers))

    return await searching.item(request, work)


@router.get(
    "/images/{id}/file",
    summary="The original picture, or ranges of its bytes",
    response_class=Response,
    responses={
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: problems.response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    },
)
async def file(id: str, served: NamedCollection, searching: SearchingState, request: Request) -> Response:
    def work() -> Response:
        path = _file_of(served, id)
        kind = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
        return _unless_known(request, _Original(path, media_type=kind, headers=_HEADERS, stat_result=path.stat()))

    return await searching.item(request, work)


@router.get("/prompts/{id}", summary="One prompt and its images")
async def prompt(
    id: str, served: NamedCollection, catalogue: CatalogueState, searching: SearchingState, request: Request
) -> schemas.PromptItem:
    return await searching.item(request, lambda: answers(catalogue, served).prompt(served.collection.items.prompt(id)))


@router.get(
    "/prompts/{id}/similar",
    summary="Prompts like this one",
    response_model=schemas.PromptResults,
    openapi_extra=URL_SCHEMA,
)
async def similar_prompts(id: str, searching: SearchingState, request: Request) -> Response:
    """Options, further terms included, are those of a search."""
    return Response(
        await searching.similar(request, "prompts", id, options_of_url(request)), media_type=search.MEDIA_TYPE
    )


@router.get(
    "/prompts/{id}/images",
    summary="The images of this prompt",
    response_model=schemas.ImageResults,
    openapi_extra=URL_SCHEMA,
)
async def images_of_prompt(id: str, searching: SearchingState, request: Request) -> Response:
    """All that have a vector, by row; with terms, the best first. Options are those of a search."""
    return Response(await searching.of_prompt(request, id, options_of_url(request)), media_type=search.MEDIA_TYPE)


class _Original(FileResponse):
    """A file, or ranges of its bytes; a range that it does not have is answered with a problem document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wrong = False

        async def sending(message: Message) -> None:
            nonlocal wrong
            wrong = wrong or message.get("status") in _WRONG_RANGE
            if not wrong:
                await send(message)

        # Of units that are not known here, a range does not count (RFC 9110, 14.2).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_of_bytes(value)]
        await super().__call__({**scope, "headers": headers}, receive, sending)
        if wrong:
            size = Path(self.path).stat().st_size
            detail = f"the file has {size} bytes: ask for a range of those, such as bytes=0-{min(size, 1000) - 1}"
            length = {"Content-Range": f"bytes */{size}"}
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            await problems.problem(status, "range-not-satisfiable", detail, length)(scope, receive, send)


def _is_of_bytes(range: bytes) -> bool:
    return range.partition(b"=")[0].strip().lower() == b"bytes"


def _unless_known(request: Request, response: Response) -> Response:
    """`response`, or 304 where the client has it already: If-None-Match names its ETag (RFC 9110, 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known.isdisjoint((response.headers["etag"], "*")):
        return response
    headers = {name: response.headers[name] for name in ("etag", "cache-control")}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def _file_of(served: Served, id: str) -> Path:
    """The path of an image's original, which must lie below the collection's folder; raises NoFile."""
    image = served.collection.items.image(id)
    if image.file is None:
        raise NoFile(f"image {id} has no file: it came from {image.source}")
    if served.files is None:
        root = served.collection.manifest.source["root"]
        raise NoFile(f"originals of this collection are not served; --files {root}=DIR would allow it")
    try:
        path = (served.files / image.file).resolve()
        if path.is_relative_to(served.files) and path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise NoFile(f"the file of image {id} is no longer there")
