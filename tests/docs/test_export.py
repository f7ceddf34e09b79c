"""The exports of the documentation, which need PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptsearch.encoding.bundle import Bundle
from tests.docs.checkout import run
from tests.docs.pages import of_kind
from tests.support.workspace import make_workspace

pytestmark = pytest.mark.torch


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", of_kind("export-open-clip"))
def test_weights_of_open_clip_are_exported(command: str, tmp_path: Path) -> None:
    """Random weights of the architecture's full size stand in for a download."""
    from tests.builder.export import open_clips

    folder = make_workspace(tmp_path / "checkout")
    open_clips.save(open_clips.random_model("ViT-B-32", tmp_path), folder / "open_clip_pytorch_model.bin")
    done = run(command, folder, seconds=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "text_cosine_min" in done.stdout
    assert Bundle.open(folder / "models" / "ViT-B-32-laion2B").source.open_clip == "ViT-B-32"


@pytest.mark.network
@pytest.mark.parametrize("command", of_kind("export"))
def test_the_real_model_is_exported_or_the_error_says_how(command: str, tmp_path: Path) -> None:
    """If OpenAI's server cannot be reached, one line names the alternative."""
    done = run(command, make_workspace(tmp_path / "checkout"))
    if done.returncode:
        assert "cannot be downloaded" in done.stderr
        assert "--checkpoint FILE" in done.stderr
        assert "Traceback" not in done.stderr
    else:
        assert "text_cosine_min" in done.stdout
