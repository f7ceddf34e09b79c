"""clip-retrieval's addresses, so that its client and its page work with this service as they are.

Bodies are JSON whatever their content type says: its client sends none, its page text/plain.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ValidationError

from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.search.terms import Term

from ...catalogue.catalogue import Catalogue, Served
from ...http.problems import describe
from ...responses.clip_retrieval import FILLED, Config, KnnQuery, MetadataOfId, MetadataQuery, Neighbour, Records
from ...search.cancel_on_disconnect import while_connected
from ...search.image_fetcher import Fetching
from ..dependencies import CatalogueState, SearchingState
from ..query import decode, read_json
from .search import MEDIA_TYPE, require_room

router = APIRouter(tags=["clip-retrieval"])

Body = TypeVar("Body", bound=BaseModel)


def _described(model: type[BaseModel]) -> dict[str, Any]:
    """What a route takes, for the OpenAPI document: it reads the body itself, because of its content type."""
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": model.model_json_schema()}}}}


async def _read(request: Request, model: type[Body]) -> Body:
    try:
        return model.model_validate(read_json(await request.body()))
    except ValidationError as error:
        raise ParameterError(describe(error.errors())) from None


async def _knn_query(request: Request) -> KnnQuery:
    return await _read(request, KnnQuery)


async def _metadata_query(request: Request) -> MetadataQuery:
    return await _read(request, MetadataQuery)


async def _fetching(request: Request) -> Fetching | None:
    fetching: Fetching | None = request.app.state.fetching
    return fetching


@router.get("/indices-list", summary="The names of the collections, the default first")
async def indices_list(catalogue: CatalogueState) -> list[str]:
    return _names(catalogue)


@router.get("/config.json", summary="What clip-retrieval's page is to ask")
async def config(request: Request, catalogue: CatalogueState) -> Config:
    return Config(defaultBackend=_base(request), defaultIndex=_names(catalogue)[0], urlColumn="url")


@router.post(
    "/knn-service",
    summary="Images or prompts by a text, a picture or a vector",
    response_model=list[Neighbour],
    dependencies=[Depends(require_room)],
    openapi_extra=_described(KnnQuery),
)
async def knn_service(
    asked: Annotated[KnnQuery, Depends(_knn_query)],
    catalogue: CatalogueState,
    searching: SearchingState,
    fetching: Annotated[Fetching | None, Depends(_fetching)],
    request: Request,
) -> Response:
    served = _served(catalogue, asked.indice_name)
    term = await _term(asked, fetching, request)
    base = _base(request)
    records = Records(served, base, named=len(catalogue.served) > 1)
    how = (base, asked.num_images, asked.wanted, asked.deduplicate)
    found = await searching.nearest(
        request,
        served,
        asked.kind,
        term,
        lambda cursor, timing: records.neighbours(asked, cursor, timing),
        how,
        deep=asked.wanted > FILLED,
    )
    return Response(found, media_type=MEDIA_TYPE)


@router.post(
    "/metadata",
    summary="What is known of these ids",
    response_model=list[MetadataOfId],
    openapi_extra=_described(MetadataQuery),
)
async def metadata(
    asked: Annotated[MetadataQuery, Depends(_metadata_query)],
    catalogue: CatalogueState,
    searching: SearchingState,
    request: Request,
) -> Response:
    served = _served(catalogue, asked.indice_name)
    records = Records(served, _base(request), named=len(catalogue.served) > 1)
    return Response(await searching.item(request, lambda: records.metadata(asked.ids)), media_type=MEDIA_TYPE)


def _names(catalogue: Catalogue) -> list[str]:
    """Its page takes the first where it has been told none."""
    return sorted(catalogue.served, key=lambda name: (name != catalogue.default, name))


def _served(catalogue: Catalogue, name: str | None) -> Served:
    """Raises UnknownCollection."""
    return catalogue[name if name is not None else _names(catalogue)[0]]


def _base(request: Request) -> str:
    """The address under which the client knows this service. It is not parsed: what a client says need not be one."""
    host = request.headers.get("host") or ":".join(map(str, request.scope["server"]))
    return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"


async def _term(asked: KnnQuery, fetching: Fetching | None, request: Request) -> Term:
    """Raises the errors of queries, and those of Fetching."""
    if asked.text is not None and asked.text.strip():
        return Term(text=asked.text)
    if asked.image is not None:
        return Term(picture=decode(asked.image))
    if asked.image_url is not None:
        if fetching is None:
            raise ParameterError(
                "this service fetches no pictures from addresses: send the picture itself as `image`, in base64 "
                "(its operator can allow it with --image-urls)"
            )
        return Term(picture=await while_connected(request, fetching.get(asked.image_url)))
    if asked.embedding_input:
        return Term(vector=tuple(asked.embedding_input))
    raise EmptyQuery("nothing is asked: send `text`, `image` (base64), `image_url` or `embedding_input`")
