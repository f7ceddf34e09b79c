"""The command line's parts that need PyTorch: `export`, and `--engine torch`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.support.checkpoints import save
from builder.__main__ import main
from builder.export.pytorch.checkpoint import StateDict
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.manifest import Manifest
from tests.builder.cli.running import run


def test_builds_with_torch_record_the_engine(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    where = ["--collection", "c", "--indices", str(tmp_path)]
    main(["embed", "manifest", str(source_folder), "--model", str(vit_bundle.folder), *where, "--engine", "torch"])
    assert "embedded 4 prompts, 6 images (3 with a vector)" in capsys.readouterr().out
    assert Manifest.read(tmp_path / "c" / "staging").build["engine"] == "torch"


def test_as_a_process_it_exports_a_checkpoint(vit_state: StateDict, tmp_path: Path) -> None:
    checkpoint = save(vit_state, tmp_path / "tiny.pt")
    done = run("export", "--checkpoint", checkpoint, "--out", tmp_path / "models" / "tiny", "--licence", "CC0-1.0")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("exported tiny.pt to ")
    assert second.startswith("  fp32 against PyTorch: text_cosine_min ")
    assert Bundle.open(tmp_path / "models" / "tiny").licence == "CC0-1.0"
