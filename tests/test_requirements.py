"""The locked requirements: their inputs, their sources, and the Pythons they install on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workspace import ROOT

LOCKED = sorted(path for path in (ROOT / "requirements").glob("*.txt") if path.name != "overrides.txt")
UV = Path(sys.executable).with_name("uv")
# Published as source alone, which is pure Python.
SOURCE_ONLY = ("--no-binary", "pyspark")


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.stem)
def test_every_package_has_a_hash_and_none_an_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages
    assert "://" not in text
    assert all(line.endswith("\\") for line in packages), "run `make lock`"
    assert text.count("--hash=sha256:") >= len(packages)


@pytest.mark.long
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("name", ["client", "dev", "download"])
def test_a_locked_set_has_wheels(name: str, python: str, tmp_path: Path) -> None:
    """`dev` has all that the sets of services, builders and tests have."""
    command: list[str | Path] = [UV, "pip", "compile", "--quiet", "--no-deps", "--only-binary", ":all:", *SOURCE_ONLY]
    locked = ROOT / "requirements" / f"{name}.txt"
    done = subprocess.run(
        [*command, "--python-version", python, locked, "-o", tmp_path / "resolved.txt"],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_locked_sets_are_those_of_pyproject(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv").symlink_to(UV.parents[1])
    subprocess.run(["make", "lock"], cwd=tmp_path, check=True, capture_output=True, timeout=850)
    for path in LOCKED:
        assert (tmp_path / "requirements" / path.name).read_text() == path.read_text(), "run `make lock`"
