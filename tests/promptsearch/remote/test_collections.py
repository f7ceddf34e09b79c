"""Copies of a store's collections on this disk: complete or absent, and each file downloaded once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from builder.versions.upload import upload_collection
from promptsearch.errors import CollectionError
from promptsearch.remote.collections import Mirror
from promptsearch.remote.store import Store
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.manifest import Manifest, current_version
from promptsearch.system.files import replace_text
from tests.support.object_store import ObjectStore
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(40, 4)
FIRST = "20000101T000000.000000Z"
SECOND, THIRD = FIRST.replace("2000", "2001"), FIRST.replace("2000", "2002")


@pytest.fixture
def local(tmp_path: Path, store: ObjectStore) -> Path:
    """Return a collection of which the store has a copy."""
    local = build(tmp_path / "indices" / "c", VECTORS, VECTORS)
    publish(local, FIRST)
    upload(local, store)
    return local


@pytest.fixture
def mirror(local: Path, store: ObjectStore, tmp_path: Path) -> Mirror:
    store.requests.clear()
    return Mirror(f"{store.url}/indices", tmp_path / "cache")


def upload(local: Path, store: ObjectStore) -> None:
    upload_collection(local, Store(f"{store.url}/indices"))


def publish(local: Path, version: str) -> None:
    folder = Path(shutil.copytree(current_version(local), local / "versions" / version))
    replace(Manifest.read(folder), version=version).write(folder)
    replace_text(local / "current", version + "\n")


def bring(mirror: Mirror) -> Path:
    assert mirror.switch("c", mirror.fetch("c").version)
    return current_version(mirror.folder / "c")


def versions(mirror: Mirror) -> set[str]:
    return {path.name for path in (mirror.folder / "c" / "versions").iterdir()}


def test_downloaded_collection_equals_the_built_one(mirror: Mirror, local: Path) -> None:
    folder = bring(mirror)
    assert folder.name == FIRST
    Manifest.read(folder).verify(folder)
    assert folder.joinpath("manifest.json").read_bytes() == (local / "versions" / FIRST / "manifest.json").read_bytes()
    collection = Collection.open(mirror.folder / "c")
    assert collection.search("images", VECTORS[7], 1).rows == [7]
    collection.close()


def test_files_are_downloaded_once(mirror: Mirror, store: ObjectStore, tmp_path: Path) -> None:
    files = len(Manifest.read(bring(mirror)).files)
    assert len(store.sent()) == len(set(store.sent())) + 1  # `current` is read again before it is written here
    assert len([key for key in store.sent() if "/versions/" in key]) == files + 1
    store.requests.clear()
    again = Mirror(f"{store.url}/indices/", tmp_path / "cache")  # as another process, or after a restart
    bring(again)
    assert {key.rpartition("/")[2] for key in store.sent()} == {"current", "manifest.json"}


def test_changed_files_in_the_cache_are_repaired(mirror: Mirror, store: ObjectStore) -> None:
    index, items = (bring(mirror) / name for name in ("images.faiss", "items.sqlite"))
    good = index.read_bytes()
    index.write_bytes(good[:-1] + b"x")
    items.touch()  # changed, but in nothing that counts
    store.requests.clear()
    assert bring(mirror) == index.parent
    assert index.read_bytes() == good
    assert [key.rpartition("/")[2] for key in store.sent() if "/versions/" in key] == ["manifest.json", "images.faiss"]


def test_interrupted_download_resumes(mirror: Mirror, local: Path, store: ObjectStore) -> None:
    key = f"indices/c/versions/{FIRST}/items.sqlite"
    store.bucket.Object(key).delete()
    with pytest.raises(CollectionError, match=r"items\.sqlite is missing"):
        mirror.fetch("c")
    assert not (mirror.folder / "c").exists()
    before = {key for key in store.sent() if "manifest" not in key and "current" not in key}
    assert f"indices/c/versions/{FIRST}/images.faiss" in before
    [staging] = mirror.folder.glob(f".c.*/{FIRST}")
    (staging / ".items.sqlite.partial").write_bytes(b"its first bytes")
    upload(local, store)
    store.requests.clear()
    folder = bring(mirror)
    Manifest.read(folder).verify(folder)
    assert key in store.sent()
    assert not before & set(store.sent())
    assert not list(folder.glob(".*.partial"))


DAMAGE: dict[str, tuple[Callable[[ObjectStore, str], object], str]] = {
    "bytes": (
        lambda store, key: store.write(key, b"x"),
        r"is damaged: expected SHA-256 [0-9a-f]{64}, found 2d711642[0-9a-f]{56}: upload it again$",
    ),
    "gone": (lambda store, key: store.bucket.Object(key).delete(), "is missing: upload it again$"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_object_is_named_and_the_old_version_is_kept(
    mirror: Mirror, local: Path, store: ObjectStore, how: str
) -> None:
    old = bring(mirror)
    publish(local, SECOND)
    upload(local, store)
    damage, message = DAMAGE[how]
    damage(store, f"indices/c/versions/{SECOND}/images.faiss")
    with pytest.raises(CollectionError, match=rf"^{store.url}/indices/c/versions/{SECOND}/images.faiss {message}"):
        mirror.fetch("c")
    assert current_version(mirror.folder / "c") == old
    assert versions(mirror) == {FIRST}
    upload(local, store)
    assert bring(mirror).name == SECOND


@pytest.mark.parametrize(
    ("key", "data", "message"),
    [
        ("current", b"../../elsewhere\n", "which is not a valid name"),
        ("current", b"\xff", "current cannot be read"),
        ("current", b"1999\n", "has no manifest.json"),
        (f"versions/{FIRST}/manifest.json", b"{", "manifest.json cannot be read"),
    ],
)
def test_names_of_other_objects_are_refused(
    mirror: Mirror, store: ObjectStore, key: str, data: bytes, message: str
) -> None:
    store.write(f"indices/c/{key}", data)
    with pytest.raises(CollectionError, match=message):
        mirror.fetch("c")


def test_file_names_cannot_lead_out_of_the_cache(mirror: Mirror, store: ObjectStore) -> None:
    key = f"indices/c/versions/{FIRST}/manifest.json"
    store.write(key, store.read(key).replace(b"images.faiss", b"../../../escaped"))
    with pytest.raises(CollectionError, match="which is not a plain file name"):
        mirror.fetch("c")


def test_previous_version_is_kept_and_older_ones_are_removed(mirror: Mirror, local: Path, store: ObjectStore) -> None:
    for version, kept in ((FIRST, {FIRST}), (SECOND, {FIRST, SECOND}), (THIRD, {SECOND, THIRD})):
        if version != FIRST:
            publish(local, version)
            upload(local, store)
        assert bring(mirror).name == version
        assert versions(mirror) == kept


def test_new_cache_fetches_the_recently_replaced_version(mirror: Mirror, local: Path, store: ObjectStore) -> None:
    publish(local, SECOND)
    upload(local, store)
    bring(mirror)
    replaced = store.bucket.Object("indices/c/current").last_modified
    assert (mirror.folder / "c" / "current").stat().st_mtime == replaced.timestamp()
    mirror.fetch_previous("c", within=-1)
    assert versions(mirror) == {SECOND}
    mirror.fetch_previous("c", within=600)
    assert versions(mirror) == {FIRST, SECOND}
    assert current_version(mirror.folder / "c").name == SECOND


def test_hidden_items_are_copied_by_poll(mirror: Mirror, store: ObjectStore) -> None:
    folder = bring(mirror).parent.parent
    store.write("indices/c/hidden", b"one\n")
    seen = mirror.poll()
    assert read_hidden(folder) == {Takedown("one")}
    assert mirror.poll() == seen
    store.write("indices/c/current", f"{FIRST}\n".encode())
    store.bucket.Object("indices/c/hidden").delete()
    current = store.bucket.Object("indices/c/current")
    before = current.last_modified
    while current.last_modified == before:  # S3's times are of whole seconds
        store.write("indices/c/current", f"{FIRST}\n".encode())
        current.reload()
    assert mirror.poll() != seen
    assert read_hidden(folder) == set()


def test_collection_deleted_in_the_store_is_deleted_here(mirror: Mirror, store: ObjectStore) -> None:
    bring(mirror)
    store.write("indices/other/current", b"1")
    store.bucket.objects.filter(Prefix="indices/c/").delete()
    assert list(mirror.poll()) == ["other"]
    assert not (mirror.folder / "c").exists()


def test_concurrent_processes_download_everything_once(mirror: Mirror, store: ObjectStore, tmp_path: Path) -> None:
    mirrors = [mirror, *(Mirror(f"{store.url}/indices", tmp_path / "cache") for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        [folder] = set(pool.map(bring, mirrors))
    Manifest.read(folder).verify(folder)
    assert len([key for key in store.sent() if key.endswith("images.faiss")]) == 1
