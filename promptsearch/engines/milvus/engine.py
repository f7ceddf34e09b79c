"""The engine on Milvus, which proposes candidates; they are scored here, as exactly as those on files."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Rows, Scores
from promptsearch.engines.milvus.connection import TIMEOUT, Connection, floats, literal
from promptsearch.engines.milvus.expressions import expression
from promptsearch.engines.milvus.items import MilvusItems
from promptsearch.engines.milvus.schema import ALL_OF, IMAGE_PROMPT, MOST_FOUND, ROW, VECTOR, column
from promptsearch.engines.stages import Stage
from promptsearch.errors import CollectionError, NotReady, Unsupported
from promptsearch.filtering.conditions import resolve
from promptsearch.filtering.filters import Filter
from promptsearch.storage.fields import Field
from promptsearch.storage.items import HiddenRows
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind, Manifest, MilvusReference

_CACHED_FILTERS = 32
_AT_ONCE = 10_000  # rows of prompts in the filter of one search
_SORTED = 100_000  # images that are sorted here, because Milvus cannot sort


class MilvusIndex:
    """The vectors of one kind of item, in Milvus."""

    def __init__(self, connection: Connection, name: str, info: IndexInfo, dim: int) -> None:
        self._connection = connection
        self._name = name
        self._dim = dim
        self.info = info

    def __len__(self) -> int:
        return self.info.vectors

    def vector(self, row: int) -> NDArray[np.float32]:
        """Return the vector of a row, float32 [embedding_dim]."""
        vector: NDArray[np.float32] = self.vectors(np.asarray([row]))[0]
        return vector

    def vectors(self, rows: Rows) -> NDArray[np.float32]:
        """Return the vectors of rows, float32 [n, embedding_dim]."""
        return self._connection.vectors(self._name, rows, VECTOR, self._dim)

    def probe(self, query: NDArray[np.float32]) -> Rows:
        """Return some row near a unit vector, float32 [embedding_dim], as int64 [1]."""
        return self.search(query, 1)[0]

    def search(self, query: NDArray[np.float32], depth: int, filter: str = "") -> tuple[Rows, Scores]:
        """Return up to `depth` nearest rows that meet the filter, and their cosines, best first, equal ones by row."""
        connection = self._connection
        vector = query.astype(connection.dtype)
        depth = min(depth, len(self), MOST_FOUND)
        # At least as many candidates as the tuning has found necessary.
        parameters = {"metric_type": "IP", "params": {"ef": max(depth, self.info.candidates or 0)}}
        with connection.errors():
            [hits] = connection.client.search(
                self._name,
                data=[vector],
                filter=filter,
                limit=depth,
                output_fields=[VECTOR],
                search_params=parameters,
                timeout=TIMEOUT,
            )
        rows = np.asarray([hit[ROW] for hit in hits], dtype=np.int64)
        if not len(rows):
            return rows, np.empty(0, dtype=np.float32)
        vectors = np.stack([floats(hit["entity"][VECTOR]) for hit in hits])
        scores = np.minimum(np.vecdot(vectors, query), np.float32(1.0))
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order]


class StoredFieldCatalog:
    """The fields of a version, by name, from `fields.json`."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = {field.name: field for field in fields}

    @classmethod
    def read(cls, folder: Path) -> StoredFieldCatalog:
        """Read `fields.json` of a version's folder. Raises CollectionError."""
        path = folder / FILES.field_list
        try:
            return cls(Field(**field) for field in json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise CollectionError(f"{path} cannot be read: {error}: publish the collection again") from error

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Any:
        return iter(self._fields.values())


class MilvusEngine:
    """Implements `promptsearch.engines.engine.Engine` on two Milvus collections."""

    def __init__(self, folder: Path, manifest: Manifest, names: MilvusReference) -> None:
        """Connect. Raises CollectionError if Milvus does not answer or does not have the version."""
        dim = manifest.model.embedding_dim
        try:
            self._connection = Connection(names.address)
            self._check(manifest, names)
        except NotReady as error:
            raise CollectionError(str(error)) from error
        self._names = names
        self._images = manifest.counts["images"]
        self.indices: Mapping[Kind, MilvusIndex] = {
            kind: MilvusIndex(self._connection, names.collection(kind), info, dim)
            for kind in KINDS
            if (info := manifest.index(kind))
        }
        self.items = MilvusItems(self._connection, names)
        self.fields = StoredFieldCatalog.read(folder)
        self._set_caches()

    def _check(self, manifest: Manifest, names: MilvusReference) -> None:
        for kind in KINDS:
            name = names.collection(kind)
            with self._connection.errors():
                if not self._connection.client.has_collection(name):
                    raise CollectionError(
                        f"Milvus at {names.address} has no collection {name}, which version {manifest.version} of "
                        f"{manifest.collection} names: publish it there again"
                    )
            if (count := self._connection.count(name, ALL_OF)) != manifest.counts[kind]:
                raise CollectionError(
                    f"{name} in Milvus at {names.address} has {count} {kind}, expected "
                    f"{manifest.counts[kind]}: publish it there again"
                )

    def _set_caches(self) -> None:
        items, fields = self.items, self.fields
        self._expression = lru_cache(_CACHED_FILTERS)(partial(_expression, items, fields))
        self._prompts_with = lru_cache(_CACHED_FILTERS)(
            partial(_prompts_with, self._connection, self._names.images, self._expression)
        )

    def with_hidden(self, hidden: HiddenRows) -> Self:
        """Return the same engine without these rows."""
        engine = copy.copy(self)
        engine.items = self.items.with_hidden(hidden)
        engine._set_caches()
        return engine

    def nearest(
        self, kind: Kind, query: NDArray[np.float32], depth: int, filter: Filter | None, stage: Stage
    ) -> tuple[Rows, Scores]:
        """Search in Milvus; see `Engine.nearest`."""
        index = self.indices[kind]
        if filter is None or kind == "images":
            with stage("search"):
                return index.search(query, depth, self._of_images(filter) if kind == "images" else "")
        with stage("filter"):
            prompts = self._prompts_with(filter)
        with stage("search"):
            # One search for each part of the prompts: the best of all are among the best of each part.
            parts = [
                index.search(query, depth, f"{ROW} in {literal(prompts[start : start + _AT_ONCE].tolist())}")
                for start in range(0, len(prompts), _AT_ONCE)
            ]
        rows = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
        scores = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, dtype=np.float32)
        order = np.lexsort((rows, -scores))[:depth]
        return rows[order], scores[order]

    def keyword_search(self, *_: object) -> tuple[Rows, Scores]:
        """Raise Unsupported."""
        raise Unsupported(
            "this collection is in Milvus, which ranks words differently: send mode=semantic, or serve it from files"
        )

    def list_rows(self, kind: Kind, limit: int, filter: Filter | None, sort: str | None, stage: Stage) -> Rows:
        """List rows by queries of Milvus; see `Engine.list_rows`."""
        with stage("filter"):
            if sort is not None:
                return self._list_sorted(kind, limit, filter, sort)
            if kind == "prompts":
                count = len(self.indices["prompts"])
                return np.arange(min(count, limit)) if filter is None else self._prompts_with(filter)[:limit]
            entities = self._connection.query(self._names.images, self._of_images(filter), [], min(limit, MOST_FOUND))
            return np.asarray([entity[ROW] for entity in entities], dtype=np.int64)

    def _list_sorted(self, kind: Kind, limit: int, filter: Filter | None, sort: str) -> Rows:
        matching = self._of_images(filter) if kind == "images" else self._of_filter(filter)
        if (count := self._connection.count(self._names.images, matching)) > _SORTED:
            raise Unsupported(
                f"this collection is in Milvus, where at most {_SORTED:,} images can be sorted, but {count:,} meet the "
                "filter: narrow it, or serve the collection from files"
            )
        if kind == "images":
            rows = [entity[ROW] for entity in self._connection.all(self._names.images, matching, [])]
        elif filter is None:
            rows = list(range(len(self.indices["prompts"])))
        else:
            rows = self._prompts_with(filter).tolist()
        unsorted = np.asarray(rows, dtype=np.int64)
        return unsorted[self.order(kind, unsorted, sort)][:limit]

    def order(self, kind: Kind, rows: Rows, sort: str) -> NDArray[np.int64]:
        """Return the places of rows sorted by a field; see `Engine.order`."""
        field, descending = self.fields[sort.removeprefix("-")], sort.startswith("-")
        name, best = column(field), max if descending else min
        by = ROW if kind == "images" else IMAGE_PROMPT
        values: dict[int, Any] = {}
        for entity in self._connection.of(self._names.images, by, rows.tolist(), [name, IMAGE_PROMPT]):
            value = entity[name]
            if value is None or (name == IMAGE_PROMPT and value < 0):
                continue
            value = value.encode() if isinstance(value, str) else value
            values[entity[by]] = best(value, values.get(entity[by], value))
        present = [place for place, row in enumerate(rows.tolist()) if row in values]
        present.sort(key=lambda place: rows[place])
        present.sort(key=lambda place: values[int(rows[place])], reverse=descending)
        absent = [place for place, row in enumerate(rows.tolist()) if row not in values]
        absent.sort(key=lambda place: rows[place])
        return np.asarray([*present, *absent], dtype=np.int64)

    def prompts(self, images: Rows) -> NDArray[np.int32]:
        """Return the row of each image's prompt, -1 for none."""
        entities = self._connection.of(self._names.images, ROW, np.unique(images).tolist(), [IMAGE_PROMPT])
        prompts = {entity[ROW]: entity[IMAGE_PROMPT] for entity in entities}
        return np.asarray([prompts[row] for row in images.tolist()], dtype=np.int32)

    def sibling_counts(self, images: Sequence[int], filter: Filter | None) -> list[int]:
        """Return how many other images of each image's prompt meet the filter."""
        prompts = self.prompts(np.asarray(images, dtype=np.int64)).tolist()
        hidden, counts = self.items.hidden("images"), dict.fromkeys(prompts, 0)
        existing = sorted({prompt for prompt in prompts if prompt >= 0})
        also = self._of_images(filter)
        for entity in self._connection.of(self._names.images, IMAGE_PROMPT, existing, [IMAGE_PROMPT], also):
            counts[entity[IMAGE_PROMPT]] += entity[ROW] not in hidden
        return [counts[prompt] - 1 if prompt >= 0 else 0 for prompt in prompts]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _of_filter(self, filter: Filter | None) -> str:
        return ALL_OF if filter is None else self._expression(filter)

    def _of_images(self, filter: Filter | None) -> str:
        """Return the expression for images that meet the filter and have a vector; the last rows have none."""
        matching = self._of_filter(filter)
        count = len(self.indices["images"])
        return matching if count == self._images else f"({matching}) and {ROW} < {count}"


def _expression(items: MilvusItems, fields: StoredFieldCatalog, filter: Filter) -> str:
    return expression(resolve(filter, fields), fields, items.rows)


def _prompts_with(connection: Connection, images: str, expression: Any, filter: Filter) -> Rows:
    """Return the rows of prompts that have an image which meets the filter."""
    prompts = {entity[IMAGE_PROMPT] for entity in connection.all(images, expression(filter), [IMAGE_PROMPT])}
    return np.asarray(sorted(prompts - {-1}), dtype=np.int64)
