"""Checkpoint files, and what the command line says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.__main__ import main
from builder.export.clip.checkpoint import MEAN, ClipCheckpoint
from builder.export.opening import kind_of, open_file
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import ExportError
from tests.builder.cli.running import fails
from tests.builder.export.files import (
    tiny_weights,
    transformers_names,
    write_safetensors,
    write_state_dict,
    write_torchscript,
)

pytestmark = pytest.mark.usefixtures("without_torch")


def refused(path: Path, **options: object) -> str:
    with pytest.raises(ExportError) as refusal:
        open_file(path, **options)  # type: ignore[arg-type]
    return str(refusal.value)


def test_all_files_of_the_same_weights_are_exported_to_the_same_graphs(exported: Bundle, tmp_path: Path) -> None:
    weights = tiny_weights()
    files = [
        write_torchscript(weights, tmp_path / "openai.pt"),
        write_safetensors(weights, tmp_path / "open-clip.safetensors"),
        write_safetensors(transformers_names(weights), tmp_path / "transformers.safetensors"),
        write_state_dict({f"module.{name}": value for name, value in weights.items()}, tmp_path / "trained.bin"),
    ]
    for path in files:
        original = open_file(path).original()
        assert original.reference.name == "numpy"
        original.write_text(tmp_path / "text.onnx")
        original.write_image(tmp_path / "image.onnx")
        for name in ("text.onnx", "text.onnx.data", "image.onnx"):
            assert (tmp_path / name).read_bytes() == exported.path(name).read_bytes(), path


def test_the_command_exports_a_file(tmp_path: Path, tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(tiny_file), "--out", str(tmp_path / "a"), "--licence", "CC0-1.0", "--precision", "int8"])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == (
        f"exported tiny-vit.pt to {tmp_path / 'a'}: CLIP ViT/16 2 x 64, text transformer 2 x 64, 32 dimensions"
    )
    assert second.startswith("  fp32 against NumPy: text_cosine_min ")
    assert third.startswith("  int8 against NumPy: ")
    bundle = Bundle.open(tmp_path / "a")
    assert bundle.licence == "CC0-1.0"
    assert {precision.reference for precision in bundle.precisions.values()} == {"numpy"}


def test_the_command_fails_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_file: Path) -> None:
    out = ("--out", tmp_path / "m")
    assert "does not exist: pass a checkpoint file" in fails(capsys, "export", "--checkpoint", tmp_path / "x", *out)
    assert "does not exist: pass a checkpoint file" in fails(capsys, "export", tmp_path / "x.safetensors", *out)
    assert "expected a file, hf://ORG/REPO or a published model" in fails(capsys, "export", "ViT-L/15", *out)
    assert "name it with --open-clip" in fails(capsys, "export", tiny_file, "--pretrained", "openai", *out)
    assert "name it with --open-clip" in fails(capsys, "export", tiny_file, "--tokenizer", tmp_path, *out)
    assert not (tmp_path / "m").exists()


def test_errors_for_missing_pytorch_name_the_install_command(tmp_path: Path) -> None:
    weights = {**tiny_weights(), "visual.layer1.0.conv1.weight": np.zeros((1, 1, 1, 1), np.float32)}
    resnet = write_state_dict(weights, tmp_path / "resnet.pt")
    for message in (refused(resnet), refused(resnet, open_clip="ViT-B-16-SigLIP", pretrained="webli")):
        assert "is exported through PyTorch, which is not installed: run `make setup-all` in a checkout" in message
        assert "uv pip install --override requirements/overrides.txt '.[export]'" in message


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = write_state_dict({"weight": np.zeros(2, np.float32)}, tmp_path / "other.pt")
    assert "other.pt is not a checkpoint of OpenAI's CLIP architecture, by the names of its tensors" in refused(path)


def test_open_clips_architectures_must_have_the_weights_sizes(tiny_file: Path) -> None:
    message = refused(tiny_file, open_clip="ViT-B/16", pretrained="laion2b_s34b_b88k")
    assert message.startswith(
        "tiny-vit.pt does not hold the weights of ViT-B-16, by their shapes: they are of CLIP ViT/16"
    )


def test_published_weights_say_how_pictures_are_prepared() -> None:
    assert kind_of("ViT-L-14", "laion2b_s32b_b82k").mean == (0.5, 0.5, 0.5)
    assert kind_of("ViT-L-14", "datacomp_xl_s13b_b90k").mean == MEAN
    assert kind_of("ViT-B-16-quickgelu", "dfn2b").quick_gelu
    assert not kind_of("ViT-B-32", None).quick_gelu
    assert kind_of("ViT-L-14-336", None).open_clip == "ViT-L-14-336"
    with pytest.raises(
        ExportError, match="prepared in 2 ways: say which these are, or were tuned from, with --pretrained"
    ):
        kind_of("ViT-L-14", None)
    with pytest.raises(
        ExportError, match=r"expected published weights of ViT-B-32 \(.*\), got openai2: leave --pretrained"
    ):
        kind_of("ViT-B-32", "openai2")


def test_a_file_keeps_the_name_it_has(tiny_file: Path) -> None:
    checkpoint = open_file(tiny_file)
    assert isinstance(checkpoint, ClipCheckpoint)
    assert (checkpoint.source.name, checkpoint.source.open_clip, checkpoint.quick_gelu) == ("tiny-vit.pt", None, True)
