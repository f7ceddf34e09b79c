"""The arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TypeAlias

from promptsearch.errors import BuildError

from ..sizes import parse_size
from ..sources import KINDS as SOURCES

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_source(command: argparse.ArgumentParser, images: str) -> None:
    """Add the source, its path and the folder of its pictures; `images` is the help text of the last."""
    command.add_argument("source", choices=SOURCES, metavar="SOURCE", help=" | ".join(SOURCES))
    command.add_argument("path", type=Path, metavar="PATH", help="the source's file or folder")
    command.add_argument("--images", type=Path, metavar="DIR", help=images)


def add_collection(command: argparse.ArgumentParser) -> None:
    """Add the collection as a flag, and the folder it is in."""
    command.add_argument("--collection", required=True, metavar="NAME", help="the collection's name")
    add_indices(command)


def add_indices(command: argparse.ArgumentParser) -> None:
    """Add the folder of the collections."""
    command.add_argument(
        "--indices",
        type=Path,
        default=Path("indices"),
        metavar="DIR",
        help="folder of the collections (default: indices)",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the flag that prints one JSON value, for programs, instead of lines for people."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def collection_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the named collection. Raises BuildError if the name is not that of a folder."""
    name: str = arguments.collection
    if not name or Path(name).name != name or name.startswith("."):
        raise BuildError(
            f"a collection's name is that of a folder in {arguments.indices}, without slashes or a leading dot, "
            f"got {name!r}"
        )
    folder: Path = arguments.indices / name
    return folder


def size(text: str) -> int:
    """Return the bytes of a size such as `4G`. Raises ArgumentTypeError."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def share(text: str) -> float:
    """Return a number above 0 and up to 1. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 1, got {text!r}")


def count(text: str) -> int:
    """Return a whole number, 0 or more. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if int(text) >= 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")


def spark_setting(text: str) -> tuple[str, str]:
    """Return key and value of `spark.KEY=VALUE`. Raises ArgumentTypeError."""
    key, equals, value = text.partition("=")
    if not equals or not key.startswith("spark."):
        raise argparse.ArgumentTypeError(f"expected a Spark setting, spark.KEY=VALUE, got {text!r}")
    return key, value
