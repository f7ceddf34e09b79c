"""The pictures below a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from promptsearch.encoding.image_io import FORMATS, PLUGINS, unreadable
from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file

from .. import Rejected

# File endings of promptsearch.encoding.image_io.FORMATS; the decoder finds out what a file really is.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
# Of files with other endings, or none, the first bytes are read, but not of these, which lie beside pictures.
_NO_PICTURES = (
    ".txt", ".json", ".caption", ".csv", ".tsv", ".md", ".html", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log",
    ".py", ".parquet", ".npy", ".npz", ".sqlite", ".db", ".zip", ".tar", ".gz", ".7z", ".safetensors", ".ckpt",
    ".pt", ".pth", ".bin", ".onnx", ".gguf", ".pdf", ".mp3", ".wav", ".flac",
)  # fmt: skip


def pictures_below(root: Path) -> Iterator[str | Rejected]:
    """Yield paths below `root` with forward slashes, one folder after the other; no more than one is in memory.

    Hidden files and folders are left out, as are files that are no pictures by their content. Every file and folder
    comes once, under its own name if it has one below the root: links come last, and add only what is hidden or left
    out there. Rejected are links that lead out of the root or to nothing, folders that cannot be listed, pictures of
    formats that cannot be read, and names that are not UTF-8.
    """
    yield from _Walk(root).pictures()


class _Walk:
    """One pass over a folder, without recursion: folders may be nested deeper than Python's calls."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = Path(os.path.realpath(root))
        self._links: list[str] = []  # places of links that were met, to be followed after all else
        self._folders: set[tuple[int, int]] = set()  # (device, inode) of those that were listed
        self._files: set[tuple[int, int]] = set()  # of files that have several names

    def pictures(self) -> Iterator[str | Rejected]:
        yield from self._below("")
        while self._links:
            links, self._links = self._links, []
            for link in links:
                yield from self._follow(link)

    def _below(self, place: str) -> Iterator[str | Rejected]:
        """Folders and files in a folder, depth first and by name."""
        waiting = [iter(self._list(place))]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, Rejected):
                yield entry
            elif entry.endswith("/"):
                waiting.append(iter(self._list(entry.removesuffix("/"))))
            else:
                yield entry

    def _list(self, place: str) -> list[str | Rejected]:
        """Return what a folder has: folders with a slash at the end, pictures, and what cannot be read."""
        folder = self._root / place
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in self._folders:
                return []
            self._folders.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(
                    (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
                )
            return [listed for entry in found for listed in self._entry(entry, place)]
        except OSError as error:
            return [Rejected(_as_text(place) or ".", f"the folder cannot be listed: {error.strerror}")]

    def _entry(self, entry: os.DirEntry[str], place: str) -> Iterator[str | Rejected]:
        inner = f"{place}/{entry.name}" if place else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if _as_text(entry.name) != entry.name:
            if is_folder or _is_picture(entry.name):
                yield Rejected(repr(inner), "the name is not UTF-8: rename it")
        elif entry.is_symlink():
            self._links.append(inner)
        elif is_folder:
            yield f"{inner}/"
        elif (found := _picture(self._root / inner, inner)) is not None:
            with contextlib.suppress(OSError):  # it went away, as whatever reads it will say
                if not self._is_new(entry.stat()):
                    return
            yield found

    def _follow(self, link: str) -> Iterator[str | Rejected]:
        path = self._root / link
        try:
            target = path.resolve(strict=True)
            status = target.stat()
        except (OSError, RuntimeError):  # Python up to 3.12 raises RuntimeError for a link to itself
            if _is_picture(link) or not PurePosixPath(link).suffix:
                yield Rejected(link, "the link leads to nothing")
            return
        is_folder = target.is_dir()
        found = None if is_folder else _picture(target, link)
        if not is_folder and found is None:
            return
        if not target.is_relative_to(self._real_root):
            yield Rejected(link, "the link leads out of the source's folder: name that as a source of its own")
        elif is_folder:
            yield from self._below(link)
        elif found is not None and not self._was_listed(target) and self._is_new(status, linked=True):
            yield found

    def _was_listed(self, file: Path) -> bool:
        """Whether a file, given without links, came under its own name."""
        place = file.relative_to(self._real_root)
        return _picture(file, file.name) is not None and not any(part.startswith(".") for part in place.parts)

    def _is_new(self, status: os.stat_result, *, linked: bool = False) -> bool:
        """Whether a file comes for the first time. Files with one name need no remembering."""
        if status.st_nlink == 1 and not linked:
            return True
        identity = (status.st_dev, status.st_ino)
        if identity in self._files:
            return False
        self._files.add(identity)
        return True


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _picture(path: Path, place: str) -> str | Rejected | None:
    """Return the place of a picture, a rejection for one that cannot be read, or a video, and None for other files.

    Files with other endings than those of pictures, or none, are judged by their first bytes.
    """
    if _is_picture(place):
        return place
    if place.lower().endswith(_NO_PICTURES):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # no picture, as far as anyone knows
        return None
    kind = kind_of_file(head)
    if kind is None:
        return None
    can_read = kind.upper() in FORMATS or (kind in PLUGINS and PLUGINS[kind][0] in FORMATS)
    return place if can_read else Rejected(place, unreadable(head))


def _as_text(name: str) -> str:
    """Names that are not UTF-8 come as halves of surrogate pairs, which no database takes."""
    return name.encode("utf-8", "replace").decode()
