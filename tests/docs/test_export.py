"""The exports of the documentation. Random weights of the architectures' full size stand in for downloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.export.clip.architectures import ARCHITECTURES
from promptsearch.encoding.bundle import Bundle
from tests.builder.export.files import write_safetensors
from tests.docs.checkout import run
from tests.docs.pages import of_kind
from tests.support.workspace import make_workspace


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", of_kind("export-file"))
def test_a_file_of_open_clips_weights_is_exported(command: str, tmp_path: Path) -> None:
    folder, random = make_workspace(tmp_path / "checkout"), np.random.default_rng(0)
    weights = {}
    for name, shape in ARCHITECTURES["ViT-B-32"].shapes().items():
        centre = 1 if name.endswith("weight") and len(shape) == 1 else 0
        spread = random.standard_normal(shape, dtype=np.float32) * np.float32(0.1 if len(shape) == 1 else 0.03)
        weights[name] = np.asarray(centre + spread, dtype=np.float32)
    write_safetensors(weights, folder / "open_clip_model.safetensors")
    done = run(command, folder, seconds=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "text_cosine_min" in done.stdout
    bundle = Bundle.open(folder / "models" / "mine")
    assert (bundle.source.open_clip, bundle.embedding_dim, bundle.image.size) == ("ViT-B-32", 512, 224)


@pytest.mark.torch
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", of_kind("export-open-clip"))
def test_weights_of_open_clip_are_exported_through_pytorch(command: str, tmp_path: Path) -> None:
    from tests.builder.export.pytorch import open_clips

    folder = make_workspace(tmp_path / "checkout")
    model = open_clips.random_model("PE-Core-T-16-384", tmp_path)
    open_clips.save(model, folder / "open_clip_pytorch_model.bin")
    done = run(command, folder, seconds=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "fp32 against PyTorch: text_cosine_min" in done.stdout
    assert Bundle.open(folder / "models" / "PE-Core-T").source.open_clip == "PE-Core-T-16-384"


@pytest.mark.long
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", of_kind("export"))
def test_real_weights_are_exported_or_the_error_names_the_remedy(command: str, tmp_path: Path) -> None:
    """If a server cannot be reached, one line says what to do instead."""
    done = run(command, make_workspace(tmp_path / "checkout"), seconds=1700)
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("error: https://")
        assert "cannot be downloaded" in done.stderr
        assert "save it as" in done.stderr
        assert "Traceback" not in done.stderr
    else:
        assert "text_cosine_min" in done.stdout
