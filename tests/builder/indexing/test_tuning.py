"""Tuned indices reach their target for pictures and texts, as brute force measures it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.indexing.index_file import build_index
from builder.indexing.tuning import sample, tune
from builder.versions.report import describe_index
from promptsearch.encoding.encoders import unit
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.storage.manifest import IndexInfo
from tests.builder.indexing.files import compressed, written
from tests.support.vectors import random_vectors


def test_a_compressed_index_finds_the_exact_neighbours(tmp_path: Path) -> None:
    pictures = random_vectors(12_300, 32, clusters=300)
    vectors = pictures[:12_000]
    texts = unit(random_vectors(2000, 32, seed=5) + random_vectors(1, 32, seed=6))
    path, spec = written(tmp_path, vectors), compressed(12_000, 32, code=4)
    build_index(path, spec, tmp_path / "images.faiss")
    opened = VectorIndex.open(tmp_path, "images", IndexInfo(spec.key, 12_000, False, 1, {}), 32)
    samples = {"images": sample(path, own=True), "texts": sample(written(tmp_path, texts, "prompts"), own=False)}
    info = tune(opened, spec, path, samples, 0.9)
    assert info.reached
    assert info.nprobe is not None
    assert info.candidates is not None
    assert info.candidates > 10  # the codes alone would not do

    searched = VectorIndex.open(tmp_path, "images", info, 32)
    recalls = {}
    for name, queries in (("images", pictures[12_000:]), ("texts", texts[1100:1400])):
        hits = 0
        for query in unit(queries):
            rows, scores = searched.search(query, 10)
            np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-6)
            hits += len(set(rows) & set(np.argsort(-(vectors @ query))[:10]))
        recalls[name] = hits / (10 * len(queries))
    assert min(recalls.values()) >= 0.88, recalls
    assert recalls["texts"] == pytest.approx(info.recall_at_10["texts"], abs=0.03)


def test_a_target_out_of_reach_is_recorded_as_missed(tmp_path: Path) -> None:
    vectors = random_vectors(12_000, 32)
    path, spec = written(tmp_path, vectors), compressed(12_000, 32, code=1)
    build_index(path, spec, tmp_path / "images.faiss")
    opened = VectorIndex.open(tmp_path, "images", IndexInfo(spec.key, 12_000, False, 1, {}), 32)
    info = tune(opened, spec, path, {"images": sample(path, own=True)}, 0.98)
    assert info.recall_target == 0.98
    assert 0.1 < info.recall_at_10["images"] < 0.98
    assert not info.reached
    assert "THE TARGET OF 0.98 WAS NOT REACHED: allow more --max-memory" in describe_index("images", info)
