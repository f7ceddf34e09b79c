"""Collections of chosen vectors, built by the builder's own steps, and brute force to compare searches with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builder.indexing.index import index
from builder.milvus.publish import publish_to_milvus
from builder.sources import Item
from builder.sources.inputs.picture import FilePicture
from builder.versions.publish import publish
from builder.versions.staging import Staging
from builder.versions.versions import version_name
from promptsearch.encoding.encoders import unit
from promptsearch.engines.milvus.connection import Connection
from promptsearch.engines.milvus.expressions import expression
from promptsearch.engines.milvus.items import MilvusItems
from promptsearch.engines.milvus.schema import ROW
from promptsearch.filtering.conditions import resolve
from promptsearch.filtering.filters import Filter
from promptsearch.filtering.row_filter import row_mask
from promptsearch.search.collection import Collection, Page
from promptsearch.search.cursor import Cursor
from promptsearch.storage.digests import digest_of
from promptsearch.storage.fields import FieldColumns
from promptsearch.storage.items import ItemStore
from promptsearch.storage.manifest import Manifest, ModelReference
from promptsearch.storage.thumbnails import make_thumbnail
from tests.support.drawing import picture

Vectors = NDArray[np.float32]


def random_vectors(count: int, dim: int, seed: int = 0, clusters: int = 0) -> Vectors:
    """Return unit vectors, float32 [count, dim], rounded to half precision; around so many centres, if any."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, dim)).astype(np.float32)
    if clusters:
        centres = random.standard_normal((clusters, dim)).astype(np.float32)
        vectors = centres[random.integers(clusters, size=count)] + 0.5 * vectors
    return unit(vectors).astype(np.float16).astype(np.float32)


Describe = Callable[[int], tuple[Mapping[str, Any], Mapping[str, Any]]]


def seeded(number: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return settings with the picture's number as its seed, and no further metadata."""
    return {"seed": number}, {}


def stage(
    collection: Path,
    images: Vectors | None,
    prompts: Vectors | None,
    *,
    without_vector: int = 0,
    describe: Describe = seeded,
    texts: Callable[[int], str] = "prompt {}".format,
    content: Callable[[int], bytes] = b"content %d".__mod__,
) -> None:
    """Stage a version: picture n is `n.png` of prompt n, or of the last prompt if there are fewer.

    `describe` returns a picture's settings and further metadata, `texts` a prompt's text, and `content` the bytes of a
    picture's file.
    """
    sizes = images if images is not None else prompts
    assert sizes is not None
    thumbnail = make_thumbnail(picture(0, 8, 8))
    count = 0 if images is None else len(images)
    with Staging(collection, sizes.shape[1]) as staging:
        for number in range(max(count + without_vector, 0 if prompts is None else len(prompts))):
            text = None if prompts is None else texts(min(number, len(prompts) - 1))
            settings, extra = describe(number)
            item = Item(
                f"{number}.png",
                f"{number}.png",
                text,
                FilePicture(Path("/root"), f"{number}.png"),
                settings=settings,
                extra=extra,
            )
            if images is not None and number < count:
                staging.add(item, images[number], (8, 8), thumbnail, digest_of(content(number)))
            else:
                staging.add(item, None)
        if prompts is not None:
            staging.prompts.append(prompts)
        counts = staging.counts()
    now = datetime.now(UTC)
    Manifest(
        collection=collection.name,
        version=version_name(now),
        created=now.isoformat(timespec="seconds"),
        model=ModelReference("random", "0" * 64, sizes.shape[1]),
        source={"kind": "manifest", "root": collection.name},
        counts=counts,
        images=None,
        prompts=None,
        build={"engine": "none", "seconds": {}},
        files={},
    ).write(staging.folder)


def build(collection: Path, images: Vectors | None, prompts: Vectors | None, **others: Any) -> Path:
    """Stage, index and publish a version; return the collection's folder."""
    stage(collection, images, prompts, **others)
    index(collection)
    publish(collection)
    return collection


def nearest(vectors: Vectors, query: Vectors, count: int) -> tuple[list[int], list[float]]:
    """Return rows and cosines by brute force, best first, equal cosines by row."""
    # A unit vector that was rounded to half precision may be a little longer; a cosine is 1 at most.
    scores = [min(float(np.dot(vector, query)), 1.0) for vector in vectors]
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:count]
    return order, [scores[row] for row in order]


ENGINES = ("files", pytest.param("milvus", marks=pytest.mark.milvus))


@contextmanager
def opened(collection: Path, engine: str) -> Iterator[Collection]:
    """Yield the collection on files, or its copy in Milvus."""
    if engine == "milvus":
        publish_to_milvus(collection, str(collection.with_suffix(".db")))
    searched = Collection.open(collection)
    yield searched
    searched.close()


def in_milvus(collection: Collection) -> bool:
    """Return whether the collection is in Milvus."""
    return collection.manifest.milvus is not None


def filtered_by(filter: Filter, collection: Collection) -> NDArray[np.bool_]:
    """Return which images meet the filter, including those without a vector; bool [images]."""
    if isinstance(collection.fields, FieldColumns) and isinstance(collection.items, ItemStore):
        return row_mask(filter, collection.fields, collection.items)
    assert collection.manifest.milvus is not None
    assert isinstance(collection.items, MilvusItems)
    connection = Connection(collection.manifest.milvus.address)
    condition = expression(resolve(filter, collection.fields), collection.fields, collection.items.rows)
    mask = np.zeros(collection.manifest.counts["images"], dtype=bool)
    mask[[entity[ROW] for entity in connection.all(collection.manifest.milvus.images, condition, [])]] = True
    return mask


def all_pages(collection: Collection, first: Page, limit: int) -> list[Page]:
    """Return `first` and all pages after it, each from the cursor's text, as clients send it."""
    pages = [first]
    while (following := pages[-1].next) is not None:
        pages.append(collection.page(Cursor.decode(following.encode()), limit))
    return pages


def scores_of(page: Page) -> NDArray[np.float64]:
    """Return the scores, float64 [n]; NaN without a query."""
    return np.asarray(page.scores, dtype=np.float64)
