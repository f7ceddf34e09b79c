"""The cache is bounded by what versions use."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from builder.__main__ import main
from builder.encode.garbage import collect_garbage
from builder.encode.vector_cache import Cache
from builder.versions.versions import cache_folder, versions
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BuildError
from promptsearch.storage.manifest import Manifest
from tests.support.drawing import as_bytes, picture


def build(folder: Path, bundle: Bundle, collection: Path) -> Mapping[str, Any]:
    """Build a folder; return what its manifest says of the build."""
    main(["build", "folder", str(folder), "--model", str(bundle.folder), "--collection", collection.name,
          "--indices", str(collection.parent), "--keep", "0"])  # fmt: skip
    return Manifest.read(versions(collection)[-1]).build


def write(folder: Path, *seeds: int) -> Path:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        (folder / f"{seed}.png").write_bytes(as_bytes(picture(seed, 40, 30)))
        (folder / f"{seed}.txt").write_text(f"prompt {seed}")
    return folder


def rows(indices: Path) -> dict[str, int]:
    """Return the number of rows of each table of the cache."""
    counts = {}
    for path in cache_folder(indices).glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                (counts[table],) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return counts


def test_collections_share_encoded_vectors(vit_bundle: Bundle, tmp_path: Path) -> None:
    pictures = write(tmp_path / "pictures", 0, 1, 2)
    assert build(pictures, vit_bundle, tmp_path / "indices" / "one")["encoded"] == {"images": 3, "prompts": 3}
    second = build(pictures, vit_bundle, tmp_path / "indices" / "two")
    assert second["encoded"] == {"images": 0, "prompts": 0}
    assert second["from_cache"] == {"images": 3, "prompts": 3}


def test_vectors_that_no_version_uses_are_deleted(vit_bundle: Bundle, tmp_path: Path) -> None:
    pictures, indices = write(tmp_path / "pictures", 0, 1, 2), tmp_path / "indices"
    build(pictures, vit_bundle, indices / "c")
    for path in pictures.glob("0.*"):
        path.unlink()
    build(pictures, vit_bundle, indices / "c")
    assert rows(indices)["pictures"] == rows(indices)["texts"] == 3
    freed = collect_garbage(indices)
    assert {one.file.name for one in freed} == {path.name for path in cache_folder(indices).glob("*.sqlite")}
    assert rows(indices)["pictures"] == rows(indices)["texts"] == 2
    assert rows(indices)["files"] in (0, 2)  # files that have just been written are not remembered
    write(pictures, 0)
    assert build(pictures, vit_bundle, indices / "c")["encoded"] == {"images": 1, "prompts": 1}


def test_an_interrupted_build_prevents_garbage_collection(vit_bundle: Bundle, tmp_path: Path) -> None:
    pictures, indices = write(tmp_path / "pictures", 0), tmp_path / "indices"
    build(pictures, vit_bundle, indices / "c")
    (indices / "other" / "staging").mkdir(parents=True)
    with pytest.raises(BuildError, match="a build of other was interrupted: run it again"):
        collect_garbage(indices)


def test_a_cache_of_one_collection_is_taken_over(vit_bundle: Bundle, tmp_path: Path) -> None:
    pictures = write(tmp_path / "pictures", 0, 1)
    build(pictures, vit_bundle, tmp_path / "before" / "c")
    old = tmp_path / "indices" / "c" / "cache"
    old.mkdir(parents=True)
    [cache] = (path for path in cache_folder(tmp_path / "before").glob("*.sqlite") if path.stem != "files")
    cache.rename(old / cache.name)
    assert build(pictures, vit_bundle, tmp_path / "indices" / "c")["encoded"] == {"images": 0, "prompts": 0}
    assert list(old.iterdir()) == []


def test_an_old_cache_of_another_schema_is_left_out(vit_bundle: Bundle, tmp_path: Path) -> None:
    with Cache(tmp_path / "c", vit_bundle) as cache:
        name = cache.path.name
    old = tmp_path / "c" / "cache" / name
    old.parent.mkdir(parents=True)
    with closing(sqlite3.connect(old)) as database:
        database.executescript("CREATE TABLE pictures (digest BLOB); INSERT INTO pictures VALUES (x'00')")
    with Cache(tmp_path / "c", vit_bundle) as cache:
        assert not cache.has_picture(b"\0")
    assert not old.exists()
