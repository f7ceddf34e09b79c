"""One image or prompt, its files, and what is like it."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from promptsearch.errors import NoFile
from service import schemas
from service.catalogue import Served
from service.dependencies import CatalogueState, NamedCollection, WorkersState, answers
from service.query import CursorParameter, LimitParameter
from service.searching import similar

router = APIRouter(tags=["items"])

_FOR_EVER = "public, max-age=31536000, immutable"  # an id's picture never changes while its version is served
# What a browser may be told; any other file is given as a download of unknown type.
_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
                ".gif": "image/gif", ".bmp": "image/bmp", ".avif": "image/avif", ".tif": "image/tiff",
                ".tiff": "image/tiff"}  # fmt: skip


@router.get("/images/{id}", summary="One image")
async def image(
    id: str, served: NamedCollection, catalogue: CatalogueState, workers: WorkersState
) -> schemas.ImageItem:
    return await workers.run(lambda: answers(catalogue, served).image(served.collection.items.image(id)))


@router.get("/images/{id}/similar", summary="Images like this one")
async def similar_images(
    id: str, served: NamedCollection, catalogue: CatalogueState, workers: WorkersState,
    limit: LimitParameter = schemas.DEFAULT_LIMIT, cursor: CursorParameter = None,
) -> schemas.ImageResults:  # fmt: skip
    return await workers.run(lambda: answers(catalogue, served).images(*similar(served, "images", id, cursor, limit)))


@router.get("/images/{id}/thumbnail", summary="A small WebP of the picture", response_class=Response)
async def thumbnail(id: str, served: NamedCollection, workers: WorkersState) -> Response:
    def work() -> bytes:
        row = served.collection.items.image(id).row
        found = served.collection.thumbnails.get(row) if served.collection.thumbnails else None
        if found is None:
            raise NoFile(f"image {id} has no thumbnail: its picture was not there when the collection was built")
        return found

    return Response(await workers.run(work), media_type="image/webp", headers={"Cache-Control": _FOR_EVER})


@router.get("/images/{id}/file", summary="The original picture", response_class=FileResponse)
async def file(id: str, served: NamedCollection, workers: WorkersState) -> FileResponse:
    path = await workers.run(lambda: _file_of(served, id))
    kind = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=kind, headers={"Cache-Control": _FOR_EVER})


@router.get("/prompts/{id}", summary="One prompt and its images")
async def prompt(
    id: str, served: NamedCollection, catalogue: CatalogueState, workers: WorkersState
) -> schemas.PromptItem:
    return await workers.run(lambda: answers(catalogue, served).prompt(served.collection.items.prompt(id)))


@router.get("/prompts/{id}/similar", summary="Prompts like this one")
async def similar_prompts(
    id: str, served: NamedCollection, catalogue: CatalogueState, workers: WorkersState,
    limit: LimitParameter = schemas.DEFAULT_LIMIT, cursor: CursorParameter = None,
) -> schemas.PromptResults:  # fmt: skip
    return await workers.run(lambda: answers(catalogue, served).prompts(*similar(served, "prompts", id, cursor, limit)))


def _file_of(served: Served, id: str) -> Path:
    """The path of an image's original, which must lie below the collection's folder; raises NoFile."""
    image = served.collection.items.image(id)
    if image.file is None:
        raise NoFile(f"image {id} has no file: it came from {image.source}")
    if served.files is None:
        root = served.collection.manifest.source["root"]
        raise NoFile(f"originals of this collection are not served; --files {root}=DIR would allow it")
    path = (served.files / image.file).resolve()
    if not path.is_relative_to(served.files) or not path.is_file():
        raise NoFile(f"the file of image {id} is no longer there")
    return path
