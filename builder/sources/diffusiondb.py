"""`diffusiondb`: DiffusionDB's parts, as folders or as the zip archives that are downloaded; or its prompts alone.

A part is `part-000001/` or `part-000001.zip`, with up to 1,000 pictures and `part-000001.json`, which names each
picture's prompt and settings. Parts are found in the folder itself, in its `images/` (DiffusionDB 2M) and in its
`diffusiondb-large-part-1/` and `-2/` (Large). Archives are read without unpacking; a part that is there as both is read
as a folder.

`metadata.parquet` or `metadata-large.parquet` in that folder adds timestamp, size, user name and NSFW scores (0 to 1; 2
where the generator blurred the picture itself). Its rows come in no useful order, so those of the parts that are here
are first copied to a temporary database (17 microseconds and 260 bytes of disk each: four minutes and 4 GB for all of
Large, half a microsecond for each row of parts that are not here); what is in memory does not grow with them.

Without any parts, or where the path is the Parquet file itself, the metadata alone makes a collection of prompts.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute

from promptsearch.errors import SourceError
from promptsearch.metadata.values import size, text, told

from . import Item, Picture, Rejected
from .inputs.lookup import Lookup
from .inputs.picture import DAMAGED, FilePicture, ZipPicture
from .inputs.reading import read_item
from .inputs.tables import batches, columns_of, rows_in
from .inputs.tree import SUFFIXES

METADATA = ("metadata.parquet", "metadata-large.parquet")
PART = re.compile(r"part-(\d{6})(\.zip)?")
CONTAINERS = re.compile(r"images|diffusiondb-large-part-\d+")
FULL = 1000  # pictures of a part; a data set's last part has fewer
_JSON_BYTES = 2**26  # of one part's; a thousand prompts take less than one megabyte
# metadata.parquet's samplers, from DiffusionDB's data card
_SAMPLERS = {
    1: "ddim",
    2: "plms",
    3: "k_euler",
    4: "k_euler_ancestral",
    5: "k_heun",
    6: "k_dpm_2",
    7: "k_dpm_2_ancestral",
    8: "k_lms",
}
_NAMES = {"se": "seed", "c": "cfg_scale", "st": "steps", "sa": "sampler"}  # a part's JSON's names for our settings
_ADDED = ("timestamp", "width", "height", "user_name", "image_nsfw", "prompt_nsfw")  # what the JSON doesn't have
_REQUIRED = ("image_name", "prompt", "part_id")
_WHOLE = (*_REQUIRED, "seed", "step", "cfg", "sampler", *_ADDED)


class DiffusionDBSource:
    kind = "diffusiondb"

    def __init__(self, path: Path) -> None:
        """`path`: the folder of parts and/or metadata, one part, or a Parquet file of metadata."""
        whole = path.resolve()
        is_part = PART.fullmatch(whole.name) is not None
        self.root = whole if whole.is_dir() and not is_part else whole.parent
        if is_part:
            self._parts = {_number(whole): whole}
        else:
            self._parts = _parts(whole) if whole.is_dir() else {}
        if whole.suffix == ".parquet" and whole.is_file():
            self._metadata: Path | None = whole
        elif self._parts or whole.is_dir():
            # Beside the parts, or beside the folder of parts that was named.
            places = (self.root, self.root.parent) if CONTAINERS.fullmatch(self.root.name) else (self.root,)
            self._metadata = next((p / name for p in places for name in METADATA if (p / name).is_file()), None)
        else:
            self._metadata = None
        if not self._parts and not self._metadata:
            raise SourceError(
                f"{path} has neither part-000001/ nor part-000001.zip (here, in images/ or in "
                f"diffusiondb-large-part-1/), nor {' or '.join(METADATA)}"
            )
        if self._metadata and (missing := set(_REQUIRED) - set(columns_of(self._metadata))):
            raise SourceError(f"{self._metadata} has no column {', '.join(sorted(missing))}: it is not DiffusionDB's")

    def count(self) -> int:
        if not self._parts and self._metadata:
            return rows_in(self._metadata)
        return FULL * len(self._parts)

    def items(self) -> Iterator[Item | Rejected]:
        if not self._parts:
            assert self._metadata is not None
            yield from _prompts(self._metadata)
            return
        with Lookup() if self._metadata else nullcontext() as added:
            if added is not None and self._metadata:
                try:
                    _collect(self._metadata, self._parts.keys(), added)
                except (SourceError, pyarrow.ArrowException) as error:
                    # Damaged further in: the pictures are still pictures.
                    yield Rejected(self._metadata.name, f"{error}; parts are read with what came before")
            for number, path in sorted(self._parts.items()):
                yield from self._part(number, path, added)

    def _part(self, number: int, path: Path, added: Lookup | None) -> Iterator[Item | Rejected]:
        name = f"part-{number:06}"
        place = path.relative_to(self.root).as_posix()
        is_zip = path.suffix == ".zip"
        try:
            raw, names = (_read_zip if is_zip else _read_folder)(path, f"{name}.json")
        except DAMAGED as error:
            yield Rejected(place, f"the part cannot be read: {error}")
            return
        try:
            told_of = _object(raw)
        except ValueError as error:
            yield Rejected(f"{place}/{name}.json", f"{error}; its pictures are read without prompts")
            told_of = {}
        for file in sorted({*told_of, *names}):
            if not _is_name(file):
                yield Rejected(f"{place}/{name}.json", f"{text(file)!r} is no picture's name")
                continue
            entry = told_of.get(file, {})
            if not isinstance(entry, dict):
                yield Rejected(f"{place}/{name}.json", f"{file}: this is no JSON object; the picture is read without")
                entry = {}
            # A picture that is named but missing is the decoder's to tell of; its prompt stays.
            in_folder = FilePicture(self.root, f"{place}/{file}")
            picture = ZipPicture(path, names.get(file, file)) if is_zip else in_folder
            row = json.loads((added.get(file) if added else None) or "{}")
            yield from read_item(f"{place}/{file}", partial(_item, number, file, entry, row, picture))


def _parts(folder: Path) -> dict[int, Path]:
    """Where each part is; the first place counts, and a folder before an archive."""
    with os.scandir(folder) as entries:
        inner = sorted(Path(entry.path) for entry in entries if CONTAINERS.fullmatch(entry.name) and entry.is_dir())
    found: dict[int, Path] = {}
    for container in (folder, *inner):
        for path in sorted(container.glob("part-*")):
            if PART.fullmatch(path.name) and path.is_dir() != (path.suffix == ".zip"):
                found.setdefault(_number(path), path)
    return found


def _number(part: Path) -> int:
    return int(part.name.removesuffix(".zip").removeprefix("part-"))


def _read_folder(path: Path, name: str) -> tuple[bytes, dict[str, str]]:
    """The part's JSON (empty where there is none), and its pictures' names."""
    with os.scandir(path) as entries:
        names = {entry.name: entry.name for entry in entries if _is_picture(entry.name)}
    json_file = path / name
    if not json_file.is_file():
        return b"", names
    with json_file.open("rb") as file:
        return file.read(_JSON_BYTES + 1), names


def _read_zip(path: Path, name: str) -> tuple[bytes, dict[str, str]]:
    """The same of an archive; a picture's name is the last part of its member's."""
    with zipfile.ZipFile(path) as archive:
        members = {member.rpartition("/")[2]: member for member in reversed(archive.namelist())}
        names = {file: member for file, member in members.items() if _is_picture(file)}
        if name not in members:
            return b"", names
        with archive.open(members[name]) as file:
            return file.read(_JSON_BYTES + 1), names


def _object(raw: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    if not raw:
        raise ValueError("no such file")
    if len(raw) > _JSON_BYTES:
        raise ValueError(f"more than {_JSON_BYTES >> 20} MB are no part's")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004 - the file is wrong, not the program
    return found


def _is_picture(file: str) -> bool:
    return file.lower().endswith(SUFFIXES) and not file.startswith(".")


def _is_name(file: str) -> bool:
    """Whether this is the name of a file in the part's own folder."""
    return file.isprintable() and "/" not in file and "\\" not in file and file not in ("", ".", "..")


def _item(number: int, file: str, entry: Mapping[str, Any], row: Mapping[str, Any], picture: Picture | None) -> Item:
    """Of a part's entry, or of nothing but the metadata's row."""
    key = f"part-{number:06}/{file}"
    prompt = entry.get("p", row.get("prompt"))
    cells = {name: value for name, value in row.items() if name not in ("prompt", "width", "height")}
    cells |= {ours: entry.get(theirs) for theirs, ours in _NAMES.items() if theirs in entry}
    settings, extra = told(cells)
    return Item(
        key=key,
        source=key,
        prompt=text(prompt).strip() or None if prompt is not None else None,
        picture=picture,
        width=size(row.get("width")),
        height=size(row.get("height")),
        settings=settings,
        extra=extra,
    )


def _prompts(metadata: Path) -> Iterator[Item | Rejected]:
    columns = [name for name in columns_of(metadata) if name in _WHOLE]
    number = 0
    for _, batch in batches(metadata, columns):
        for row in batch.to_pylist():
            name, part = row["image_name"], row["part_id"]
            if isinstance(name, str) and isinstance(part, int) and _is_name(name):
                yield from read_item(f"part-{part:06}/{name}", partial(_item, part, name, {}, _renamed(row), None))
            else:
                yield Rejected(f"{metadata.name} row {number}", f"image_name {name!r} in part {part!r} is no picture")
            number += 1


def _collect(metadata: Path, parts: Any, added: Lookup) -> None:
    """What the metadata adds to the pictures of these parts."""
    wanted = pyarrow.array(sorted(parts))
    columns = [name for name in columns_of(metadata) if name in (*_ADDED, "image_name", "part_id")]
    for _, batch in batches(metadata, columns):
        here = batch.filter(compute.is_in(batch.column("part_id").cast(pyarrow.int64()), value_set=wanted))
        added.add(
            (row["image_name"], json.dumps(_renamed(row))) for row in here.to_pylist() if row["image_name"] is not None
        )


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metadata under our names."""
    cells = {
        "prompt": row.get("prompt"),
        "seed": row.get("seed"),
        "steps": row.get("step"),
        "cfg_scale": row.get("cfg"),
        "sampler": _SAMPLERS.get(row.get("sampler") or 0),
        "created": None if row.get("timestamp") is None else str(row["timestamp"]),
        "width": row.get("width"),
        "height": row.get("height"),
        "user_name": row.get("user_name"),
    }
    for name in ("image_nsfw", "prompt_nsfw"):
        if row.get(name) is not None:
            cells[name] = round(float(row[name]), 6)  # half of float32's digits are noise
    return {name: value for name, value in cells.items() if value is not None}
