"""Create a checkout with everything that the commands in the documentation need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from PIL import Image

from promptsearch.encoding.bundle import Bundle
from tests.builder.sources import test_embeddings, test_img2dataset
from tests.builder.sources.test_diffusiondb import CAT, FOX, row, write_metadata, write_zip
from tests.promptsearch.metadata import samples
from tests.support import source
from tests.support.vectors import random_vectors
from tests.support.workspace import ROOT, make_workspace

EMOJI = ROOT / "builder" / "demo" / "emoji" / "images"


def make_checkout(folder: Path) -> Path:
    """Return a new checkout with a picture, a folder of each source and a model."""
    make_workspace(folder)
    (folder / "models" / "ViT-B-32").symlink_to(ROOT / "models" / "emoji")  # in place of a download
    Image.open(EMOJI / "noto" / "1f431.webp").save(folder / "cat.png")
    source.write(folder / "my-pictures")
    (folder / "my-generations").mkdir()
    samples.save_png(folder / "my-generations" / "a.png", {"parameters": samples.A1111})
    shutil.copy(ROOT / "tests" / "data" / "open_prompts.csv", folder / "open-prompts.csv")
    (folder / "pictures").mkdir()
    write_zip(folder / "diffusiondb", 1, {"a.png": FOX, "b.png": CAT})
    write_metadata(folder / "diffusiondb" / "metadata.parquet", [row("a.png", 1), row("b.png", 1)])
    test_img2dataset.write(folder / "downloaded", "webdataset", "00000", [test_img2dataset.sample("000000000")])
    vectors = random_vectors(3, Bundle.open(ROOT / "models" / "emoji").embedding_dim)
    test_embeddings.write(folder / "embeddings", 0, test_embeddings.rows(3), vectors, vectors)
    return folder


def run(command: str, folder: Path, seconds: float = 250) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell and return its result, whatever its status."""
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
    )


def succeed(command: str, folder: Path, seconds: float = 250) -> str:
    """Run a command that must succeed and return its standard output."""
    done = run(command, folder, seconds)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
