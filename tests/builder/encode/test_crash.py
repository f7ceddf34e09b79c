"""Interrupted builds resume, and the result equals that of an uninterrupted build."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from builder.versions.verify import verify
from promptsearch.storage.manifest import Manifest, current_version

ROOT = Path(__file__).parents[3]
PICTURES = 200


def write(folder: Path, count: int) -> Path:
    """Write a source of so many of the demo's pictures, and one that is damaged, with their prompts."""
    rows = (ROOT / "builder/demo/emoji/manifest.csv").read_text(encoding="utf-8").splitlines()[: count + 1]
    (folder / "images").symlink_to(ROOT / "builder/demo/emoji/images")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    rows[50:50] = ["damaged.png,a damaged picture" + "," * (rows[0].count(",") - 1)]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def start(pictures: Path, indices: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "builder", "build", "manifest", str(pictures), "--model", "models/emoji",
               "--collection", "c", "--indices", str(indices)]  # fmt: skip
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out


def content(collection: Path) -> dict[str, Any]:
    """Return all that a version holds except its name and times."""
    folder = current_version(collection)
    contents: dict[str, Any] = {
        name: (folder / name).read_bytes()
        for name in ("images.f16.npy", "prompts.f16.npy", "images.faiss", "prompts.faiss", "quarantine.csv")
    }
    contents |= {path.name: path.read_bytes() for path in folder.glob("field-*.npy")}
    tables = ("items.images", "items.prompts", "thumbnails.thumbnails", "fields.fields", "fields.texts")
    for name, table in (qualified.split(".") for qualified in tables):
        database = sqlite3.connect(folder / f"{name}.sqlite")
        contents[table] = database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        database.close()
    manifest = Manifest.read(folder)
    return {**contents, "counts": manifest.counts, "recall": [manifest.images, manifest.prompts]}


@pytest.mark.parametrize(
    ("count", "collections", "kills"),
    [
        pytest.param(PICTURES, 1, 3, marks=pytest.mark.slow),
        pytest.param(700, 4, 5, marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
def test_a_killed_build_equals_an_uninterrupted_build(tmp_path: Path, count: int, collections: int, kills: int) -> None:
    """Each collection's build is killed so often, at a random moment, before it may end."""
    pictures = write(tmp_path, count)
    started = time.monotonic()
    finish(start(pictures, tmp_path / "unbroken"))
    cold = time.monotonic() - started
    expected = content(tmp_path / "unbroken" / "c")
    assert expected["counts"] == {"prompts": len(expected["prompts"]), "images": count + 1,
                                  "image_vectors": count, "quarantined": 1}  # fmt: skip
    started = time.monotonic()
    finish(start(pictures, tmp_path / "unbroken"))
    warm = time.monotonic() - started
    rng = random.Random(0)
    for number in range(collections):
        indices, killed = tmp_path / f"{number}", 0
        while killed < kills:
            process = start(pictures, indices)
            time.sleep(rng.uniform(0, warm if killed else cold))
            os.kill(process.pid, signal.SIGKILL)  # the builder alone: its decoding processes must end by themselves
            process.communicate(timeout=60)  # returns when the last of them has closed the pipe
            killed += process.returncode == -signal.SIGKILL  # else it had ended before
        finish(start(pictures, indices))
        assert content(indices / "c") == expected
        verify(indices / "c")


def test_a_killed_build_resumes_without_encoding_again(tmp_path: Path) -> None:
    pictures = write(tmp_path, PICTURES)
    process = start(pictures, tmp_path)
    deadline = time.monotonic() + 120
    while not (known := _encoded(tmp_path / "c")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    out, _ = (process := start(pictures, tmp_path)).communicate(timeout=240)
    assert process.returncode == 0, out
    assert re.search(r"resuming at \d+: the pictures before it are encoded already", out)
    build = Manifest.read(current_version(tmp_path / "c")).build
    assert build["from_cache"]["images"] >= known
    assert build["encoded"]["images"] + build["from_cache"]["images"] == PICTURES


def _encoded(collection: Path) -> int:
    for path in (collection.parent / ".cache").glob("[!f]*.sqlite"):
        database = sqlite3.connect(path)
        try:
            (count,) = database.execute("SELECT count(*) FROM pictures").fetchone()
        except sqlite3.OperationalError:  # its tables are not made yet
            count = 0
        database.close()
        return int(count)
    return 0
