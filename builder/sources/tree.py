"""The pictures below a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from promptsearch.encoding.image_io import FORMATS, PLUGINS, unreadable
from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file

from . import Rejected

# File endings of promptsearch.encoding.image_io.FORMATS; the decoder finds out what a file really is.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
# Of files with other endings, or none, the first bytes are read, but not of these, which lie beside pictures.
_NO_PICTURES = (
    ".txt", ".json", ".caption", ".csv", ".tsv", ".md", ".html", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log",
    ".py", ".parquet", ".npy", ".npz", ".sqlite", ".db", ".zip", ".tar", ".gz", ".7z", ".safetensors", ".ckpt",
    ".pt", ".pth", ".bin", ".onnx", ".gguf", ".pdf", ".mp3", ".wav", ".flac",
)  # fmt: skip


def pictures_below(root: Path) -> Iterator[str | Rejected]:
    """Paths below `root` with forward slashes, one folder after the other; no more than one is in memory.

    Hidden files and folders are left out, as are files that are no pictures by their content. Links to folders are
    followed, but never back into a folder that we are in. What cannot be listed or read, or has a name that is no text,
    is rejected.
    """
    yield from _below(root, "", ())


def _below(folder: Path, place: str, above: tuple[tuple[int, int], ...]) -> Iterator[str | Rejected]:
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        yield Rejected(place or ".", f"the folder cannot be listed: {error.strerror}")
        return
    for name, is_folder in found:
        inner = f"{place}/{name}" if place else name
        if not _is_text(name):
            if is_folder or name.lower().endswith(SUFFIXES):
                yield Rejected(repr(inner), "the name is no UTF-8: rename it")
        elif is_folder:
            yield from _below(folder / name, inner, (*above, identity))
        elif name.lower().endswith(SUFFIXES):
            yield inner
        elif not name.lower().endswith(_NO_PICTURES):
            yield from _by_content(folder / name, inner)


def _by_content(path: Path, place: str) -> Iterator[str | Rejected]:
    """The place of a picture with another ending, or none; a rejection for one that cannot be read, or a video."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # no picture, as far as anyone knows
        return
    kind = kind_of_file(head)
    if kind is None:
        return
    if kind.upper() in FORMATS or (kind in PLUGINS and PLUGINS[kind][0] in FORMATS):
        yield place
    else:
        yield Rejected(place, unreadable(head))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: to be read as a file, which then says why it cannot be
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as half surrogate pairs
        return False
    return True
