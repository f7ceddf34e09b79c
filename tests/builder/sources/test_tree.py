from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.sources import Rejected
from builder.sources.tree import pictures_below


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_pictures_come_in_order_and_nothing_else_does(tmp_path: Path) -> None:
    touch(
        tmp_path, "b.PNG", "a/z.jpg", "a/y/x.webp", "c.txt", "d", "夜/ü.avif", ".hidden.png", ".cache/e.png", "a.jpeg"
    )
    assert list(pictures_below(tmp_path)) == ["a/y/x.webp", "a/z.jpg", "a.jpeg", "b.PNG", "夜/ü.avif"]


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png/b.png")
    assert list(pictures_below(tmp_path)) == ["a.png/b.png"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "root/a/1.png", "elsewhere/2.png")
    (tmp_path / "root" / "a" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "a" / "self").symlink_to(tmp_path / "root" / "a")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "c.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "root" / "d").symlink_to("d")
    (tmp_path / "root" / "gone").symlink_to("nowhere")
    assert list(pictures_below(tmp_path / "root")) == ["a/1.png", "b/2.png", "c.png"]


def test_a_folder_that_went_away_is_told_of(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png", "c/3.png")
    found = pictures_below(tmp_path)
    assert next(found) == "a/1.png"
    (tmp_path / "b" / "2.png").unlink()
    (tmp_path / "b").rmdir()
    rejected, last = found
    assert isinstance(rejected, Rejected)
    assert rejected.where == "b"
    assert last == "c/3.png"


def test_a_name_that_is_no_text_is_told_of(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))).touch()
    except OSError:
        pytest.skip("this file system allows UTF-8 names alone")
    touch(tmp_path, "a.png")
    found, rejected = pictures_below(tmp_path)
    assert found == "a.png"
    assert isinstance(rejected, Rejected)
    rejected.where.encode()
