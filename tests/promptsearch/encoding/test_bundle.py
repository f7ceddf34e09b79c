from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptsearch.encoding.bundle import Bundle, Precision
from promptsearch.errors import BundleError

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def copy(vit_bundle: Bundle, tmp_path: Path) -> Path:
    """Return a copy of the bundle's folder, to be damaged."""
    return Path(shutil.copytree(vit_bundle.folder, tmp_path / "copy"))


def edit(folder: Path, change: Edit) -> None:
    data = json.loads((folder / "model.json").read_text())
    change(data)
    (folder / "model.json").write_text(json.dumps(data))


def test_written_manifest_is_read(vit_bundle: Bundle, tmp_path: Path) -> None:
    for name in vit_bundle.files:
        (tmp_path / name).touch()
    moved = replace(vit_bundle, folder=tmp_path, licence="ü", logit_scale=4.60517)
    moved.write()
    assert Bundle.open(tmp_path) == moved


def test_bundle_records_the_preprocessing(vit_bundle: Bundle) -> None:
    data = json.loads(vit_bundle.path("model.json").read_text())
    assert data["schema_version"] == 1
    assert data["image"]["size"] == 64
    assert data["text"] == {
        "context_length": 77, "vocabulary_size": 49408, "start_id": 49406, "end_id": 49407, "padding_id": 0,
        "cleaning": "clip", "padding": "longest", "mask": "causal", "pooling": "end-of-text",
            "splitting": "clip",
    }  # fmt: skip
    assert set(data["files"]) == {"text.onnx", "text.onnx.data", "image.onnx", "tokenizer.json"}
    assert data["licence"] == "CC0-1.0"


def test_identity_depends_on_checkpoint_and_preprocessing_only(vit_bundle: Bundle) -> None:
    same = replace(
        vit_bundle,
        folder=Path("elsewhere"),
        name="other",
        licence="other",
        files={"text.onnx": "0" * 64},
        precisions={"int8": Precision("text.int8.onnx", "image.int8.onnx", {"text_cosine_min": 0.99})},
    )
    assert same.identity == vit_bundle.identity
    others = [
        replace(vit_bundle, source=replace(vit_bundle.source, sha256="0" * 64)),
        replace(vit_bundle, image=replace(vit_bundle.image, size=65)),
        replace(vit_bundle, image=replace(vit_bundle.image, background=(0, 0, 0))),
        replace(vit_bundle, text=replace(vit_bundle.text, padding="context")),
    ]
    assert len({vit_bundle.identity, *(other.identity for other in others)}) == 5


def test_folder_without_description_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a model bundle: it has no model\.json"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"\0"])
def test_a_damaged_description_is_refused(copy: Path, content: bytes) -> None:
    (copy / "model.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.json cannot be read"):
        Bundle.open(copy)


@pytest.mark.parametrize("content", ["[]", "null", "1", "{}", '{"schema_version": 2}', '{"schema_version": "1"}'])
def test_another_schema_is_refused(copy: Path, content: str) -> None:
    (copy / "model.json").write_text(content)
    with pytest.raises(BundleError, match=r"expected 1: export it again"):
        Bundle.open(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("source"),
        lambda data: data.update(source=None),
        lambda data: data.update(image="square"),
        lambda data: data["image"].update(mean=None),
        lambda data: data["text"].update(unknown=1),
        lambda data: data.update(precisions=["fp32"]),
        lambda data: data["precisions"].update(fp32={}),
    ],
)
def test_a_description_that_lacks_something_is_refused(copy: Path, change: Edit) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match="is not a valid model description"):
        Bundle.open(copy)


def test_missing_files_of_a_bundle_are_named(copy: Path) -> None:
    (copy / "text.onnx").unlink()
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"incomplete: text\.onnx, tokenizer\.json missing"):
        Bundle.open(copy)


def test_verify_finds_a_changed_bit(copy: Path) -> None:
    bundle = Bundle.open(copy)
    bundle.verify()
    data = bytearray((copy / "image.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "image.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"image\.onnx is damaged"):
        bundle.verify()


def test_identity_of_the_committed_model_is_stable() -> None:
    """Fields that model.json gains must not change it: every collection built with it would be refused."""
    bundle = Bundle.open(Path(__file__).parents[3] / "models" / "emoji")
    assert bundle.identity == "34505f48e28a96ec1581de58dad32c97025c3f711fa9a0380c7cd86e9c9d1a56"
    assert replace(bundle, text=replace(bundle.text, splitting="file")).identity != bundle.identity
