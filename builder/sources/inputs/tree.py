"""List the pictures below a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from promptsearch.encoding.image_io import FORMATS, PLUGINS, unreadable
from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file
from promptsearch.system.files import open_regular

from .. import Rejected

# Suffixes of promptsearch.encoding.image_io.FORMATS; the decoder checks what a file really is.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
# Files with any other suffix are recognised by their first bytes, except these, which are common beside pictures.
_NO_PICTURES = (
    ".txt", ".json", ".caption", ".csv", ".tsv", ".md", ".html", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log",
    ".py", ".parquet", ".npy", ".npz", ".sqlite", ".db", ".zip", ".tar", ".gz", ".7z", ".safetensors", ".ckpt",
    ".pt", ".pth", ".bin", ".onnx", ".gguf", ".pdf", ".mp3", ".wav", ".flac",
)  # fmt: skip


def pictures_below(root: Path) -> Iterator[str | Rejected]:
    """Yield the paths of pictures below `root`, with forward slashes, holding one listing a level in memory.

    Hidden files and folders are skipped, as are files whose content is not a picture. Every file and folder comes once,
    under its own name if it has one below the root: links come last, and add only targets that were skipped. Yield a
    rejection for links that lead out of the root or to nothing, folders that cannot be listed, pictures of unsupported
    formats, and names that are not UTF-8.
    """
    yield from _Walk(root).pictures()


class _Walk:
    """One pass over a folder, without recursion, because folders may be nested deeper than Python's call limit."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = Path(os.path.realpath(root))
        self._links: list[str] = []  # paths of links, which are followed last
        self._folders: set[tuple[int, int]] = set()  # (device, inode) of listed folders
        self._files: set[tuple[int, int]] = set()  # of files with several names

    def pictures(self) -> Iterator[str | Rejected]:
        yield from self._below("")
        while self._links:
            links, self._links = self._links, []
            for link in links:
                yield from self._follow(link)

    def _below(self, place: str) -> Iterator[str | Rejected]:
        """Yield the pictures below a folder, depth first and by name."""
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
        """Return the entries of a folder: folders with a trailing slash, pictures, and rejections."""
        folder = self._root / place
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in self._folders:
                return []
            self._folders.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                by_name = sorted(
                    (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
                )
            return [listed for entry in by_name for listed in self._entry(entry, place)]
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
        elif (picture := _picture(self._root / inner, inner)) is not None:
            with contextlib.suppress(OSError):  # the file is gone, which its reader reports
                if not self._is_new(entry.stat()):
                    return
            yield picture

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
        picture = None if is_folder else _picture(target, link)
        if not is_folder and picture is None:
            return
        if not target.is_relative_to(self._real_root):
            yield Rejected(link, "the link leads out of the source's folder: build that folder as another source")
        elif is_folder:
            yield from self._below(link)
        elif picture is not None and not self._was_listed(target) and self._is_new(status, linked=True):
            yield picture

    def _was_listed(self, file: Path) -> bool:
        """Return whether a file (its path resolved) was yielded under its own name."""
        place = file.relative_to(self._real_root)
        return _picture(file, file.name) is not None and not any(part.startswith(".") for part in place.parts)

    def _is_new(self, status: os.stat_result, *, linked: bool = False) -> bool:
        """Return whether a file comes for the first time. Files with a single name are not recorded."""
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
    """Return the place of a picture, a rejection for a video or an unsupported format, None for other files.

    Files without the suffix of a picture are recognised by their first bytes.
    """
    if _is_picture(place):
        return place
    if place.lower().endswith(_NO_PICTURES):
        return None
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # unreadable, so nothing suggests a picture
        return None
    kind = kind_of_file(head)
    if kind is None:
        return None
    can_read = kind.upper() in FORMATS or (kind in PLUGINS and PLUGINS[kind][0] in FORMATS)
    return place if can_read else Rejected(place, unreadable(head))


def _as_text(name: str) -> str:
    """Replace the lone surrogates that stand for bytes that are not UTF-8, which no database accepts."""
    return name.encode("utf-8", "replace").decode()
