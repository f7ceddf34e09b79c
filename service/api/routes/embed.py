"""Vectors of texts and pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from promptsearch.errors import EmptyQuery
from promptsearch.search.terms import Term

from ...responses import schemas
from ..dependencies import SearchServiceState
from ..json_models import read_model, reference, require_json
from ..json_query import EmbedQuery
from ..query import decode_picture
from .search import MEDIA_TYPE, require_room

router = APIRouter(tags=["search"])


async def _embed_query(request: Request) -> tuple[EmbedQuery, list[Term]]:
    require_json(request)
    return await read_model(request, EmbedQuery, lambda query: (query, _terms(query)))


@router.post(
    "/embed",
    summary="The vectors of texts and pictures",
    response_model=schemas.Embeddings,
    dependencies=[Depends(require_room)],
    openapi_extra=reference(EmbedQuery),
)
async def embed(
    parsed: Annotated[tuple[EmbedQuery, list[Term]], Depends(_embed_query)],
    service: SearchServiceState,
    request: Request,
) -> Response:
    """Return the unit vectors of texts and pictures by a collection's model."""
    query, terms = parsed
    embedded = await service.embed(request, query.collection, terms)
    vectors = [None if vector is None else vector.tolist() for vector in embedded.vectors]
    body = {
        "model": embedded.bundle.name,
        "identity": embedded.bundle.identity,
        "texts": vectors[: len(query.texts)],
        "images": vectors[len(query.texts) :],
        "notes": embedded.notes,
    }
    return Response(to_json(body), media_type=MEDIA_TYPE)


def _terms(query: EmbedQuery) -> list[Term]:
    """Return what to encode, texts first; raises the errors of queries."""
    if not query.texts and not query.images:
        raise EmptyQuery("there is nothing to embed: send `texts`, `images` (base64), or both")
    pictures = [decode_picture(image) for image in query.images]
    return [*(Term(text=text) for text in query.texts), *(Term(picture=picture) for picture in pictures)]
