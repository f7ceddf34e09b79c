"""A folder whose unchanged files are not read again gives what reading all of them gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.sources import Item, Rejected
from builder.sources.file_memory import RECENT, FileMemory
from builder.sources.folder import FolderSource
from builder.sources.inputs.picture import RememberedPicture
from builder.sources.inputs.storable import storable
from builder.sources.remembered_folder import RememberedFolder
from tests.promptsearch.metadata import samples
from tests.support.drawing import as_bytes, picture

PAST = 1_600_000_000  # seconds: files of this age are trusted


def save(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(picture(seed, 8, 8)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write pictures with and without metadata and sidecars, one of which cannot be read; return their folder."""
    root = tmp_path / "pictures"
    for number in range(3):
        save(root / "a" / f"{number}.png", number)
    samples.save_png(root / "b.png", {"parameters": samples.A1111, "prompt": {"1": {}}})
    (root / "a" / "0.txt").write_text("a prompt, 夜")
    (root / "a" / "1.json").write_text("{")
    return root


def read(
    folder: Path, memory: Path, unsettled: frozenset[str] = frozenset(), recent: float = -1.0
) -> list[Item | Rejected]:
    """Read the folder, with every picture's digest learned, as a build does. Files count as old."""
    with FileMemory(memory, folder, recent=recent) as files:
        source = RememberedFolder(FolderSource(folder), files, unsettled)
        items = list(source.items())
        for item in items:
            if isinstance(item, Item):
                source.learn(item, item.key.encode())
        return items


def remembered(items: list[Item | Rejected]) -> set[str]:
    return {item.key for item in items if isinstance(item, Item) and isinstance(item.picture, RememberedPicture)}


def plain(items: list[Item | Rejected]) -> list[object]:
    """Return what is stored of items, wherever it was read from."""
    return [
        (one.key, one.source, one.prompt, one.settings, one.extra, one.raw) if isinstance(one, Item) else one
        for one in map(storable, items)
    ]


def test_unchanged_files_are_remembered_with_all_that_was_read_of_them(folder: Path, tmp_path: Path) -> None:
    expected = plain(list(FolderSource(folder).items()))
    first = read(folder, tmp_path / "files.sqlite")
    second = read(folder, tmp_path / "files.sqlite")
    assert (remembered(first), remembered(second)) == (set(), {"a/0.png", "a/1.png", "a/2.png", "b.png"})
    assert plain(first) == plain(second) == expected
    pictures = [item.picture for item in second if isinstance(item, Item)]
    assert [one.digest for one in pictures if isinstance(one, RememberedPicture)] == [
        one.file.encode() for one in pictures if one is not None and one.file is not None
    ]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda root: save(root / "a" / "2.png", 9), {"a/2.png"}),
        (lambda root: (root / "a" / "0.txt").write_text("another prompt"), {"a/0.png"}),
        (lambda root: (root / "a" / "0.txt").unlink(), {"a/0.png"}),
        (lambda root: (root / "a" / "2.png.txt").write_text("new"), {"a/2.png"}),
        (lambda root: (root / "a" / "1.json").write_text('{"prompt": "mended"}'), {"a/1.png"}),
        (lambda root: (root / "a" / "2.png").rename(root / "c.png"), {"c.png"}),
        (lambda root: os.utime(root / "b.png", (PAST, PAST)), {"b.png"}),
    ],
)
def test_changed_files_are_read_again(
    folder: Path, tmp_path: Path, change: Callable[[Path], object], again: set[str]
) -> None:
    read(folder, tmp_path / "files.sqlite")
    change(folder)
    items = read(folder, tmp_path / "files.sqlite")
    assert {item.key for item in items if isinstance(item, Item)} - remembered(items) == again
    assert plain(items) == plain(list(FolderSource(folder).items()))


def test_files_that_have_just_changed_are_not_trusted(folder: Path, tmp_path: Path) -> None:
    read(folder, tmp_path / "files.sqlite", recent=RECENT)
    assert remembered(read(folder, tmp_path / "files.sqlite")) == set()


def test_files_being_written_keep_their_last_state(folder: Path, tmp_path: Path) -> None:
    before = read(folder, tmp_path / "files.sqlite")
    (folder / "a" / "2.png").write_bytes(b"half")
    save(folder / "new.png")
    during = read(folder, tmp_path / "files.sqlite", frozenset({"a/2.png", "new.png"}))
    assert plain(during) == plain(before)
