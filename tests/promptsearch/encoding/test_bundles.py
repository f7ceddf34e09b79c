"""Bundles in folders, and the bundle of a collection among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.bundles import bundle_for, bundles_in
from promptsearch.storage.manifest import ModelReference


@pytest.fixture
def models(vit_bundle: Bundle, tmp_path: Path) -> Path:
    """Return a folder with a bundle, a damaged one, and other files."""
    folder = tmp_path / "models"
    shutil.copytree(vit_bundle.folder, folder / "whole", copy_function=shutil.copyfile)
    for name in ("damaged", "empty"):
        (folder / name).mkdir()
    (folder / "damaged" / "model.json").write_text("{")
    (folder / "README.md").write_text("models")
    return folder


def test_readable_bundles_are_returned_and_damaged_ones_reported(models: Path, vit_bundle: Bundle) -> None:
    damaged: list[Path] = []
    bundles = bundles_in([models, models / "missing"], lambda path, _error: damaged.append(path))
    assert [(bundle.folder, bundle.identity) for bundle in bundles] == [(models / "whole", vit_bundle.identity)]
    assert damaged == [models / "damaged"]


def test_a_collection_has_the_bundle_of_its_models_identity(vit_bundle: Bundle) -> None:
    def named(name: str, identity: str) -> ModelReference:
        return ModelReference(name, identity, vit_bundle.embedding_dim)

    assert bundle_for(named("other", vit_bundle.identity), [vit_bundle]) is vit_bundle
    assert bundle_for(named(vit_bundle.name, "0" * 64), [vit_bundle]) is vit_bundle, "for the message of the error"
    assert bundle_for(named("other", "0" * 64), [vit_bundle]) is None
    assert bundle_for(named(vit_bundle.name, vit_bundle.identity), []) is None
