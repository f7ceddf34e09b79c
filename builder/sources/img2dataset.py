"""`img2dataset`: the output of img2dataset in its formats `files`, `webdataset` and `parquet`.

A shard is `00000/` (`files`) or `00000.tar` (`webdataset`), each with `00000.parquet` beside it, or `00000.parquet`
alone with the pictures in a column (`parquet`). The caption is the prompt and the link the source; rows that could not
be downloaded are items without a picture. If a shard's Parquet file is missing or damaged, the `.json` and `.txt` files
beside each picture replace it.

Only one shard's list of members is in memory at a time, and no pictures: those of a tar archive are read at the offset
that its headers give; those of Parquet by row group.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from promptsearch.errors import PictureError, SourceError
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.metadata.values import json_object, size, split_settings, text
from promptsearch.system.files import require_regular

from . import Item, Picture, Rejected
from .inputs.picture import FilePicture, SlicePicture
from .inputs.reading import read_item, read_part
from .inputs.tables import CellPicture, batches, columns_of, rows_in
from .inputs.tree import SUFFIXES

SHARD = re.compile(r"(\d{5,})(\.tar|\.parquet)?")
_PICTURES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
_TEXT_BYTES = 2**20  # limit for a caption or metadata file
_OWN = {"caption", "txt", "url", "width", "height", "key"}  # columns that become fields of an item


@dataclass
class _Shard:
    """The files of one shard."""

    name: str
    table: Path | None = None
    folder: Path | None = None
    tar: Path | None = None


@dataclass
class _Sample:
    """The files of a shard that share one key."""

    picture: Picture | None = None
    name: str = ""  # the picture's, within the shard
    texts: dict[str, Picture] = field(default_factory=dict)  # by suffix: json, txt


class Img2DatasetSource:
    """Downloaded pictures with their captions, links and whatever columns the list of links had."""

    kind = "img2dataset"

    def __init__(self, path: Path) -> None:
        """Open img2dataset's output folder. Raises SourceError if it has no shards."""
        if not path.is_dir():
            raise SourceError(f"{path} is not a folder: name img2dataset's output folder")
        self.root = path.resolve()
        shards: dict[str, _Shard] = {}
        with os.scandir(self.root) as entries:
            for entry in entries:
                match = SHARD.fullmatch(entry.name)
                if match is None or entry.is_dir() != (match[2] is None):
                    continue
                shard = shards.setdefault(match[1], _Shard(match[1]))
                if match[2] is None:
                    shard.folder = Path(entry.path)
                elif match[2] == ".tar":
                    shard.tar = Path(entry.path)
                else:
                    shard.table = Path(entry.path)
        if not shards:
            raise SourceError(f"{path} has no shards: neither 00000/ nor 00000.tar nor 00000.parquet")
        self._shards = [shards[name] for name in sorted(shards, key=lambda name: (int(name), name))]

    def count(self) -> int | None:
        """Return the number of rows of the shards' Parquet files; None if there are none or one is damaged."""
        try:
            return sum(rows_in(shard.table) for shard in self._shards if shard.table) or None
        except SourceError:  # a damaged table, which `items` reports
            return None

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the samples by shard: first the rows of its table, then the pictures without a row."""
        for shard in self._shards:
            yield from read_part(shard.name, self._shard(shard), "the rest of the shard is not read")

    def _shard(self, shard: _Shard) -> Iterator[Item | Rejected]:
        samples: dict[str, _Sample] = {}
        if shard.folder:
            yield from _list_folder(self.root, shard.folder, samples)
        if shard.tar:
            yield from read_part(shard.tar.name, _list_tar(shard.tar, samples), "the members before it are read")
        if shard.table:
            rows = self._rows(shard, shard.table, samples)
            yield from read_part(shard.table.name, rows, "the files beside its pictures are used instead")
        for key, sample in samples.items():  # those without a row
            if sample.picture is not None:
                row, problems = _beside(sample)
                for problem in problems:
                    yield Rejected(f"{shard.name}/{key}", f"{problem}; the picture is kept")
                yield from read_item(f"{shard.name}/{key}", partial(_item, shard, key, row, sample))

    def _rows(self, shard: _Shard, table: Path, samples: dict[str, _Sample]) -> Iterator[Item | Rejected]:
        columns = columns_of(table)
        column = next((name for name in columns if name in _PICTURES), None)
        other_columns = [name for name in columns if name != column]
        if "key" not in columns and "url" not in columns:
            raise SourceError(f"{table} has neither a key nor a url column, which img2dataset writes")
        for batch in batches(table, other_columns):
            if isinstance(batch, Rejected):
                yield batch
                continue
            for row in batch.rows():
                key = text(row.cells.get("key") or f"row {row.number}")
                sample = samples.pop(key, _Sample())
                has_cell = column is not None and row.cells.get("status", "success") == "success"
                if sample.picture is None and column is not None and has_cell:
                    sample.picture = CellPicture(table, column, batch.group, row.place)
                where = f"{shard.name}/{key}"
                yield from row.rejections(where)
                yield from read_item(where, partial(_item, shard, key, row.cells, sample))


def _list_folder(root: Path, folder: Path, samples: dict[str, _Sample]) -> Iterator[Rejected]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        yield Rejected(folder.name, f"the folder cannot be listed: {error.strerror}")
        return
    for name in names:
        if not name.startswith(".") and name.isprintable():
            _put(samples, name, FilePicture(root, f"{folder.name}/{name}"))


def _list_tar(path: Path, samples: dict[str, _Sample]) -> Iterator[Rejected]:
    """Add the members of a tar archive to `samples`, reading only headers.

    Nothing is unpacked, so the name of a member cannot lead out of the folder.
    """
    end = path.stat().st_size
    try:
        require_regular(path)
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                if member.size < 0:
                    raise ValueError(f"{text(member.name)} has a size of {member.size} bytes")
                if member.offset_data + member.size > end:
                    yield Rejected(path.name, f"the archive ends within {text(member.name)}")
                    return
                _put(samples, text(member.name), SlicePicture(path, member.offset_data, member.size))
            read_to = archive.offset
        with path.open("rb") as file:  # tarfile treats damage after the first header as the end of the archive
            file.seek(read_to)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                yield Rejected(path.name, "the archive has no proper end; the members before it are read")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        yield Rejected(path.name, f"the archive is damaged; the members before the damage are read: {error}")


def _put(samples: dict[str, _Sample], name: str, place: Picture) -> None:
    """Add a file to its sample: as in webdataset, the key is the path up to the first dot of the file name."""
    folder, slash, file = name.rpartition("/")
    key, _, suffix = file.partition(".")
    sample = samples.setdefault(f"{folder}{slash}{key}", _Sample())
    suffix = suffix.lower()
    if suffix in _PICTURES:
        if sample.picture is None:
            sample.picture, sample.name = place, name
    elif suffix in ("json", "txt"):
        sample.texts.setdefault(suffix, place)


def _beside(sample: _Sample) -> tuple[dict[str, Any], list[str]]:
    """Return the content of the JSON and text files beside a picture, and what is wrong with them."""
    row: dict[str, Any] = {}
    problems = []
    for suffix, place in sample.texts.items():
        try:
            raw = place.read()
            if len(raw) > _TEXT_BYTES:
                raise ValueError("larger than 1 MB, too large for metadata")
            content = decode_text(raw)
            if suffix == "txt":
                row["txt"] = content
                continue
            row |= json_object(content)
        except (ValueError, PictureError) as error:
            problems.append(f"its .{suffix}: {error}")
    return row, problems


def _item(shard: _Shard, key: str, row: Mapping[str, Any], sample: _Sample) -> Item:
    caption = next((row[name] for name in ("caption", "txt") if row.get(name) is not None), None)
    cells = {name: value for name, value in row.items() if name not in _OWN and not isinstance(value, bytes)}
    if cells.get("status") == "success":
        del cells["status"]
    if cells.get("exif") == "{}":
        del cells["exif"]
    settings, extra = split_settings(cells)
    place = f"{shard.name}/{key}"
    return Item(
        key=place,
        source=text(row["url"]) if row.get("url") else place,
        prompt=(text(caption).strip() or None) if caption is not None else None,
        picture=sample.picture,
        width=size(row.get("width")) or size(row.get("original_width")),
        height=size(row.get("height")) or size(row.get("original_height")),
        settings=settings,
        extra=extra,
    )
