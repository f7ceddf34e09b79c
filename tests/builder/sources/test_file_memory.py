"""What is remembered of files comes back whole, for the same root, file and signature alone."""

from __future__ import annotations

from pathlib import Path

from builder.sources import Item, Rejected
from builder.sources.file_memory import RECENT, FileMemory
from builder.sources.inputs.picture import FilePicture, RememberedPicture

DIGEST = bytes(range(16))
LONG_AGO = 0.0


def read(root: Path) -> list[Item | Rejected]:
    """Return the rejection of a sidecar, and an item with something in each of its parts."""
    item = Item(
        "a/夜.png", "a/夜.png", "a prompt\n夜", FilePicture(root, "a/夜.png"),
        settings={"seed": 2**60, "cfg_scale": 7.5}, extra={"lora": ["x"], "odd": None},
        raw={"parameters": '{"a": "\\ud800"}'},
    )  # fmt: skip
    return [Rejected("a/夜.json", "not JSON; the picture is kept"), item]


def learn(path: Path, root: Path, changed: float = LONG_AGO) -> None:
    with FileMemory(path, root) as memory:
        memory.reading("a/夜.png", "signature", changed, read(root))
        memory.learn("a/夜.png", DIGEST)


def test_remembered_items_are_returned_with_their_digest(tmp_path: Path) -> None:
    learn(tmp_path / "cache" / "files.sqlite", tmp_path)
    with FileMemory(tmp_path / "cache" / "files.sqlite", tmp_path) as memory:
        assert memory.count() == 1
        rejected, item = memory.recall("a/夜.png", "signature") or ()
        expected_rejected, expected = read(tmp_path)
        assert rejected == expected_rejected
        assert isinstance(item, Item)
        assert isinstance(expected, Item)
        assert item.picture == RememberedPicture(tmp_path, "a/夜.png", DIGEST)
        assert (item.key, item.source, item.prompt) == (expected.key, expected.source, expected.prompt)
        assert (item.settings, item.extra, item.raw) == (expected.settings, expected.extra, expected.raw)


def test_another_signature_file_or_root_is_not_known(tmp_path: Path) -> None:
    learn(tmp_path / "files.sqlite", tmp_path)
    with FileMemory(tmp_path / "files.sqlite", tmp_path) as memory:
        assert memory.recall("a/夜.png", "other") is None
        assert memory.recall("b.png", "signature") is None
        assert memory.recall("a/夜.png", None) is not None  # whatever was read last
    with FileMemory(tmp_path / "files.sqlite", tmp_path / "a") as memory:
        assert memory.recall("a/夜.png", "signature") is None
        assert memory.count() == 0


def test_a_file_without_a_digest_or_with_a_recent_change_is_forgotten(tmp_path: Path) -> None:
    with FileMemory(tmp_path / "files.sqlite", tmp_path) as memory:
        memory.reading("a/夜.png", "signature", LONG_AGO, read(tmp_path))
    with FileMemory(tmp_path / "files.sqlite", tmp_path) as memory:
        assert memory.count() == 0
    learn(tmp_path / "files.sqlite", tmp_path, changed=4e9 - RECENT)  # a clock that is ahead
    with FileMemory(tmp_path / "files.sqlite", tmp_path) as memory:
        assert memory.count() == 0


def test_two_builds_may_remember_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "files.sqlite"
    with FileMemory(path, tmp_path / "a") as one, FileMemory(path, tmp_path / "b") as other:
        for memory in (one, other):
            memory.reading("x.png", "signature", LONG_AGO, [])
            memory.learn("x.png", DIGEST)
    for root in ("a", "b"):
        with FileMemory(path, tmp_path / root) as memory:
            assert memory.recall("x.png", "signature") == []
