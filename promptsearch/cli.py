"""What `prompt-search` is told in a terminal, and what it asks because of that."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, get_args

from rich.console import RenderableType

import promptsearch
from promptsearch.client.arguments import Arguments, read_picture
from promptsearch.client.results import DEFAULT_LIMIT, AnyPage
from promptsearch.client.terminal import render_fields, render_page
from promptsearch.errors import ParameterError, UnknownCollection
from promptsearch.filtering.filters import Filter, condition
from promptsearch.search.options import MODES, Mode
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import FILES

Answer = tuple[Any, RenderableType]  # in JSON's types, and for a person

URL = "PROMPT_SEARCH_URL"
API_KEY = "PROMPT_SEARCH_API_KEY"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="prompt-search", description="Find images and prompts by what they mean.")
    top.add_argument("--version", action="version", version=f"prompt-search {promptsearch.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    search = commands.add_parser("search", help="by text, by picture, by fields")
    search.add_argument("q", nargs="?", metavar="TEXT", help="what the picture or prompt means")
    search.add_argument("--kind", choices=("images", "prompts"), default="images", help="what to find (images)")
    search.add_argument("--image", action="append", default=[], metavar="FILE", help="a picture; repeatable")
    search.add_argument("--via", choices=("images",), help="prompts in the order of the images that are found")
    _add_options(search)
    search.set_defaults(run=run_search)

    similar = commands.add_parser("similar", help="like an image or prompt of the collection")
    similar.add_argument("id", metavar="ID")
    similar.add_argument("q", nargs="?", metavar="TEXT", help="and meaning this")
    similar.add_argument("--kind", choices=("images", "prompts"), default="images", help="what ID is of (images)")
    _add_options(similar)
    similar.set_defaults(run=run_similar)

    fields = commands.add_parser("fields", help="what images can be filtered and sorted by")
    _add_place(fields)
    fields.set_defaults(run=run_fields)
    return top


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--negative", metavar="TEXT", help="what it should not mean")
    parser.add_argument("--mode", choices=get_args(Mode), help=f"{', '.join(MODES)} ({MODES[0]})")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FIELD[.OP]=VALUE",
        help="such as steps.gte=20; OP is eq, in, gt, gte, lt, lte, exists or prefix; or JSON; repeatable",
    )
    parser.add_argument("--sort", metavar="FIELD", help="a field instead of the score; --sort=-FIELD: greatest first")
    parser.add_argument("--min-score", type=float, metavar="COSINE")
    parser.add_argument("--group-by", choices=("prompt",), help="the best image of each prompt alone")
    parser.add_argument("--deduplicate", action="store_true", default=None, help="fold what looks nearly the same")
    parser.add_argument("--diversity", type=float, metavar="0..1", help="prefer what is unlike the results before it")
    parser.add_argument("--limit", type=int, metavar="N", help=f"results ({DEFAULT_LIMIT})")
    parser.add_argument("--cursor", help="`next` of a JSON answer, instead of a query")
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the whole answer, as the service gives it")
    parser.add_argument("--collection", metavar="NAME", help="its name, or its folder; unless said, the only one")
    parser.add_argument("--indices", type=Path, default=Path("indices"), metavar="DIR", help="collections (indices)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models (unless said, beside DIR or in models)")
    parser.add_argument(
        "--url", default=os.environ.get(URL), help=f"of a service that is to be asked instead; or {URL}"
    )
    parser.add_argument(
        "--api-key", default=os.environ.get(API_KEY), metavar="KEY", help=f"of that; better in {API_KEY}"
    )


def run_search(arguments: argparse.Namespace) -> Answer:
    asked = _asked(arguments)
    if arguments.image:
        asked["terms"] = [Term(picture=read_picture(image)) for image in arguments.image]
    if arguments.via:
        asked["via"] = arguments.via
    with _opened(arguments) as collection:
        search = collection.search_images if arguments.kind == "images" else collection.search_prompts
        return _shown(search(arguments.q, **asked))


def run_similar(arguments: argparse.Namespace) -> Answer:
    with _opened(arguments) as collection:
        similar = collection.similar_images if arguments.kind == "images" else collection.similar_prompts
        return _shown(similar(arguments.id, arguments.q, **_asked(arguments)))


def run_fields(arguments: argparse.Namespace) -> Answer:
    with _opened(arguments) as collection:
        fields = collection.fields()
        return [asdict(field) for field in fields], render_fields(fields)


def _shown(page: AnyPage) -> Answer:
    return page.to_dict(), render_page(page)


def _asked(arguments: argparse.Namespace) -> Arguments:
    given = {
        "negative": arguments.negative,
        "mode": arguments.mode,
        "filter": _filter(arguments.filter),
        "sort": arguments.sort,
        "min_score": arguments.min_score,
        "group_by": arguments.group_by,
        "deduplicate": arguments.deduplicate,
        "diversity": arguments.diversity,
        "k": arguments.limit,
        "cursor": arguments.cursor,
    }
    return cast("Arguments", {name: value for name, value in given.items() if value is not None})


def _filter(given: Sequence[str]) -> Mapping[str, Any] | None:
    """All conditions together, each as in a URL or as JSON; raises ParameterError."""
    conditions = [_condition(one) for one in given]
    return {"and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


def _condition(given: str) -> Mapping[str, Any]:
    if given.lstrip().startswith("{"):
        filter: Mapping[str, Any] = json.loads(Filter.read(given).json)
        return filter
    name, equals, value = given.partition("=")
    if not equals:
        raise ParameterError(f"{given!r} is no filter: write FIELD=VALUE, FIELD.gte=VALUE or JSON")
    return condition(name.strip(), value)


@contextlib.contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[promptsearch.Searcher | promptsearch.Client]:
    asked: promptsearch.Searcher | promptsearch.Client
    if arguments.url:
        asked = promptsearch.Client(arguments.url, collection=arguments.collection, api_key=arguments.api_key)
    else:
        asked = promptsearch.open(_folder(arguments.collection, arguments.indices), models=arguments.models)
    with asked:
        yield asked


def _folder(collection: str | None, indices: Path) -> Path:
    """Of the collection that is meant; raises UnknownCollection."""
    there = sorted(path.parent for path in indices.glob(f"*/{FILES.current}"))
    if collection is None:
        if len(there) == 1:
            return there[0]
        found = f"name one with --collection: {', '.join(path.name for path in there)}" if there else "there is none"
        raise UnknownCollection(f"no collection was named, and in {indices} {found}")
    if Path(collection).name == collection and indices / collection in there:
        return indices / collection
    if (Path(collection) / FILES.current).exists():
        return Path(collection)
    names = ", ".join(path.name for path in there) or "none"
    raise UnknownCollection(
        f"there is no collection {collection!r}, by that name or at that place; in {indices}: {names}"
    )
