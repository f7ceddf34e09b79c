from __future__ import annotations

from pathlib import Path

import pytest

from builder.indexing.index import index
from builder.versions.publish import publish
from builder.versions.staging import staging_folder
from promptsearch.errors import BuildError
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import Manifest, current_version
from tests.support.vectors import build, random_vectors, stage

VECTORS = random_vectors(5, 4)


def test_publishing_without_a_staged_version_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing is staged for c: run `python -m builder embed` first"):
        publish(tmp_path / "c")


def test_a_version_without_an_index_is_not_published(tmp_path: Path) -> None:
    stage(tmp_path / "c", VECTORS, VECTORS)
    with pytest.raises(BuildError, match="the staged images have no index yet: run `python -m builder index` first"):
        publish(tmp_path / "c")
    assert not (tmp_path / "c" / "current").exists()
    index(tmp_path / "c")
    assert publish(tmp_path / "c").counts["images"] == 5


def test_a_published_version_is_whole_and_staging_is_gone(tmp_path: Path) -> None:
    folder = current_version(build(tmp_path / "c", VECTORS, None))
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    assert set(manifest.files) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert folder.name == manifest.version
    assert not staging_folder(tmp_path / "c").exists()


def test_a_new_version_is_served_and_the_old_one_still_open(tmp_path: Path) -> None:
    old = Collection.open(build(tmp_path / "c", VECTORS, None))
    new = Collection.open(build(tmp_path / "c", random_vectors(9, 4), None))
    assert (len(old.search("images", VECTORS[0], 20).rows), len(new.search("images", VECTORS[0], 20).rows)) == (5, 9)
    assert new.version > old.version
    assert sorted(path.name for path in (tmp_path / "c" / "versions").iterdir()) == [old.version, new.version]


def test_a_failed_publication_keeps_the_served_version(tmp_path: Path) -> None:
    build(tmp_path / "c", VECTORS, None)
    served = current_version(tmp_path / "c")
    stage(tmp_path / "c", VECTORS[:2], None)
    index(tmp_path / "c")
    manifest = Manifest.read(staging_folder(tmp_path / "c"))
    in_the_way = tmp_path / "c" / "versions" / manifest.version
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        publish(tmp_path / "c")
    assert current_version(tmp_path / "c") == served
