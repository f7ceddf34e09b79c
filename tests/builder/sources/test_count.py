"""The number of items of a source, from which a progress bar derives the remaining time."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.sources import open_source
from tests.builder.sources import test_embeddings, test_img2dataset
from tests.builder.sources.test_diffusiondb import CAT, FOX, row, write_folder, write_metadata
from tests.builder.sources.test_folder import save
from tests.support import source
from tests.support.vectors import random_vectors


def write(kind: str, root: Path) -> Path:
    """Write a source that has, or claims to have, the number of items that the test expects."""
    if kind == "manifest":
        return source.write(root)
    if kind == "folder":
        save(root / "a" / "1.png")
        return save(root / "2.png").parent
    if kind == "embeddings":
        test_embeddings.write(root, 0, test_embeddings.rows(3), random_vectors(3, 8))
        test_embeddings.write(root, 1, test_embeddings.rows(2, 3), random_vectors(2, 8))
    if kind == "img2dataset":
        test_img2dataset.write(root, "files", "00000", [test_img2dataset.sample(f"00000000{n}") for n in range(4)])
    if kind == "diffusiondb":
        write_folder(root, 1, {"a.png": FOX, "b.png": CAT})
    if kind == "diffusiondb metadata":
        return write_metadata(root / "metadata.parquet", [row(f"{n}.png", 1) for n in range(5)])
    return root


@pytest.mark.parametrize(
    ("kind", "count"),
    [("manifest", len(source.ROWS)), ("folder", 2), ("embeddings", 5), ("img2dataset", 4), ("diffusiondb", 1000),
     ("diffusiondb metadata", 5)],
)  # fmt: skip
def test_sources_estimate_their_number_of_items(kind: str, count: int, tmp_path: Path) -> None:
    assert open_source(kind.split()[0], write(kind, tmp_path), None).count() == count
