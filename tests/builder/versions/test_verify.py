"""Every kind of damage is detected, even if the checksums match."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builder.versions.verify import verify
from promptsearch.errors import CollectionError, UnknownCollection
from promptsearch.storage.manifest import Manifest, current_version
from tests.support.vectors import build, random_vectors


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, prompts = random_vectors(60, 8), random_vectors(30, 8, seed=1)
    return build(tmp_path_factory.mktemp("indices") / "c", images, prompts, without_vector=2)


@pytest.fixture
def collection(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "c"))


def test_vectors_that_opening_does_not_sample_are_checked(tmp_path: Path) -> None:
    collection = build(tmp_path / "c", random_vectors(200, 8), random_vectors(30, 8, seed=1))
    folder = current_version(collection)
    vectors(lambda stored: stored.__setitem__(4, 0))(folder)
    Manifest.read(folder).with_checksums(folder).write(folder)
    with pytest.raises(CollectionError, match="1 of 200 vectors of images in a sample are not finite and of unit"):
        verify(collection)


def sql(statement: str) -> Callable[[Path], object]:
    def run(folder: Path) -> None:
        database = sqlite3.connect(folder / "items.sqlite")
        database.execute(statement)
        database.commit()
        database.close()

    return run


def vectors(change: Callable[[np.ndarray[tuple[int, int], np.dtype[np.float16]]], object]) -> Callable[[Path], object]:
    def run(folder: Path) -> None:
        stored = np.load(folder / "images.f16.npy")
        change(stored)
        np.save(folder / "images.f16.npy", stored)

    return run


def test_a_new_build_passes_verification(whole: Path) -> None:
    assert verify(whole) == Manifest.read(current_version(whole))


def test_a_changed_file_is_named(collection: Path) -> None:
    file = current_version(collection) / "thumbnails.sqlite"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(CollectionError, match=r"thumbnails\.sqlite is damaged: its SHA-256 is not the recorded one"):
        verify(collection)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (sql("DELETE FROM images WHERE row = 61"), r"items\.sqlite has 61 images, expected 62 as in the manifest"),
        (sql("UPDATE images SET row = 62 WHERE row = 0"), "rows of images go from 1 to 62, there are 62"),
        (sql("UPDATE images SET id = upper(id) || 'Z'"), "62 ids of images are not 20 hex digits"),
        (sql("UPDATE prompts SET text = text || '!' WHERE row < 2"), "2 ids of prompts are not those of their texts"),
        (sql("UPDATE images SET prompt = 999 WHERE row = 5"), "row 5 of images refers to a row that is not there"),
        (sql("UPDATE prompts SET image_count = 7 WHERE row = 4"), "1 prompts count other images than they have"),
        (vectors(lambda stored: stored.__setitem__(3, 0)), "has vectors that are not finite or of unit length"),
        (vectors(lambda stored: stored.__setitem__((3, 0), np.nan)), "not finite or of unit length"),
        (vectors(lambda stored: np.random.default_rng(0).shuffle(stored)), "were found by their own vectors"),
        (
            lambda folder: (folder / "images.faiss").write_bytes((folder / "prompts.faiss").read_bytes()),
            r"images\.faiss has the shape \(30, 8\), the manifest expects \(60, 8\)",
        ),
        (lambda folder: (folder / "images.faiss").write_bytes(b"no index"), "the images index in .* cannot be opened"),
        (lambda folder: (folder / "items.sqlite").write_bytes(b"no database" * 100), r"items\.sqlite cannot be read"),
    ],
)
def test_damage_with_valid_checksums_is_detected(
    collection: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = current_version(collection)
    damage(folder)
    Manifest.read(folder).with_checksums(folder).write(folder)
    with pytest.raises(CollectionError, match=message):
        verify(collection)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data["files"].pop("items.sqlite"),
            r"items\.sqlite is not in the manifest; items\.sqlite is missing",
        ),
        (lambda data: data.update(images=None), "there is no index of the 60 images"),
        (lambda data: data["counts"].update(prompts=31), "the index of prompts has 30 vectors, expected 31"),
        (lambda data: data.update(version="another"), "its manifest is that of version another"),
    ],
)
def test_a_manifest_that_disagrees_is_detected(
    collection: Path, change: Callable[[dict[str, dict[str, object]]], object], message: str
) -> None:
    manifest = current_version(collection) / "manifest.json"
    data = json.loads(manifest.read_text(encoding="utf-8"))
    change(data)
    manifest.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CollectionError, match=message):
        verify(collection)


def test_all_problems_are_reported_together(collection: Path) -> None:
    folder = current_version(collection)
    (folder / "more").touch()
    manifest = Manifest.read(folder)
    replace(manifest, counts={**manifest.counts, "images": 1}).write(folder)
    with pytest.raises(CollectionError, match=r"more is not in the manifest; .* expected 1 as in the manifest: build"):
        verify(collection)


def test_an_unpublished_collection_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(UnknownCollection):
        verify(tmp_path / "none")
