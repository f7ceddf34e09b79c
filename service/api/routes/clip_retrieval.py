"""clip-retrieval's routes, so that its client and its page work with this service unchanged.

Bodies are JSON regardless of their content type: its client sends none, its page text/plain.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from promptsearch.errors import EmptyQuery, NotReady, ParameterError
from promptsearch.search.terms import Term

from ...catalogue.catalogue import Catalogue, Served
from ...responses.clip_retrieval import (
    DEEP,
    Config,
    KnnQuery,
    KnnResponseBuilder,
    MetadataOfId,
    MetadataQuery,
    Neighbour,
)
from ...search.cancel_on_disconnect import cancel_on_disconnect
from ...search.image_fetcher import ImageFetcher
from ..dependencies import CatalogueState, SearchServiceState
from ..json_models import read_model
from ..query import decode_picture
from .search import MEDIA_TYPE, require_room

router = APIRouter(tags=["clip-retrieval"])


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that the route reads itself, because of its content type."""
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": model.model_json_schema()}}}}


async def _knn_query(request: Request) -> tuple[KnnQuery, Term | None]:
    return await read_model(request, KnnQuery, lambda query: (query, _term(query)))


async def _metadata_query(request: Request) -> MetadataQuery:
    return await read_model(request, MetadataQuery, lambda query: query)


async def _image_fetcher(request: Request) -> ImageFetcher | None:
    fetcher: ImageFetcher | None = request.app.state.image_fetcher
    return fetcher


@router.get("/indices-list", summary="The names of the collections, the default first")
async def indices_list(catalogue: CatalogueState) -> list[str]:
    """Return the names that `indice_name` takes."""
    return _names(catalogue)


@router.get("/config.json", summary="The settings of clip-retrieval's page")
async def config(request: Request, catalogue: CatalogueState) -> Config:
    """Return what clip-retrieval's page reads at its start."""
    return Config(defaultBackend=_base_url(request), defaultIndex=_names(catalogue)[0], urlColumn="url")


@router.post(
    "/knn-service",
    summary="Images or prompts by a text, a picture or a vector",
    response_model=list[Neighbour],
    dependencies=[Depends(require_room)],
    openapi_extra=_body_schema(KnnQuery),
)
async def knn_service(
    parsed: Annotated[tuple[KnnQuery, Term | None], Depends(_knn_query)],
    catalogue: CatalogueState,
    service: SearchServiceState,
    fetcher: Annotated[ImageFetcher | None, Depends(_image_fetcher)],
    request: Request,
) -> Response:
    """Return the nearest images or prompts as clip-retrieval does."""
    query, term = parsed
    served = _served(catalogue, query.indice_name)
    if term is None:
        term = Term(picture=await _fetch(query, fetcher, request))
    base_url = _base_url(request)
    builder = KnnResponseBuilder(served, base_url, named=len(catalogue.served) > 1)
    depends_on = (base_url, query.num_images, query.result_count, query.deduplicate)
    plan = service.planner.nearest(
        served,
        query.kind,
        term,
        lambda cursor, _notes, stage: builder.neighbours(query, cursor, stage),
        depends_on,
        deep=query.result_count > DEEP,
    )
    response = await service.run(request, plan)
    return Response(response.before, media_type=MEDIA_TYPE)


@router.post(
    "/metadata",
    summary="The metadata of these ids",
    response_model=list[MetadataOfId],
    openapi_extra=_body_schema(MetadataQuery),
)
async def metadata(
    query: Annotated[MetadataQuery, Depends(_metadata_query)],
    catalogue: CatalogueState,
    service: SearchServiceState,
    request: Request,
) -> Response:
    """Return the metadata of integer ids, as clip-retrieval does."""
    served = _served(catalogue, query.indice_name)
    builder = KnnResponseBuilder(served, _base_url(request), named=len(catalogue.served) > 1)
    return Response(await service.read(request, served, lambda: builder.metadata(query.ids)), media_type=MEDIA_TYPE)


def _names(catalogue: Catalogue) -> list[str]:
    """Return the collections' names, the default first: clip-retrieval's page uses the first by default."""
    if not catalogue.served:
        raise NotReady("no collection is served")
    return sorted(catalogue.served, key=lambda name: (name != catalogue.default, name))


def _served(catalogue: Catalogue, name: str | None) -> Served:
    """Return a collection, by default the first; raises UnknownCollection."""
    return catalogue[name if name is not None else _names(catalogue)[0]]


def _base_url(request: Request) -> str:
    """Return the URL under which the client knows this service, unparsed: a client's Host header may be invalid."""
    host = request.headers.get("host") or ":".join(map(str, request.scope["server"]))
    return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"


def _term(query: KnnQuery) -> Term | None:
    """Return what to search for, None for a picture that has to be fetched; raises the errors of queries."""
    if query.text is not None and query.text.strip():
        return Term(text=query.text)
    if query.image is not None:
        return Term(picture=decode_picture(query.image))
    if query.image_url is not None:
        return None
    if query.embedding_input:
        return Term(vector=tuple(query.embedding_input))
    raise EmptyQuery("the query is empty: send `text`, `image` (base64), `image_url` or `embedding_input`")


async def _fetch(query: KnnQuery, fetcher: ImageFetcher | None, request: Request) -> bytes:
    """Return the picture at the query's URL; raises ParameterError and the errors of ImageFetcher."""
    assert query.image_url is not None
    if fetcher is None:
        raise ParameterError(
            "this service does not fetch pictures from URLs: send the picture itself as `image`, in base64 "
            "(its operator can allow it with --image-urls)"
        )
    return await cancel_on_disconnect(request, fetcher.get(query.image_url))
