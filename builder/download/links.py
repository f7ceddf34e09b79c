"""The image links of a source as Parquet files that img2dataset reads, with all that the source knows beside each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow
from pyarrow import parquet

from ..sources import Item, Rejected, Source

SHARDS_PER_FILE = 100  # img2dataset reads a whole file at once
KEY = "source_key"  # the item's key in its source

# img2dataset's own columns (img2dataset/main.py: arguments_validator): a source's columns of these names are left out.
_RESERVED = {
    "key", "caption", "url", "width", "height", "original_width", "original_height", "status", "error_message",
    "exif", "md5", "sha256", "sha512",
}  # fmt: skip
_COLUMNS = ("url", "link", "image_url", "image_uri")  # columns with a link beside a picture's name


def link_of(item: Item) -> str | None:
    """Return the http(s) link of an item without a picture, None if it has none."""
    if item.picture is not None:
        return None
    for candidate in (item.source, *(item.extra.get(name) for name in _COLUMNS)):
        if isinstance(candidate, str) and candidate.startswith(("http://", "https://")):
            try:
                if urlsplit(candidate).hostname:
                    return candidate
            except ValueError:  # such as half an IPv6 address: img2dataset reports the reason
                return candidate
    return None


@dataclass
class Survey:
    """The contents of a source, as far as a download is concerned."""

    links: int = 0
    without: int = 0  # items without a link, or with a picture
    rejected: int = 0
    types: dict[str, pyarrow.DataType] = field(default_factory=dict)  # of each column beside url and caption
    digest: str = ""  # SHA-256 of every link and its metadata


def survey(source: Source) -> Survey:
    """Read the whole source and return its survey."""
    counts = Survey()
    digest = hashlib.sha256()
    for item in source.items():
        if isinstance(item, Rejected):
            counts.rejected += 1
            continue
        link = link_of(item)
        if link is None:
            counts.without += 1
            continue
        counts.links += 1
        cells = _cells(item)
        for name, value in cells.items():
            kind = _type_of(value)
            counts.types[name] = _common(counts.types.get(name, kind), kind)
        digest.update(json.dumps([link, item.prompt, cells], sort_keys=True, default=str).encode())
    counts.digest = digest.hexdigest()
    return counts


def write_links(source: Source, folder: Path, types: Mapping[str, pyarrow.DataType], shard_size: int) -> None:
    """Write `folder/00000.parquet` and so on, each with SHARDS_PER_FILE row groups of `shard_size` links."""
    schema = pyarrow.schema({"url": pyarrow.string(), "caption": pyarrow.string(), **types})
    writer = None
    for number, rows in enumerate(_groups(source, types, shard_size)):
        if number % SHARDS_PER_FILE == 0:
            if writer is not None:
                writer.close()
            writer = parquet.ParquetWriter(folder / f"{number // SHARDS_PER_FILE:05}.parquet", schema)
        assert writer is not None
        writer.write_table(pyarrow.Table.from_pylist(rows, schema), row_group_size=shard_size)
    if writer is not None:
        writer.close()


def shards_of_links(folder: Path) -> Iterator[list[str]]:
    """Yield the links of each shard, in order."""
    for path in sorted(folder.glob("*.parquet")):
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=["url"]).column("url").to_pylist()


def _groups(source: Source, types: Mapping[str, pyarrow.DataType], size: int) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for item in source.items():
        link = None if isinstance(item, Rejected) else link_of(item)
        if isinstance(item, Rejected) or link is None:
            continue
        cells = {name: _as(types[name], value) for name, value in _cells(item).items() if name in types}
        caption = None if item.prompt is None else _as(pyarrow.string(), item.prompt)
        rows.append({"url": _as(pyarrow.string(), link), "caption": caption, **cells})
        if len(rows) == size:
            yield rows
            rows = []
    if rows:
        yield rows


def _cells(item: Item) -> dict[str, Any]:
    cells = {**item.extra, **item.settings, KEY: item.key}
    return {name: value for name, value in cells.items() if name not in _RESERVED and value is not None}


def _type_of(value: Any) -> pyarrow.DataType:
    match value:
        case bool():
            return pyarrow.bool_()
        case int() if -(2**63) <= value < 2**63:
            return pyarrow.int64()
        case float():
            return pyarrow.float64()
        case _:
            return pyarrow.string()


def _common(first: pyarrow.DataType, second: pyarrow.DataType) -> pyarrow.DataType:
    if first == second:
        return first
    numbers = {pyarrow.int64(), pyarrow.float64()}
    return pyarrow.float64() if {first, second} <= numbers else pyarrow.string()


def _as(kind: pyarrow.DataType, value: Any) -> Any:
    if kind == pyarrow.float64():
        return float(value)
    if kind != pyarrow.string():
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode(errors="replace").decode()  # JSON can carry half a surrogate pair, Parquet cannot
