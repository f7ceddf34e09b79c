"""An index built by Spark's executors equals that of one process, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.encode.runners.cluster import Cluster
from builder.encode.runners.shards import Shards
from builder.encode.runners.spark_index import SharedBlocks, SparkAdder
from builder.indexing.index_file import BLOCK, blocks, build_index
from builder.indexing.index_key import IndexSpec
from tests.support.vectors import random_vectors

COUNT, DIM = 20_000, 32
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "FATAL",
    "spark.cores.max": "2",
}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "images.f16.npy"
    np.save(path, random_vectors(COUNT, DIM).astype(np.float16))
    return path


def test_any_run_of_rows_is_read_from_where_all_reach_it(
    vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.encode.runners.spark_index.BLOCK", 4 * DIM * 3000)
    assert BLOCK > 4 * DIM * COUNT, "else the whole is no single block"
    ((_, whole),) = blocks(vectors)
    shards = Shards.at(str(tmp_path), "c")
    shards.put_file("images.f16.npy", vectors)
    shared = SharedBlocks(shards, "images.f16.npy")
    assert (shared.count, shared.dimension) == (COUNT, DIM)
    for start, end in ((0, None), (0, 100), (2999, 9001), (19_999, 20_000)):
        read = list(shared(batch_size=1, start=start, end=end))
        np.testing.assert_array_equal(np.concatenate([block for block, _ in read]), whole[start:end])
        assert [row for _, ids in read for row in ids["i"]] == list(range(start, end or COUNT))
        assert all(len(block) <= 3000 for block, _ in read)


@pytest.mark.spark
@pytest.mark.usefixtures("spark_home")
@pytest.mark.parametrize(
    ("master", "key"), [("local[2]", "IVF64,Flat"), ("local-cluster[2,1,1024]", "OPQ8_32,IVF16,PQ8x4")]
)
def test_the_index_is_that_of_one_process(master: str, key: str, vectors: Path, tmp_path: Path) -> None:
    spec = IndexSpec(key, COUNT, DIM, lists=64, code=8, training=3000, index_bytes=0, peak_bytes=0)
    build_index(vectors, spec, tmp_path / "one.faiss")
    build_index(vectors, spec, tmp_path / "spark.faiss", SparkAdder(tmp_path / "c", Cluster(master, SETTINGS)))
    assert (tmp_path / "spark.faiss").read_bytes() == (tmp_path / "one.faiss").read_bytes()
    assert not list((tmp_path / "c" / "cache").iterdir())
