"""JSON bodies: bounded before anything is parsed, and read without holding the event loop.

Parsing costs time and memory by the number of values, not by bytes: 20 MB of a picture in base64 are one value, 20 MB
of empty lists are seven million. So pictures aside, a body must be small and have few values. Everything here is linear
in the body, and done by C code that either releases the GIL or takes a few milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request

from promptsearch.errors import ParameterError, RequestTooLarge

T = TypeVar("T")

MAX_DEPTH = 64  # a batch of the most deeply nested filters needs 39
# The heaviest batch, of 64 queries with 32 terms and 100 conditions each, has 19,000 names and 9,000 objects.
MAX_NAMES = 20_000
MAX_OBJECTS = 20_000  # and lists
MAX_STRINGS = 100_000
MAX_VALUES = 200_000  # with the numbers of vectors

_PICTURE = 1024  # characters of base64 from which a text counts as a picture
_BASE64 = (string.ascii_letters + string.digits + "+/=-_").encode()
_DATA_URL = 100  # characters at most before a data: URL's comma
_PIECE = 2**20  # bytes that are looked at without releasing the GIL
_IN_LOOP = 2**14  # bytes that are parsed in the event loop: 5 ms at worst
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # or its begin, if it has no end
_STEPS = np.zeros(256, dtype=np.int8)  # by which each byte changes the depth
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1

# One thread, so that hostile bodies wait for each other and not for searches.
_READER = ThreadPoolExecutor(1, "json")


async def read_body(request: Request, max_bytes: int, build: Callable[[dict[str, Any]], T]) -> T:
    """Return what `build` makes of the JSON object in a request's body; raises as `read_json` and `build` do."""
    body = await request.body()
    if len(body) <= _IN_LOOP:
        return build(read_json(body, max_bytes))
    return await asyncio.get_running_loop().run_in_executor(_READER, lambda: build(read_json(body, max_bytes)))


def read_json(body: bytes, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object of a body; raises ParameterError, and RequestTooLarge as `check_json` does."""
    value = parse_json(body, max_bytes, "the body")
    if not isinstance(value, dict):
        raise ParameterError('the body must be a JSON object, such as {"q": "happy dog"}')
    return value


def parse_json(text: bytes, max_bytes: int, name: str) -> Any:
    """Return the value of JSON text, which messages call `name`; raises as `read_json` does."""
    try:
        encoding = json.detect_encoding(text)
        if not encoding.startswith("utf-8"):  # its characters may contain the bytes of quotes and brackets
            text = text.decode(encoding).encode()
        check_json(text, max_bytes, name)
        return json.loads(text)
    except ValueError as error:
        raise ParameterError(f"{name} is not valid JSON: {error}") from None


def check_json(body: bytes, max_bytes: int, name: str = "the body") -> None:
    """Raise RequestTooLarge for more than `max_bytes` beside pictures, and for too many or too deeply nested values."""
    rest = _without_pictures(body)
    if len(rest) > max_bytes:
        raise RequestTooLarge(json_too_large(max_bytes))
    _require("texts", rest.count(b'"') // 2, MAX_STRINGS)
    outside = _STRING.sub(b"", rest)
    levels = np.cumsum(_STEPS[np.frombuffer(outside, np.uint8)], dtype=np.int32)
    if levels.max(initial=0) > MAX_DEPTH:
        raise ParameterError(f"{name} is nested too deeply: expected at most {MAX_DEPTH} levels")
    _require("names", outside.count(b":"), MAX_NAMES)
    _require("objects and lists", outside.count(b"{") + outside.count(b"["), MAX_OBJECTS)
    _require("values", outside.count(b","), MAX_VALUES)


def json_too_large(max_bytes: int) -> str:
    """Return the message about a body of more than `max_bytes` beside pictures."""
    return f"expected at most {max_bytes:,} bytes of JSON or form fields, pictures aside: send less at a time"


def outside_base64(chunk: bytes) -> int:
    """Return how many bytes of a part of a body cannot belong to a picture in base64: a fast lower bound."""
    return len(chunk.translate(None, _BASE64))


def _require(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise RequestTooLarge(f"expected JSON of at most {limit:,} {what}, found more: send less at a time")


def _without_pictures(body: bytes) -> bytes:
    """Return the body with empty texts in place of long ones in base64."""
    if len(body) <= _PICTURE:
        return body
    quotes = np.flatnonzero(np.frombuffer(body, np.uint8) == ord('"'))
    long = np.flatnonzero(np.diff(quotes) > _PICTURE)
    parts, last = [], 0
    for opening, closing in zip(quotes[long].tolist(), quotes[long + 1].tolist(), strict=True):
        # Between two quotes that do not enclose a text, there is something else than base64, or no valid JSON.
        if _is_base64(body, opening + 1, closing):
            parts.append(body[last : opening + 1])
            last = closing
    return b"".join([*parts, body[last:]])


def _is_base64(body: bytes, start: int, end: int) -> bool:
    if body.startswith(b"data:", start):
        start = body.find(b",", start, start + _DATA_URL) + 1
    return start > 0 and not any(
        body[piece : min(piece + _PIECE, end)].translate(None, _BASE64) for piece in range(start, end, _PIECE)
    )
