from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from builder.versions.vectors import VectorFile
from tests.support.vectors import random_vectors


@pytest.mark.parametrize("sizes", [[], [0], [1], [3, 0, 250, 1]])
def test_a_closed_file_is_an_npy_of_the_appended_vectors(tmp_path: Path, sizes: list[int]) -> None:
    vectors = random_vectors(sum(sizes), 5)
    with VectorFile(tmp_path / "vectors.npy", 5) as file:
        for part in np.split(vectors, np.cumsum(sizes)[:-1]) if sizes else []:
            file.append(part)
        assert file.rows == len(vectors)
    loaded = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert loaded.dtype == np.float16
    np.testing.assert_array_equal(loaded.astype(np.float32), vectors)


def test_half_precision_keeps_a_cosine(tmp_path: Path) -> None:
    exact = np.random.default_rng(0).standard_normal((100, 512)).astype(np.float32)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    with VectorFile(tmp_path / "vectors.npy", 512) as file:
        file.append(exact)
    kept = np.load(tmp_path / "vectors.npy").astype(np.float32)
    assert np.abs(kept @ exact[0] - exact @ exact[0]).max() < 1e-4


def test_a_file_that_was_not_finished_has_no_rows(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VectorFile(tmp_path / "vectors.npy", 5) as file:
            file.append(random_vectors(100, 5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert np.load(tmp_path / "vectors.npy").shape == (0, 5)


def test_a_full_disk_is_one_error() -> None:
    """Only `append` raises: closing the file does not raise again, then or when it is collected."""
    with pytest.raises(OSError, match="No space left on device"), VectorFile(Path("/dev/full"), 5) as file:
        file.append(random_vectors(10_000, 5))
    del file
    gc.collect()
