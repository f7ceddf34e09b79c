"""What searches are asked with from Python: the names and meanings of the HTTP parameters, but `k` for `limit`."""

from __future__ import annotations

import base64
import io
import os
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
    image: bytes | str | os.PathLike[str] | Image.Image | None  # a file's bytes or path, or a picture of Pillow's
    negative: str | None  # what a result should not mean: a term of weight -0.5
    terms: Sequence[Term]  # further texts, pictures, ids and vectors, each with its weight
    filter: Mapping[str, Any] | None  # by fields; see promptsearch/filtering/filters.py
    mode: Mode  # keyword: prompts that have all the words of `q`; hybrid: both at once
    sort: str | None  # a field, `-` before it for the greatest first; or score; None: as the mode ranks them
    min_score: float | None  # cosine
    group_by: Literal["prompt"] | None  # the best image of each prompt alone
    deduplicate: bool  # fold what looks nearly the same as a better result into that
    diversity: float  # 0 to 1: prefer what is unlike the results before it
    via: Literal["images"] | None  # prompts in the order of the images that are found
    include: Literal["vector"] | None  # also each result's vector
    explain: bool  # also how long each stage took
    k: int  # results on a page
    cursor: str | None  # `next` of a page, instead of a query


class BatchQuery(Arguments, total=False):
    target: Required[Literal["images", "prompts"]]
    q: str | None


_NAMES = Arguments.__annotations__.keys()


def validated(given: Arguments) -> Arguments:
    """Itself; raises TypeError as a function without an argument of that name would."""
    if unknown := given.keys() - _NAMES:
        raise TypeError(f"there is no argument {sorted(unknown)[0]!r}; there are q, {', '.join(_NAMES)}")
    return given


def split_batch_query(query: BatchQuery) -> tuple[Kind, str | None, Arguments]:
    """What is looked for, `q`, and the rest; raises ParameterError."""
    arguments: dict[str, Any] = {**query}
    kind, q = arguments.pop("target", None), arguments.pop("q", None)
    if kind not in KINDS:
        raise ParameterError(f"a query's target is {' or '.join(KINDS)}, not {kind!r}")
    return kind, q, cast("Arguments", arguments)


def read_picture(picture: object) -> bytes:
    """The bytes of a picture's file; raises PictureError."""
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
    raise PictureError(f"a picture is the path or the bytes of a file, or a PIL.Image: not a {type(picture).__name__}")


def request_body(q: str | None, given: Arguments) -> dict[str, Any]:
    """The JSON of an HTTP request for the same; raises PictureError."""
    body: dict[str, Any] = {"q": q, **validated(given)}
    body["limit"] = body.pop("k", None)
    if body.get("image") is not None:
        body["image"] = to_base64(read_picture(body["image"]))
    body["terms"] = [_term(term) for term in body.get("terms") or ()] or None
    return {name: value for name, value in body.items() if value is not None}


def _term(term: Term) -> dict[str, Any]:
    said = {
        "text": term.text,
        "image": None if term.picture is None else to_base64(term.picture),
        "id": term.id,
        "vector": term.vector,
        "weight": term.weight,
    }
    return {name: value for name, value in said.items() if value is not None}


def to_base64(content: bytes) -> str:
    """As JSON carries a picture."""
    return base64.b64encode(content).decode()
