"""Exact indices against brute force; tests/builder/indexing/test_index.py has approximate ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promptsearch.encoding.encoders import unit
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.errors import CollectionError
from promptsearch.storage.manifest import IndexInfo, current_version
from tests.support.vectors import Vectors, build, nearest, random_vectors

COUNT, DIM = 203, 12
INFO = IndexInfo("Flat", COUNT, True, None, {})


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Return vectors that each occur three times or more, at rows of every remainder: ties everywhere."""
    distinct = random_vectors(50, DIM)
    return distinct[np.random.default_rng(1).integers(len(distinct), size=COUNT)]


@pytest.fixture(scope="module")
def folder(vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return current_version(build(tmp_path_factory.mktemp("indices") / "ties", vectors, None))


@pytest.mark.parametrize("depth", [1, 10, COUNT, 1000])
def test_search_equals_brute_force(folder: Path, vectors: Vectors, depth: int) -> None:
    searched = VectorIndex.open(folder, "images", INFO, DIM)
    for query in (*unit(random_vectors(10, DIM, seed=2)), *vectors[:5]):
        rows, scores = searched.search(query, depth)
        expected_rows, expected_scores = nearest(vectors, query, depth)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
        assert rows.dtype == np.int64
        if depth >= COUNT:  # all of them: else which of equal ones is the last is not for this index to say
            assert [tuple(vectors[row]) for row in rows] == [tuple(vectors[row]) for row in expected_rows]
        for first, second in zip(range(len(rows) - 1), range(1, len(rows)), strict=True):
            assert scores[first] >= scores[second]
            if (vectors[rows[first]] == vectors[rows[second]]).all():
                assert scores[first] == scores[second]
                assert rows[first] < rows[second]


def test_probe_reads_only_the_first_vectors(tmp_path: Path) -> None:
    many = random_vectors(5000, DIM)
    info = IndexInfo("Flat", len(many), True, None, {})
    searched = VectorIndex.open(current_version(build(tmp_path / "many", many, None)), "images", info, DIM)
    for query in unit(random_vectors(20, DIM, seed=2)):
        assert searched.probe(query).tolist() == nearest(many[:1024], query, 1)[0]


def test_stored_vectors_come_back(folder: Path, vectors: Vectors) -> None:
    searched = VectorIndex.open(folder, "images", INFO, DIM)
    assert len(searched) == COUNT
    np.testing.assert_array_equal(searched.vector(7), vectors[7])
    assert searched.vector(7).dtype == np.float32


def test_files_are_memory_mapped(folder: Path) -> None:
    searched = VectorIndex.open(folder, "images", INFO, DIM)
    maps = Path("/proc/self/maps").read_text()
    assert str(folder / "images.faiss") in maps
    assert str(folder / "images.f16.npy") in maps
    assert len(searched) == COUNT  # and so still open


@pytest.mark.parametrize("name", ["images.faiss", "images.f16.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "header", "half"])
def test_damaged_files_are_refused(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    whole = (copy / name).read_bytes()
    if damage == "missing":
        (copy / name).unlink()
    else:
        parts = {"empty": b"", "garbage": b"garbage" * 100, "header": whole[:20], "half": whole[: len(whole) // 2]}
        (copy / name).write_bytes(parts[damage])
    with pytest.raises(CollectionError, match=r"the images index in .* cannot be opened"):
        VectorIndex.open(copy, "images", INFO, DIM)


@pytest.mark.parametrize(("info", "dim"), [(replace(INFO, vectors=COUNT + 1), DIM), (INFO, DIM + 1)])
def test_files_that_differ_from_the_manifest_are_refused(folder: Path, info: IndexInfo, dim: int) -> None:
    with pytest.raises(CollectionError, match="the manifest expects"):
        VectorIndex.open(folder, "images", info, dim)


def test_vectors_of_another_index_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    np.save(copy / "images.f16.npy", random_vectors(COUNT - 1, DIM).astype(np.float16))
    with pytest.raises(CollectionError, match=r"images\.f16\.npy has the shape \(202, 12\)"):
        VectorIndex.open(copy, "images", INFO, DIM)
