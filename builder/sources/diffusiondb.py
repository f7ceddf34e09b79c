"""`diffusiondb`: DiffusionDB's parts, as folders or as the downloaded zip archives; or its prompts alone.

A part is `part-000001/` or `part-000001.zip`, with up to 1,000 pictures and `part-000001.json`, which names each
picture's prompt and settings. Parts are found in the folder itself, in its `images/` (DiffusionDB 2M) and in its
`diffusiondb-large-part-1/` and `-2/` (Large). Archives are read without unpacking; a part that exists as both
is read as a folder.

`metadata.parquet` or `metadata-large.parquet` in that folder adds timestamp, size, user name and NSFW scores (0 to 1; 2
if the generator blurred the picture itself). Its rows come in no useful order, so those of the parts on disk are first
copied to a temporary database (17 microseconds and 260 bytes of disk each: four minutes and 4 GB for all of Large, half
a microsecond for each row of a missing part); memory use does not grow with them.

Without any parts, or if the path is the Parquet file itself, the metadata alone gives a collection of prompts.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute

from promptsearch.errors import SourceError
from promptsearch.metadata.values import json_object, plain, size, split_settings, text
from promptsearch.system.files import open_regular, require_regular

from . import Item, Picture, Rejected
from .inputs.lookup import Lookup
from .inputs.picture import FilePicture, ZipPicture
from .inputs.reading import read_item, read_part
from .inputs.tables import batches, columns_of, rows_in
from .inputs.tree import SUFFIXES

METADATA = ("metadata.parquet", "metadata-large.parquet")
PART = re.compile(r"part-(\d{6})(\.zip)?")
CONTAINERS = re.compile(r"images|diffusiondb-large-part-\d+")
FULL = 1000  # pictures of a part; a data set's last part has fewer
_JSON_BYTES = 2**26  # limit for one part's JSON; a thousand prompts take less than one megabyte
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
_NAMES = {"se": "seed", "c": "cfg_scale", "st": "steps", "sa": "sampler"}  # names of our settings in a part's JSON
_ADDED = ("timestamp", "width", "height", "user_name", "image_nsfw", "prompt_nsfw")  # columns that a part's JSON lacks
_REQUIRED = ("image_name", "prompt", "part_id")
_WHOLE = (*_REQUIRED, "seed", "step", "cfg", "sampler", *_ADDED)


class DiffusionDBSource:
    """DiffusionDB's pictures with their prompts and settings, or its prompts alone."""

    kind = "diffusiondb"

    def __init__(self, path: Path) -> None:
        """Open the folder of parts and/or metadata, one part, or a Parquet file of metadata.

        Raises SourceError if there are neither parts nor metadata, or the metadata lacks required columns.
        """
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
            # Beside the parts, or beside the folder of parts that `path` names.
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
        """Return the rows of the metadata or, if there are parts, FULL for each part."""
        if not self._parts and self._metadata:
            return rows_in(self._metadata)
        return FULL * len(self._parts)

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the pictures by part and file name; without parts, the prompts in the metadata's order."""
        if not self._parts:
            assert self._metadata is not None
            yield from _prompts(self._metadata)
            return
        with Lookup() if self._metadata else nullcontext() as added:
            if added is not None and self._metadata:
                collected = _collect(self._metadata, self._parts.keys(), added)
                yield from read_part(self._metadata.name, collected, "parts are read with the rows before that")
            for number, path in sorted(self._parts.items()):
                place = path.relative_to(self.root).as_posix()
                yield from read_part(place, self._part(number, path, added), "the rest of the part is not read")

    def _part(self, number: int, path: Path, added: Lookup | None) -> Iterator[Item | Rejected]:
        name = f"part-{number:06}"
        place = path.relative_to(self.root).as_posix()
        is_zip = path.suffix == ".zip"
        try:
            raw, names = (_read_zip if is_zip else _read_folder)(path, f"{name}.json")
        except Exception as error:  # zipfile raises many types for damaged archives
            yield Rejected(place, f"the part cannot be read: {error}")
            return
        try:
            entries = _object(raw)
        except ValueError as error:
            yield Rejected(f"{place}/{name}.json", f"{error}; its pictures are read without prompts")
            entries = {}
        for file in sorted({*entries, *names}):
            if not _is_name(file):
                yield Rejected(f"{place}/{name}.json", f"{text(file)!r} is not the name of a picture")
                continue
            entry = entries.get(file, {})
            if not isinstance(entry, dict):
                yield Rejected(
                    f"{place}/{name}.json", f"{file}: not a JSON object; the picture is read without metadata"
                )
                entry = {}
            # The decoder reports a picture that is named but missing; its prompt is kept.
            in_folder = FilePicture(self.root, f"{place}/{file}")
            picture = ZipPicture(path, names.get(file, file)) if is_zip else in_folder
            yield from read_item(f"{place}/{file}", partial(_pictured, number, file, entry, added, picture))


def _parts(folder: Path) -> dict[int, Path]:
    """Return the path of each part by number: the first place wins, and a folder before an archive."""
    with os.scandir(folder) as entries:
        inner = sorted(Path(entry.path) for entry in entries if CONTAINERS.fullmatch(entry.name) and entry.is_dir())
    parts: dict[int, Path] = {}
    for container in (folder, *inner):
        for path in sorted(container.glob("part-*")):
            if PART.fullmatch(path.name) and path.is_dir() != (path.suffix == ".zip"):
                parts.setdefault(_number(path), path)
    return parts


def _number(part: Path) -> int:
    return int(part.name.removesuffix(".zip").removeprefix("part-"))


def _read_folder(path: Path, name: str) -> tuple[bytes, dict[str, str]]:
    """Return the part's JSON (empty if there is none), and its pictures' names."""
    with os.scandir(path) as entries:
        names = {entry.name: entry.name for entry in entries if _is_picture(entry.name)}
    json_file = path / name
    if not json_file.is_file():
        return b"", names
    with open_regular(json_file) as file:
        return file.read(_JSON_BYTES + 1), names


def _read_zip(path: Path, name: str) -> tuple[bytes, dict[str, str]]:
    """Return the same for an archive; the name of a picture is the last component of its member's name."""
    require_regular(path)
    with zipfile.ZipFile(path) as archive:
        members = {member.rpartition("/")[2]: member for member in reversed(archive.namelist())}
        names = {file: member for file, member in members.items() if _is_picture(file)}
        if name not in members:
            return b"", names
        with archive.open(members[name]) as file:
            return file.read(_JSON_BYTES + 1), names


def _object(raw: bytes) -> dict[str, Any]:
    """Parse a part's JSON object. Raises ValueError if it is empty, too large, or not a JSON object."""
    if not raw:
        raise ValueError("no such file")
    if len(raw) > _JSON_BYTES:
        raise ValueError(f"larger than {_JSON_BYTES >> 20} MB, too large for one part")
    return json_object(raw)


def _is_picture(file: str) -> bool:
    return file.lower().endswith(SUFFIXES) and not file.startswith(".")


def _is_name(file: str) -> bool:
    """Return whether this is the name of a file in the part's own folder."""
    return file.isprintable() and "/" not in file and "\\" not in file and file not in ("", ".", "..")


def _pictured(number: int, file: str, entry: Mapping[str, Any], added: Lookup | None, picture: Picture) -> Item:
    """Return the item for a part's JSON entry, with the row of metadata that was collected for its picture."""
    row = json.loads((added.get(file) if added else None) or "{}")
    return _item(number, file, entry, row, picture)


def _item(number: int, file: str, entry: Mapping[str, Any], row: Mapping[str, Any], picture: Picture | None) -> Item:
    """Return the item for a part's JSON entry and its row of metadata, either of which may be empty."""
    key = f"part-{number:06}/{file}"
    prompt = entry.get("p", row.get("prompt"))
    cells = {name: value for name, value in row.items() if name not in ("prompt", "width", "height")}
    cells |= {ours: entry.get(theirs) for theirs, ours in _NAMES.items() if theirs in entry}
    settings, extra = split_settings(cells)
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
    for batch in batches(metadata, columns):
        if isinstance(batch, Rejected):
            yield batch
            continue
        for row in batch.rows():
            where = f"{metadata.name} row {row.number}"
            yield from row.rejections(where)
            yield from read_item(where, partial(_unpictured, row.cells))


def _unpictured(row: Mapping[str, Any]) -> Item:
    """Return the item for a row of metadata alone. Raises ValueError if it does not name a picture."""
    name, part = row.get("image_name"), row.get("part_id")
    if not (isinstance(name, str) and isinstance(part, int) and _is_name(name)):
        raise ValueError(f"image_name {name!r} in part {part!r} is not the name of a picture")
    return _item(part, name, {}, _renamed(row), None)


def _collect(metadata: Path, parts: Any, added: Lookup) -> Iterator[Rejected]:
    """Copy the metadata of these parts' pictures to `added`: JSON by file name. Yield a rejection for each damage."""
    wanted = pyarrow.array(sorted(parts))
    columns = [name for name in columns_of(metadata) if name in (*_ADDED, "image_name", "part_id")]
    for batch in batches(metadata, columns):
        if isinstance(batch, Rejected):
            yield batch
            continue
        here = batch.table.filter(compute.is_in(batch.table.column("part_id").cast(pyarrow.int64()), value_set=wanted))
        named = [row for row in replace(batch, table=here).rows() if isinstance(row.cells.get("image_name"), str)]
        added.add((row.cells["image_name"], json.dumps(_renamed(row.cells))) for row in named)
        for row in named:
            yield from row.rejections(f"{metadata.name}: {row.cells['image_name']}")


def _sampler(number: Any) -> Any:
    """Return the name of a sampler by its number; anything else is returned as is."""
    return _SAMPLERS.get(number) if isinstance(number, int) else number


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of metadata under our names, without empty cells."""
    cells = {
        "prompt": row.get("prompt"),
        "seed": row.get("seed"),
        "steps": row.get("step"),
        "cfg_scale": row.get("cfg"),
        "sampler": _sampler(row.get("sampler")),
        "created": None if row.get("timestamp") is None else str(row["timestamp"]),
        **{name: row.get(name) for name in ("width", "height", "user_name", "image_nsfw", "prompt_nsfw")},
    }
    for name in ("image_nsfw", "prompt_nsfw"):
        if isinstance(cells[name], float):
            cells[name] = round(cells[name], 6)  # float32 has about seven significant digits
    return {name: plain(value) for name, value in cells.items() if value is not None}
