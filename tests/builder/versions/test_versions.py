from __future__ import annotations

from pathlib import Path

import pytest

from builder.indexing.index import index
from builder.versions.publish import publish
from builder.versions.versions import collections, delete_version, prune, size_of, versions
from promptsearch.errors import BuildError, UnknownCollection
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import current_version
from tests.support.vectors import build, random_vectors, stage

VECTORS = random_vectors(5, 4)


def several(collection: Path, count: int) -> list[str]:
    for _ in range(count):
        stage(collection, VECTORS, None)
        index(collection)
        publish(collection, keep=count)
    return [version.name for version in versions(collection)]


@pytest.mark.parametrize(("keep", "left"), [(0, 1), (1, 2), (2, 3), (9, 4)])
def test_publishing_keeps_so_many_old_versions(tmp_path: Path, keep: int, left: int) -> None:
    names = several(tmp_path / "c", 3)
    stage(tmp_path / "c", VECTORS, None)
    index(tmp_path / "c")
    names.append(publish(tmp_path / "c", keep=keep).version)
    assert [version.name for version in versions(tmp_path / "c")] == names[-left:]
    assert current_version(tmp_path / "c").name == names[-1]


def test_one_old_version_is_kept_by_default(tmp_path: Path) -> None:
    for _ in range(3):
        build(tmp_path / "c", VECTORS, None)
    assert len(versions(tmp_path / "c")) == 2


def test_a_version_is_deleted_but_never_the_current_one(tmp_path: Path) -> None:
    first, second, third = several(tmp_path / "c", 3)
    size = size_of(tmp_path / "c" / "versions" / second)
    assert size > 1000
    still_open = Collection(tmp_path / "c" / "versions" / second)
    assert delete_version(tmp_path / "c", second) == size
    assert sorted(path.name for path in (tmp_path / "c" / "versions").iterdir()) == [first, third]
    assert len(still_open.search("images", VECTORS[0], 5).rows) == 5
    still_open.close()
    with pytest.raises(BuildError, match="is the version of c that is served: publish another one first"):
        delete_version(tmp_path / "c", third)
    with pytest.raises(BuildError, match=rf"c has no version '{second}'; old versions: {first}$"):
        delete_version(tmp_path / "c", second)
    with pytest.raises(BuildError, match=r"has no version '\.\./\.\./x'"):
        delete_version(tmp_path / "c", "../../x")
    delete_version(tmp_path / "c", first)
    with pytest.raises(BuildError, match="old versions: none"):
        delete_version(tmp_path / "c", first)


def test_a_deletion_that_was_interrupted_is_finished_later(tmp_path: Path) -> None:
    [name] = several(tmp_path / "c", 1)
    rest = tmp_path / "c" / "versions" / ".20200101T000000.000000Z"
    rest.mkdir()
    (rest / "items.sqlite").touch()
    assert [version.name for version in versions(tmp_path / "c")] == [name]
    prune(tmp_path / "c", keep=1)
    assert not rest.exists()


def test_collections_are_those_that_were_published(tmp_path: Path) -> None:
    build(tmp_path / "b", VECTORS, None)
    build(tmp_path / "a", VECTORS, None)
    stage(tmp_path / "half", VECTORS, None)
    (tmp_path / "README.md").touch()
    assert collections(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert versions(tmp_path / "half") == []
    with pytest.raises(UnknownCollection, match="is not a published collection"):
        delete_version(tmp_path / "half", "x")
    with pytest.raises(BuildError, match="there is no folder"):
        collections(tmp_path / "missing")
