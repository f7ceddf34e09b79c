"""A query to a page of answers: decode, encode, search, hydrate. Runs in a worker thread."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from promptsearch.collection import Page
from promptsearch.cursor import Cursor
from promptsearch.encoders import Encoders, unit
from promptsearch.errors import CursorError
from promptsearch.manifest import Kind
from promptsearch.picture import open_picture
from service.catalogue import Served
from service.query import Query


def search(served: Served, kind: Kind, query: Query, *, max_pixels: int) -> tuple[Page, float]:
    """The page that `query` asks for, and the milliseconds it took; raises what `promptsearch.errors` lists."""
    started = time.perf_counter()
    collection = served.collection
    if query.cursor is not None:
        cursor = Cursor.decode(query.cursor)
        if cursor.kind != kind:
            raise CursorError(f"this cursor continues a search for {cursor.kind}: send it to /search/{cursor.kind}")
        page = collection.page(cursor, query.limit)
    else:
        collection.index(kind)  # before anything is encoded
        page = collection.search(kind, _vector(served.encoders, query, max_pixels), query.limit)
    return page, 1000 * (time.perf_counter() - started)


def similar(served: Served, kind: Kind, id: str, cursor: str | None, limit: int) -> tuple[Page, float]:
    """What is nearest to one item of the collection."""
    started = time.perf_counter()
    collection = served.collection
    row = collection.items.image(id).row if kind == "images" else collection.items.prompt(id).row
    if cursor is None:
        page = collection.similar(kind, row, limit)
    else:
        decoded = Cursor.decode(cursor)
        if (decoded.kind, decoded.exclude) != (kind, row):
            raise CursorError("this cursor continues another search; pass `next` to the address that gave it")
        page = collection.page(decoded, limit)
    return page, 1000 * (time.perf_counter() - started)


def _vector(encoders: Encoders, query: Query, max_pixels: int) -> NDArray[np.float32]:
    """The unit vector of a text, of a picture, or half way between both; float32 [embedding_dim]."""
    vectors = []
    if query.text is not None:
        vectors.append(encoders.encode_texts([query.text])[0])
    if query.picture is not None:
        spec = encoders.preprocessing.spec
        picture = open_picture(query.picture, max_pixels=max_pixels, background=spec.background, shorter_side=spec.size)
        vectors.append(encoders.encode_images([picture])[0])
    return unit(np.sum(vectors, axis=0, dtype=np.float32))
