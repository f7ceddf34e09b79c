"""Vectors alone, of texts and pictures."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from promptsearch.errors import EmptyQuery
from promptsearch.search.terms import Term

from ...responses import schemas
from ..dependencies import SearchingState
from ..query import decode
from .search import MEDIA_TYPE, require_room

router = APIRouter(tags=["search"])


@router.post(
    "/embed",
    summary="The vectors of texts and pictures",
    response_model=schemas.Embeddings,
    dependencies=[Depends(require_room)],
)
async def embed(asked: schemas.EmbedQuery, searching: SearchingState, request: Request) -> Response:
    if not asked.texts and not asked.images:
        raise EmptyQuery("nothing is to be embedded: send `texts`, `images` (base64), or both")
    terms = [*(Term(text=text) for text in asked.texts), *(Term(picture=decode(image)) for image in asked.images)]
    found = await searching.embed(request, asked.collection, terms)
    vectors = [None if vector is None else vector.tolist() for vector in found.vectors]
    answer = {
        "model": found.bundle.name,
        "identity": found.bundle.identity,
        "texts": vectors[: len(asked.texts)],
        "images": vectors[len(asked.texts) :],
        "notes": found.notes,
    }
    return Response(to_json(answer), media_type=MEDIA_TYPE)
