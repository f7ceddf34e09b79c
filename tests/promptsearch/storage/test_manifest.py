from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptsearch.errors import CollectionError, UnknownCollection
from promptsearch.storage.manifest import FILES, IndexInfo, Manifest, ModelReference, current_version

MANIFEST = Manifest(
    collection="cats ü",
    version="20240101T000000.000000Z",
    created="2024-01-01T00:00:00Z",
    model=ModelReference("tiny", "0" * 64, 32),
    source={"kind": "manifest", "root": "cats"},
    counts={"prompts": 1, "images": 2, "image_vectors": 0, "quarantined": 0},
    images=None,
    prompts=IndexInfo("Flat", 1, True, None, {"texts": 1.0}),
    build={"engine": "onnx", "seconds": {"images": 1.5}},
    files={"items.sqlite": "0" * 64},
)


def test_written_manifest_is_read(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    assert Manifest.read(tmp_path) == MANIFEST
    assert (MANIFEST.index("images"), MANIFEST.index("prompts")) == (None, MANIFEST.prompts)


def test_older_manifest_without_candidates_and_target_is_read(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    data = json.loads((tmp_path / "manifest.json").read_text())
    for name in ("candidates", "recall_target"):
        data["prompts"].pop(name)
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    assert Manifest.read(tmp_path) == MANIFEST


@pytest.mark.parametrize(
    ("recall", "target", "reached"),
    [({"images": 0.99, "texts": 0.98}, 0.98, True), ({"images": 1.0, "texts": 0.97}, 0.98, False), ({}, 0.98, True),
     ({"texts": 0.5}, None, True)],
)  # fmt: skip
def test_a_target_is_reached_by_every_kind_of_query(
    recall: dict[str, float], target: float | None, reached: bool
) -> None:
    assert IndexInfo("IVF8,Flat", 9, False, 1, recall, 10, target).reached == reached


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"has no manifest\.json: build the collection again"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(CollectionError, match="cannot be read"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"schema_version": 99}'])
def test_another_schema_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(CollectionError, match="expected 2: build the collection again"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("version"),
        lambda data: data.pop("images"),
        lambda data: data.update(model=None),
        lambda data: data.update(unknown=1),
        lambda data: data.update(prompts=["Flat"]),
        lambda data: data["prompts"].pop("key"),
    ],
)
def test_a_manifest_that_lacks_something_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    MANIFEST.write(tmp_path)
    data = json.loads((tmp_path / "manifest.json").read_text())
    change(data)
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(CollectionError, match=r"is not a valid manifest .*: build the collection again"):
        Manifest.read(tmp_path)


def test_checksums_cover_all_files_except_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    manifest = MANIFEST.with_checksums(tmp_path)
    manifest.write(tmp_path)
    assert list(manifest.files) == ["one", "two"]
    manifest.verify(tmp_path)

    (tmp_path / "two").write_text("3")
    with pytest.raises(CollectionError, match="two is damaged"):
        manifest.verify(tmp_path)
    (tmp_path / "one").unlink()
    with pytest.raises(CollectionError, match="one is missing"):
        manifest.verify(tmp_path)


def test_current_file_names_the_current_version(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / FILES.versions / name).mkdir(parents=True)
    (tmp_path / FILES.current).write_text("a\n")
    assert current_version(tmp_path) == tmp_path / "versions" / "a"


def test_an_unpublished_collection_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownCollection, match="is not a published collection"):
        current_version(tmp_path / "missing")


@pytest.mark.parametrize("content", [b"", b"\n", b"gone", b"../versions/a", b"/", b"a/../a", b"a\0b", b"\xff"])
def test_missing_version_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILES.versions / "a").mkdir(parents=True)
    (tmp_path / FILES.current).write_bytes(content)
    with pytest.raises(CollectionError, match=r"which does not exist|cannot be read"):
        current_version(tmp_path)
