"""`embeddings`: a folder of embeddings in the layout of clip-retrieval's inference.

`img_emb/img_emb_0.npy` and/or `text_emb/text_emb_0.npy` (float [n, dim]) with `metadata/metadata_0.parquet` (n rows),
and so on by number. Nothing is encoded again, so the vectors must be those of the model that the collection is built
with. They are memory-mapped and scaled to unit length; a row whose vector is zero or not finite is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import SourceError
from promptsearch.metadata.values import plain, size, split_settings, text
from promptsearch.system.files import require_regular

from . import Item, Rejected
from .inputs.reading import read_item, read_part
from .inputs.tables import batches, columns_of, rows_in

_FOLDERS = {"images": "img_emb", "texts": "text_emb", "metadata": "metadata"}
_OWN = {"caption", "url", "width", "height"}  # columns that become fields of an item
_PLACES = ("image_path", "key", "url")  # columns that identify an item, best first


@dataclass(frozen=True)
class _Part:
    """The files with one number."""

    metadata: Path
    images: Path | None
    texts: Path | None


class EmbeddingsSource:
    """Items that come with their vectors: nothing is decoded or encoded."""

    kind = "embeddings"

    def __init__(self, path: Path) -> None:
        """Open the folder. Raises SourceError if files are missing or their shapes do not match."""
        if not path.is_dir():
            raise SourceError(f"{path} is not a folder: name the folder that holds img_emb/, text_emb/ and metadata/")
        self.root = path.resolve()
        files_of = {name: _numbered(self.root / folder, folder) for name, folder in _FOLDERS.items()}
        if not files_of["images"] and not files_of["texts"]:
            raise SourceError(f"{path} has neither img_emb/img_emb_0.npy nor text_emb/text_emb_0.npy")
        for number in sorted({number for files in files_of.values() for number in files}):
            for name, files in files_of.items():
                if number not in files and (files or name == "metadata"):
                    other = next(files[number] for files in files_of.values() if number in files)
                    raise SourceError(
                        f"{other} has no {_FOLDERS[name]} of the same number beside it: every part needs "
                        f"{' and '.join(_FOLDERS[kind] for kind in files_of if files_of[kind] or kind == 'metadata')}"
                    )
        self._parts = [
            _Part(metadata, files_of["images"].get(number), files_of["texts"].get(number))
            for number, metadata in sorted(files_of["metadata"].items())
        ]
        self._check()

    def _check(self) -> None:
        """Raise SourceError unless a part's files have equally many rows, and all vectors one dimension."""
        first: tuple[Path, int] | None = None
        for part in self._parts:
            rows = rows_in(part.metadata)
            for path in (part.images, part.texts):
                if path is None:
                    continue
                vectors = _open(path)
                if len(vectors) != rows:
                    raise SourceError(
                        f"{path} has {len(vectors)} rows and {part.metadata} has {rows}: expected as many"
                    )
                first = first or (path, vectors.shape[1])
                if vectors.shape[1] != first[1]:
                    raise SourceError(
                        f"{path} has vectors of {vectors.shape[1]} dimensions and {first[0]} of {first[1]}: "
                        "expected the vectors of one model"
                    )

    def count(self) -> int:
        """Return the number of rows of all metadata files."""
        return sum(rows_in(part.metadata) for part in self._parts)

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the rows by part; a row whose vector is zero or not finite is rejected."""
        for part in self._parts:
            name = part.metadata.relative_to(self.root).as_posix()
            yield from read_part(name, self._part(part, name), "the rest of its rows is not read")

    def _part(self, part: _Part, name: str) -> Iterator[Item | Rejected]:
        images, texts = (None if path is None else _open(path) for path in (part.images, part.texts))
        for batch in batches(part.metadata, columns_of(part.metadata)):
            if isinstance(batch, Rejected):
                yield batch
                continue
            stop = batch.start + len(batch.table)
            kinds = [
                (path, _unit(vectors[batch.start : stop]))
                for path, vectors in ((part.images, images), (part.texts, texts))
                if path is not None and vectors is not None
            ]
            for offset, row in enumerate(batch.rows()):
                where = f"{name} row {row.number}"
                broken = [path for path, unit in kinds if not unit[offset].any()]
                if broken:
                    file = broken[0].relative_to(self.root).as_posix()
                    yield Rejected(where, f"the vector in {file} is zero or not finite")
                    continue
                vectors_of = {path: unit[offset] for path, unit in kinds}
                image = vectors_of[part.images] if part.images else None
                prompt = vectors_of[part.texts] if part.texts else None
                yield from row.rejections(where)
                yield from read_item(where, partial(_item, row.cells, where, image, prompt))


def _numbered(folder: Path, stem: str) -> dict[int, Path]:
    """Return files such as `img_emb_7.npy` by number, which may have leading zeros.

    Raises SourceError if two files have the same number.
    """
    name = re.compile(rf"{stem}_(\d+)\.(npy|parquet)")
    paths: dict[int, Path] = {}
    for path in sorted(folder.glob(f"{stem}_*")):
        if match := name.fullmatch(path.name):
            number = int(match[1])
            if number in paths:
                raise SourceError(f"{path} and {paths[number]} have the same number: remove one")
            paths[number] = path
    return paths


def _open(path: Path) -> NDArray[Any]:
    """Memory-map an array of floats [n, dim]. Raises SourceError if it is not one."""
    try:
        require_regular(path)
        vectors: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path} cannot be read as an array: {error}") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise SourceError(f"{path} holds {vectors.dtype} {list(vectors.shape)}, expected vectors: floats [n, dim]")
    return vectors


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return the vectors scaled to unit length, float32 [n, dim]; zeros for those that are zero or not finite."""
    # In float64, because the squares of large float16 and float32 values overflow.
    exact = np.asarray(vectors, dtype=np.float64)
    exact = np.where(np.isfinite(exact).all(axis=1, keepdims=True), exact, 0.0)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return (exact / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def _item(
    row: Mapping[str, Any], where: str, image: NDArray[np.float32] | None, prompt: NDArray[np.float32] | None
) -> Item:
    place = next((text(row[name]) for name in _PLACES if row.get(name) not in (None, "")), where)
    caption = row.get("caption")
    words = text(caption).strip() if caption is not None else ""
    settings, extra = split_settings({name: plain(value) for name, value in row.items() if name not in _OWN})
    return Item(
        key=place,
        source=text(row["url"]) if row.get("url") else place,
        prompt=words or None,
        width=size(row.get("width")) or size(row.get("original_width")),
        height=size(row.get("height")) or size(row.get("original_height")),
        settings=settings,
        extra=extra,
        vector=image,
        prompt_vector=prompt if words else None,
    )
