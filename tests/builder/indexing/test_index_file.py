"""Index files: their contents, the memory to build them, and the recall of compressed ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builder.indexing.index_file
from builder.indexing.index_file import blocks, build_index
from builder.indexing.index_key import choose
from promptsearch.encoding.encoders import unit
from promptsearch.storage.manifest import IndexInfo
from promptsearch.system.faiss_blas import faiss
from tests.builder.indexing.files import compressed, written
from tests.support.vectors import random_vectors

MB = 1 << 20


def test_blocks_are_all_rows_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(1000, 8)
    path = written(tmp_path, vectors)
    monkeypatch.setattr(builder.indexing.index_file, "BLOCK", 300 * 8 * 4)
    read = list(blocks(path))
    assert [(start, len(block)) for start, block in read] == [(0, 300), (300, 300), (600, 300), (900, 100)]
    np.testing.assert_array_equal(np.concatenate([block for _, block in read]), vectors)


def test_ids_are_rows_however_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(60_000, 8)
    path = written(tmp_path, vectors)
    monkeypatch.setattr(builder.indexing.index_file, "BLOCK", 7000 * 8 * 4)
    spec = choose(len(vectors), 8, 200 * MB)
    build_index(path, spec, tmp_path / "images.faiss")
    index = faiss.read_index(str(tmp_path / "images.faiss"))
    assert (index.ntotal, index.nlist, spec.key) == (60_000, 1024, "IVF1024,Flat")
    index.make_direct_map()
    for row in (0, 6999, 7000, 59_999):
        np.testing.assert_array_equal(index.reconstruct(row), vectors[row])


def test_a_sorted_source_is_divided_as_evenly_as_a_shuffled_one(tmp_path: Path) -> None:
    """autofaiss alone trains with the first rows: most of these would share one list."""
    centres = random_vectors(200, 16)
    which = np.repeat(np.arange(200), 300)
    vectors = unit(centres[which] + 0.2 * random_vectors(60_000, 16, seed=1))
    path = written(tmp_path, vectors)
    build_index(path, choose(len(vectors), 16, 200 * MB), tmp_path / "images.faiss")
    index = faiss.read_index(str(tmp_path / "images.faiss"))
    sizes = np.array([index.invlists.list_size(number) for number in range(index.nlist)])
    assert sizes.max() <= 400
    assert (sizes == 0).mean() < 0.05


@pytest.mark.long  # half a minute of CPU
def test_one_round_of_rotation_is_as_good_as_fifty(tmp_path: Path) -> None:
    spread = np.arange(1, 33) ** -0.8  # as unlike as CLIP's directions are
    turned = np.linalg.qr(np.random.default_rng(3).standard_normal((32, 32)))[0]
    vectors = unit((random_vectors(12_000, 32, clusters=300) * spread @ turned).astype(np.float32))
    path, spec = written(tmp_path, vectors), compressed(12_000, 32, code=4)
    build_index(path, spec, tmp_path / "images.faiss")
    ours = faiss.read_index(str(tmp_path / "images.faiss"))
    fifty = faiss.index_factory(32, spec.key, faiss.METRIC_INNER_PRODUCT)
    fifty.train(vectors)
    fifty.add(vectors)
    lost = [np.square(index.reconstruct_n(0, 12_000) - vectors).sum() for index in map(reconstructing, (ours, fifty))]
    assert lost[0] <= 1.02 * lost[1]


def reconstructing(index: Any) -> Any:
    faiss.extract_index_ivf(index).make_direct_map()
    return index


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("budget", "key"), [(200, "IVF1024,Flat"), (140, "OPQ16_128,IVF256,PQ16x8")])
def test_building_stays_within_its_budget(tmp_path: Path, budget: int, key: str) -> None:
    """Building an index of whole vectors, 59 MB, takes more than the smaller budget."""
    count, dim = 120_000, 128
    vectors = random_vectors(count, dim, clusters=2000)
    written(tmp_path, vectors)
    written(tmp_path, unit(vectors[::20] + random_vectors(1, dim, seed=3)), "prompts")
    command = [sys.executable, "-m", "tests.support.peak", str(tmp_path), str(dim), str(budget * MB)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=True, stdout=subprocess.PIPE, timeout=580)
    measured = json.loads(done.stdout)
    info = IndexInfo(**measured["info"])
    assert info.key == key
    assert measured["took"] <= budget * MB
    assert info.reached
    size = (tmp_path / "images.faiss").stat().st_size
    assert size < 1.05 * choose(count, dim, budget * MB).index_bytes
    if "PQ" in key:
        assert size < 4 * dim * count / 16
