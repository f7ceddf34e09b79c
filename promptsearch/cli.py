"""The commands of `prompt-search` in a terminal: their options, and the searches that they run."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from rich.console import RenderableType

import promptsearch
from promptsearch import up
from promptsearch.client.arguments import Arguments, read_picture
from promptsearch.client.page import AnyPage
from promptsearch.client.terminal import render_fields, render_page
from promptsearch.errors import ParameterError, UnknownCollection
from promptsearch.filtering.filters import OPERATORS, Filter, condition
from promptsearch.search.options import OPTION_NAMES
from promptsearch.search.parameters import Parameter
from promptsearch.search.query import PARAMETERS
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import FILES

Answer = tuple[Any, RenderableType]  # in JSON's types, and for a terminal

URL = "PROMPT_SEARCH_URL"
API_KEY = "PROMPT_SEARCH_API_KEY"

# The parameters of a search that are options of the same name; `filter` has a syntax of its own, `via` one command.
_PARAMETERS = ("negative", *(name for name in OPTION_NAMES if name not in ("filter", "via")), "limit", "cursor")
_HINTS = {"sort": "; descending: --sort=-FIELD"}
_METAVARS = {"negative": "TEXT", "sort": "FIELD", "min_score": "COSINE", "diversity": "0..1", "limit": "N"}


def parser() -> argparse.ArgumentParser:
    """Return the parser; parsed arguments have a function `run`, which returns an Answer."""
    top = argparse.ArgumentParser(prog="prompt-search", description="Find images and prompts by meaning.")
    top.add_argument("--version", action="version", version=f"prompt-search {promptsearch.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_search(commands.add_parser("search", help="search by text, pictures and fields"))
    _add_similar(commands.add_parser("similar", help="find items like an image or prompt of the collection"))
    up.add_command(commands.add_parser("up", help="build, serve and follow a folder of your pictures"))
    _add_fields(commands.add_parser("fields", help="list the fields that images can be filtered and sorted by"))
    return top


def _add_search(command: argparse.ArgumentParser) -> None:
    command.add_argument("q", nargs="?", metavar="TEXT", help="text to search for")
    command.add_argument(
        "--kind", choices=("images", "prompts"), default="images", help="what to search for (default: images)"
    )
    command.add_argument(
        "--image", action="append", default=[], metavar="FILE", help="picture to search for; repeatable"
    )
    _add_parameter(command, PARAMETERS["via"])
    _add_options(command)
    command.set_defaults(run=run_search)


def _add_similar(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="id of an image or prompt")
    command.add_argument("q", nargs="?", metavar="TEXT", help="text to search for in addition")
    command.add_argument(
        "--kind",
        choices=("images", "prompts"),
        default="images",
        help="whether ID is an image or prompt (default: images)",
    )
    _add_options(command)
    command.set_defaults(run=run_similar)


def _add_fields(command: argparse.ArgumentParser) -> None:
    _add_collection(command)
    command.set_defaults(run=run_fields)


def _add_options(command: argparse.ArgumentParser) -> None:
    for name in _PARAMETERS:
        _add_parameter(command, PARAMETERS[name])
    command.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FIELD[.OP]=VALUE",
        help=f"condition on a field, such as steps.gte=20; OP is one of {', '.join(OPERATORS)}; or JSON; repeatable",
    )
    _add_collection(command)


def _add_parameter(command: argparse.ArgumentParser, parameter: Parameter) -> None:
    """Add an option for a parameter of a search; not set, it is None and the search uses the parameter's default."""
    flag = "--" + parameter.name.replace("_", "-")
    description = parameter.meaning.description.rstrip(".")
    text = description[0].lower() + description[1:] + _HINTS.get(parameter.name, "")
    if bool in parameter.types:
        command.add_argument(flag, action="store_true", default=None, help=text)
        return
    if parameter.default:
        text += f" (default: {parameter.default})"
    number = next((kind for kind in (int, float) if kind in parameter.types), str)
    metavar = _METAVARS.get(parameter.name)
    command.add_argument(flag, type=number, choices=parameter.choices or None, metavar=metavar, help=text)


def _add_collection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the answer as JSON, as the service returns it")
    command.add_argument(
        "--collection", metavar="NAME", help="name or folder of the collection (implied if there is only one)"
    )
    command.add_argument(
        "--indices", type=Path, default=Path("indices"), metavar="DIR", help="folder of collections (default: indices)"
    )
    command.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="folder of models (default: models beside the indices, then ./models)",
    )
    command.add_argument("--url", default=os.environ.get(URL), help=f"search a service at this URL (default: ${URL})")
    command.add_argument(
        "--api-key",
        default=os.environ.get(API_KEY),
        metavar="KEY",
        help=f"API key of the service (default: ${API_KEY})",
    )


def run_search(parsed: argparse.Namespace) -> Answer:
    """Search by text, pictures and fields."""
    arguments = _arguments(parsed)
    if parsed.image:
        arguments["terms"] = [Term(picture=read_picture(image)) for image in parsed.image]
    if parsed.via:
        arguments["via"] = parsed.via
    with _opened(parsed) as collection:
        search = collection.search_images if parsed.kind == "images" else collection.search_prompts
        return _answer(search(parsed.q, **arguments))


def run_similar(parsed: argparse.Namespace) -> Answer:
    """Search for items like one of the collection."""
    with _opened(parsed) as collection:
        similar = collection.similar_images if parsed.kind == "images" else collection.similar_prompts
        return _answer(similar(parsed.id, parsed.q, **_arguments(parsed)))


def run_fields(parsed: argparse.Namespace) -> Answer:
    """List the fields of the collection."""
    with _opened(parsed) as collection:
        fields = collection.fields()
        return [asdict(field) for field in fields], render_fields(fields)


def _answer(page: AnyPage) -> Answer:
    return page.to_dict(), render_page(page)


def _arguments(parsed: argparse.Namespace) -> Arguments:
    values = {name: getattr(parsed, name) for name in _PARAMETERS} | {"filter": _filter(parsed.filter)}
    return cast("Arguments", {name: value for name, value in values.items() if value is not None})


def _filter(conditions: Sequence[str]) -> Mapping[str, Any] | None:
    """Return one filter for all conditions, each written as in a URL or as JSON. Raises ParameterError."""
    parsed = [_condition(text) for text in conditions]
    return {"and": parsed} if len(parsed) > 1 else next(iter(parsed), None)


def _condition(text: str) -> Mapping[str, Any]:
    if text.lstrip().startswith("{"):
        return Filter.read(text).data
    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"a filter must be FIELD=VALUE, FIELD.gte=VALUE or JSON, got {text!r}")
    return condition(name.strip(), value)


@contextlib.contextmanager
def _opened(parsed: argparse.Namespace) -> Iterator[promptsearch.Searcher | promptsearch.Client]:
    collection: promptsearch.Searcher | promptsearch.Client
    if parsed.url:
        collection = promptsearch.Client(parsed.url, collection=parsed.collection, api_key=parsed.api_key)
    else:
        collection = promptsearch.open(_folder(parsed.collection, parsed.indices), models=parsed.models)
    with collection:
        yield collection


def _folder(collection: str | None, indices: Path) -> Path:
    """Return the folder of a collection by name or path; without either, of the only one. Raises UnknownCollection."""
    folders = sorted(path.parent for path in indices.glob(f"*/{FILES.current}"))
    names = ", ".join(folder.name for folder in folders)
    if collection is None:
        if len(folders) == 1:
            return folders[0]
        hint = f"has several: choose one with --collection: {names}" if folders else "has no collection: build one"
        raise UnknownCollection(f"no --collection was named, and {indices} {hint}")
    if Path(collection).name == collection and indices / collection in folders:
        return indices / collection
    if (Path(collection) / FILES.current).exists():
        return Path(collection)
    raise UnknownCollection(
        f"{collection!r} is neither a collection in {indices} nor the folder of one; {indices} has {names or 'none'}"
    )
