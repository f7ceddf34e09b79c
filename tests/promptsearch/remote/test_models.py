"""Copies of a store's model bundles on this disk: those that collections need."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import promptsearch
from builder.versions.upload import upload_collection, upload_model
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BundleError, ModelMismatch, UnknownCollection
from promptsearch.remote.models import ModelMirror
from promptsearch.remote.store import Store
from promptsearch.storage.manifest import ModelReference
from tests.promptsearch.conftest import Gallery
from tests.support.object_store import ObjectStore


def reference(bundle: Bundle, identity: str | None = None) -> ModelReference:
    return ModelReference(bundle.name, identity or bundle.identity, bundle.embedding_dim)


def test_a_bundle_is_copied_once_and_found_by_its_identity(
    store: ObjectStore, vit_bundle: Bundle, tmp_path: Path
) -> None:
    mirror = ModelMirror(f"{store.url}/models", tmp_path)
    assert not mirror.fetch(reference(vit_bundle)), "the store is empty"
    upload_model(vit_bundle.folder, Store(f"{store.url}/models"))
    assert not mirror.fetch(reference(vit_bundle, identity="0" * 64))
    assert mirror.fetch(reference(vit_bundle))
    [copied] = mirror.folder.glob(f"{vit_bundle.name}-*")
    Bundle.open(copied).verify()
    store.requests.clear()
    assert mirror.fetch(reference(vit_bundle))
    assert [key.rpartition("/")[2] for key in store.sent()] == ["model.json"]


def test_a_damaged_description_hides_no_other_bundle(store: ObjectStore, vit_bundle: Bundle, tmp_path: Path) -> None:
    upload_model(vit_bundle.folder, Store(f"{store.url}/models"))
    store.write("models/a/model.json", b"{")
    mirror = ModelMirror(f"{store.url}/models", tmp_path)
    assert mirror.fetch(reference(vit_bundle))
    with pytest.raises(BundleError, match=rf"^{store.url}/models/a"):
        mirror.fetch(reference(vit_bundle, identity="0" * 64))


def test_another_export_of_a_model_replaces_its_copy(store: ObjectStore, vit_bundle: Bundle, tmp_path: Path) -> None:
    upload_model(vit_bundle.folder, Store(f"{store.url}/models"))
    mirror = ModelMirror(f"{store.url}/models", tmp_path)
    mirror.fetch(reference(vit_bundle))
    [first] = mirror.folder.glob(f"{vit_bundle.name}-*")
    key = f"models/{vit_bundle.name}/model.json"
    store.write(key, json.dumps(json.loads(store.read(key)), indent=7).encode())
    assert mirror.fetch(reference(vit_bundle))
    [second] = mirror.folder.glob(f"{vit_bundle.name}-*")
    assert second.name != first.name


def test_collection_is_opened_from_a_url(store: ObjectStore, pictures: Gallery, tmp_path: Path) -> None:
    upload_collection(pictures.collection, Store(f"{store.url}/indices"))
    url, cache = f"{store.url}/indices/{pictures.collection.name}", tmp_path / "cache"
    with pytest.raises(ModelMismatch, match=f"looked for it in {store.url}/models, models"):
        promptsearch.open(url, cache=cache)
    [model] = [path.parent for path in pictures.models.glob("*/model.json")]
    upload_model(model, Store(f"{store.url}/models"))
    with promptsearch.open(pictures.collection, models=pictures.models) as local:
        expected = [(result.id, result.score) for result in local.search_images("a red fox", limit=5)]
    with promptsearch.open(url, cache=cache) as opened:
        assert [(result.id, result.score) for result in opened.search_images("a red fox", limit=5)] == expected
    store.requests.clear()
    promptsearch.open(url, cache=cache, models=pictures.models).close()
    assert not [key for key in store.sent() if key.startswith("models/")]
    store.write(f"models/{model.name}/text.onnx", b"x")
    shutil.rmtree(next(cache.glob("s3-bucket-models-*")))
    with pytest.raises(BundleError, match=f"^{store.url}/models/{model.name}/text.onnx is damaged"):
        promptsearch.open(url, cache=cache, models=f"{store.url}/models")
    with pytest.raises(UnknownCollection):
        promptsearch.open(f"{store.url}/indices/none", cache=cache)
