"""The objects that an upload writes, their order, and those that it does not write again."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.__main__ import main
from builder.versions.hide import hide
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest, current_version
from tests.builder.cli.running import fails
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(40, 4)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return build(tmp_path / "indices" / "c", VECTORS, VECTORS)


def upload(collection: Path, url: str) -> None:
    main(["upload", collection.name, "--indices", str(collection.parent), "--to", url])


def written(store: ObjectStore) -> list[str]:
    """Return the keys of the objects that were written, in order."""
    prefix = f"PUT /{BUCKET}/indices/c/"
    return [line.removeprefix(prefix) for line in store.requests if line.startswith(prefix)]


def test_files_are_uploaded_before_files_that_name_them(
    store: ObjectStore, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(collection, [item_id("image", "7.png")])
    upload(collection, f"{store.url}/indices/")
    version = current_version(collection)
    files = [f"versions/{version.name}/{name}" for name in Manifest.read(version).files]
    assert written(store) == [*files, f"versions/{version.name}/manifest.json", "hidden", "current"]
    for key in written(store):
        assert store.read(f"indices/c/{key}") == (collection / key).read_bytes()
    out = capsys.readouterr().out
    assert out.startswith(f"s3://bucket/indices/ has c version {version.name}: {len(files)} files sent (")
    assert out.endswith("), 0 were there\n")


def test_uploaded_files_are_not_sent_again(
    store: ObjectStore, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(collection, f"{store.url}/indices")
    version = current_version(collection)
    small = [f"versions/{version.name}/manifest.json", "current"]
    store.requests.clear()
    upload(collection, f"{store.url}/indices")
    assert written(store) == small
    store.write(f"indices/c/versions/{version.name}/images.faiss", b"x")
    store.requests.clear()
    upload(collection, f"{store.url}/indices")
    assert written(store) == [f"versions/{version.name}/images.faiss", *small]
    assert ": 1 files sent (" in capsys.readouterr().out


def test_uploads_without_takedowns_keep_those_of_the_store(store: ObjectStore, collection: Path) -> None:
    store.write("indices/c/hidden", b"one\n")
    upload(collection, f"{store.url}/indices")
    assert store.read("indices/c/hidden") == b"one\n"


def test_damaged_files_are_not_uploaded(
    store: ObjectStore, collection: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with (current_version(collection) / "images.faiss").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SystemExit):
        upload(collection, f"{store.url}/indices")
    assert "images.faiss is damaged: its SHA-256 is not the recorded one" in capsys.readouterr().err
    assert "is not a model bundle" in fails(capsys, "upload-model", tmp_path, "--to", f"{store.url}/models")
    assert store.objects() == set()


def test_a_model_is_uploaded_with_its_licences(
    store: ObjectStore, vit_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["upload-model", str(vit_bundle.folder), "--to", f"{store.url}/models"])
    files = {str(path.relative_to(vit_bundle.folder)) for path in vit_bundle.folder.rglob("*") if path.is_file()}
    assert any(name.startswith("LICENSES/") for name in files)
    assert store.objects() == {f"models/tiny/{name}" for name in files}
    assert [line for line in store.requests if line.startswith("PUT ")][-1] == f"PUT /{BUCKET}/models/tiny/model.json"
    assert capsys.readouterr().out.startswith(f"s3://bucket/models has the model tiny: {len(files) - 1} files sent (")


def test_to_a_folder(collection: Path, tmp_path: Path) -> None:
    upload(collection, f"file://{tmp_path}/elsewhere/indices")
    copied = current_version(tmp_path / "elsewhere" / "indices" / "c")
    manifest = Manifest.read(copied)
    assert manifest == Manifest.read(current_version(collection))
    manifest.verify(copied)
