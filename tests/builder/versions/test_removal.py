from __future__ import annotations

from pathlib import Path

import pytest

from builder.versions.removal import require_most_kept
from promptsearch.errors import BuildError
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(5, 4)
SERVED = {"images": 7, "image_vectors": 5, "prompts": 5}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("indices") / "c", VECTORS, VECTORS, without_vector=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_vectors": 0}, r"has 0 images with a picture \(c has 5\):"),
        ({"image_vectors": 2, "prompts": 1}, r"has 2 images with a picture \(c has 5\), 1 prompts \(c has 5\):"),
        ({"images": 3}, r"has 3 images \(c has 7\):"),
    ],
)
def test_less_than_half_is_refused_with_counts(collection: Path, changed: dict[str, int], message: str) -> None:
    with pytest.raises(BuildError, match=f"{message}.* Nothing was changed.* --allow-removal"):
        require_most_kept(collection, SERVED | changed)


@pytest.mark.parametrize("changed", [{}, {"image_vectors": 3}, {"images": 4, "prompts": 3}, {"images": 70}])
def test_half_is_enough(collection: Path, changed: dict[str, int]) -> None:
    require_most_kept(collection, SERVED | changed)


def test_removals_are_not_checked_without_a_served_version(tmp_path: Path) -> None:
    none = dict.fromkeys(SERVED, 0)
    require_most_kept(tmp_path / "new", none)
    damaged = build(tmp_path / "c", VECTORS, None)
    (damaged / "current").write_text("gone")
    require_most_kept(damaged, none)
