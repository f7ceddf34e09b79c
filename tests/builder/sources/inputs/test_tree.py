from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.sources import Rejected
from builder.sources.inputs.tree import pictures_below


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_only_pictures_are_listed_in_order(tmp_path: Path) -> None:
    touch(
        tmp_path, "b.PNG", "a/z.jpg", "a/y/x.webp", "c.txt", "d", "夜/ü.avif", ".hidden.png", ".cache/e.png", "a.jpeg"
    )
    assert list(pictures_below(tmp_path)) == ["a/y/x.webp", "a/z.jpg", "a.jpeg", "b.PNG", "夜/ü.avif"]


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png/b.png")
    assert list(pictures_below(tmp_path)) == ["a.png/b.png"]


def test_links_to_listed_pictures_are_skipped_and_cycles_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "0.png").symlink_to(tmp_path / "b" / "2.png")
    (tmp_path / "d").symlink_to("d")
    assert list(pictures_below(tmp_path)) == ["a/1.png", "b/2.png", Rejected("d", "the link leads to nothing")]


def test_links_to_unlisted_targets_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, ".store/objects/1.png", ".store/objects/2", "z.png")
    for link in ("a", "b"):
        (tmp_path / link).symlink_to(".store/objects")
    (tmp_path / "c.png").symlink_to(".store/objects/2")
    (tmp_path / "d.png").symlink_to(".store/objects/2")
    assert list(pictures_below(tmp_path)) == ["z.png", "a/1.png", "c.png"]


def test_links_out_of_the_root_are_rejected(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/2.png", "elsewhere/notes.txt", "root/1.png")
    root = tmp_path / "root"
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "c.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (root / "e.txt").symlink_to(tmp_path / "elsewhere" / "notes.txt")
    (root / "f.png").symlink_to("nowhere")
    (root / "g.txt").symlink_to("nowhere")
    first, *rejected = pictures_below(root)
    assert first == "1.png"
    outside = "the link leads out of the source's folder: build that folder as another source"
    assert rejected == [
        Rejected("b", outside), Rejected("c.png", outside), Rejected("f.png", "the link leads to nothing")
    ]  # fmt: skip


def test_a_root_that_is_a_link_is_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    touch(tmp_path, "real/1.png", "real/.store/2.png")
    (tmp_path / "real" / "3.png").symlink_to(".store/2.png")
    (tmp_path / "root").symlink_to("real")
    assert list(pictures_below(tmp_path / "root")) == ["1.png", "3.png"]


def test_a_file_with_two_names_is_listed_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "c.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    assert list(pictures_below(tmp_path)) == ["a.png", "c.png"]


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("1.png", os.O_CREAT, dir_fd=here))
    os.close(here)
    touch(tmp_path, "z.png")
    deep = "d/" * 1500 + "1.png"
    assert list(pictures_below(tmp_path)) == [deep, "z.png"]
    (tmp_path / deep).unlink()
    for depth in range(1500, 0, -1):
        (tmp_path / ("d/" * depth)).rmdir()


def test_a_folder_that_disappears_is_rejected(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png", "c/3.png")
    pictures = pictures_below(tmp_path)
    assert next(pictures) == "a/1.png"
    (tmp_path / "b" / "2.png").unlink()
    (tmp_path / "b").rmdir()
    rejected, last = pictures
    assert isinstance(rejected, Rejected)
    assert rejected.where == "b"
    assert last == "c/3.png"


def test_a_name_that_is_not_utf_8_is_rejected(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))).touch()
    except OSError:
        pytest.skip("this file system allows UTF-8 names alone")
    touch(tmp_path, "a.png")
    pictures, rejected = pictures_below(tmp_path)
    assert pictures == "a.png"
    assert isinstance(rejected, Rejected)
    rejected.where.encode()
