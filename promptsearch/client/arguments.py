"""The arguments of a search from Python: the names and meanings of the HTTP parameters."""

from __future__ import annotations

import base64
import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, cast

from promptsearch.errors import ParameterError, PictureError
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import KINDS, Kind

if TYPE_CHECKING:
    from PIL import Image

    from promptsearch.search.options import Mode


class Arguments(TypedDict, total=False):
    """The optional arguments of every search method.

    `promptsearch.search.query.PARAMETERS` has their meanings, bounds and defaults, which are those of HTTP.
    """

    image: bytes | str | os.PathLike[str] | Image.Image | None  # the bytes or path of a file, or a Pillow image
    negative: str | None
    terms: Sequence[Term]
    filter: Mapping[str, Any] | None
    mode: Mode
    sort: str | None
    min_score: float | None
    group_by: Literal["prompt"] | None
    deduplicate: bool
    diversity: float
    via: Literal["images"] | None
    include: Literal["vector"] | None
    explain: bool
    limit: int
    k: int  # deprecated alias of `limit`
    cursor: str | None


class BatchQuery(Arguments, total=False):
    """One query of `batch`: the arguments of a search, what it searches for, and its text."""

    target: Required[Literal["images", "prompts"]]
    q: str | None


_DEPRECATED = {"k": "limit"}
_NAMES = [name for name in Arguments.__annotations__ if name not in _DEPRECATED]


def validated(arguments: Arguments) -> Arguments:
    """Return the arguments under their current names.

    Raises TypeError for an unknown argument, as a function without it would, and for both `k` and `limit`. Warns of
    deprecated names.
    """
    current = dict(arguments)
    for old, new in _DEPRECATED.items():
        if old in current:
            if new in current:
                raise TypeError(f"{old!r} is the old name of {new!r}: pass {new!r} only")
            message = f"the argument {old!r} is now called {new!r}; {old!r} will be removed in the next minor release"
            warnings.warn(message, DeprecationWarning, stacklevel=_level_outside_package())
            current[new] = current.pop(old)
    if unknown := current.keys() - _NAMES:
        raise TypeError(f"unknown argument {sorted(unknown)[0]!r}: expected q, {', '.join(_NAMES)}")
    return cast("Arguments", current)


def _level_outside_package() -> int:
    """Return the `stacklevel` at which the caller of this function warns about the code that called the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("promptsearch."):
        level, frame = level + 1, frame.f_back
    return level


def split_batch_query(query: BatchQuery) -> tuple[Kind, str | None, Arguments]:
    """Return the kind that a query searches for, its `q` and its other arguments. Raises ParameterError."""
    arguments: dict[str, Any] = {**query}
    kind, q = arguments.pop("target", None), arguments.pop("q", None)
    if kind not in KINDS:
        raise ParameterError(f"a query's target must be {' or '.join(KINDS)}, got {kind!r}")
    return kind, q, validated(cast("Arguments", arguments))


def read_picture(picture: object) -> bytes:
    """Return the bytes of a picture's file. Raises PictureError."""
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        try:
            return path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise PictureError(f"the picture {path} cannot be read: {error}") from error
    if hasattr(picture, "save"):
        out = io.BytesIO()
        picture.save(out, "PNG")
        return out.getvalue()
    raise PictureError(
        f"a picture must be the path or the bytes of a file, or a PIL.Image, got {type(picture).__name__}"
    )


def request_body(q: str | None, arguments: Arguments) -> dict[str, Any]:
    """Return the JSON body of the HTTP request for a search. Raises PictureError and TypeError."""
    body: dict[str, Any] = {"q": q, **validated(arguments)}
    if body.get("image") is not None:
        body["image"] = to_base64(read_picture(body["image"]))
    body["terms"] = [_term(term) for term in body.get("terms") or ()] or None
    return {name: value for name, value in body.items() if value is not None}


def _term(term: Term) -> dict[str, Any]:
    values = {
        "text": term.text,
        "image": None if term.picture is None else to_base64(term.picture),
        "id": term.id,
        "vector": term.vector,
        "weight": term.weight,
    }
    return {name: value for name, value in values.items() if value is not None}


def to_base64(content: bytes) -> str:
    """Return bytes as JSON carries them."""
    return base64.b64encode(content).decode()
