"""The folder of shards, on a file system and in a store."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from builder.encode.runners.shards import Shards
from promptsearch.errors import BuildError


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("bucket")) if request.param == "s3" else str(tmp_path / "shards")


def test_shards_are_visible_to_other_processes(url: str) -> None:
    shards = Shards.at(url, "c")
    assert shards.names() == []
    assert shards.get("a.npz") is None
    for content in (b"one", b"another"):
        shards.put("a.npz", content)
        other: Shards = pickle.loads(pickle.dumps(shards))
        assert other.get("a.npz") == content
    assert other.has("a.npz")
    assert not other.has("b.npz")
    assert other.names() == ["a.npz"]
    with other.open("a.npz") as file:
        file.seek(3)
        assert file.read(2) == b"th"
    shards.clear()
    shards.clear()
    assert shards.names() == []


def test_files_are_put_whole(url: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.npy").write_bytes(b"vectors")
    shards = Shards.at(url, "c")
    shards.put_file("vectors.npy", tmp_path / "vectors.npy")
    assert shards.get("vectors.npy") == b"vectors"


def test_altered_work_is_refused(url: str) -> None:
    shards = Shards.at(url, "c")
    key = shards.put_work(b"to do")
    assert shards.work(key) == b"to do"
    shards.put(f"{key}.work", b"something else")
    for wrong in (key, "0" * 32):
        with pytest.raises(BuildError, match=rf"{wrong}\.work is missing or altered: give each build its own --shards"):
            shards.work(wrong)


def test_a_relative_path_is_the_same_place_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shards = Shards.at("here", "c")
    shards.put("a", b"content")
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(shards)).get("a") == b"content"
    assert shards.url == f"file://{tmp_path}/here/c"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nosuch://host/folder", "Protocol not known: nosuch"),
        ("/proc/shards", "No such file or directory"),
    ],
)
def test_an_unwritable_folder_is_refused_at_once(url: str, why: str) -> None:
    with pytest.raises(BuildError, match=f"--shards {url} cannot be written: .*{why}"):
        Shards.at(url, "c")


def test_a_missing_bucket_is_refused_at_once(bucket: str) -> None:
    with pytest.raises(BuildError, match=r"--shards s3://elsewhere/folder cannot be written: .*bucket does not exist"):
        Shards.at("s3://elsewhere/folder", "c")


def test_a_store_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(BuildError, match=r"--shards gs://a/b needs a package: install prompt-search\[stores\]"):
        Shards.at("gs://a/b", "c")
