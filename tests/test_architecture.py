"""The shape of the repository: who may import whom, and how many files a folder has."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support.workspace import ROOT

FILES_PER_FOLDER = 13  # code that one look takes in; `__init__.py` and test helpers are not counted
CODE = {".py", ".js", ".css"}


def test_imports_keep_to_the_contracts() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def crowded(folder: Path, counted: str = "*") -> dict[str, int]:
    """Return the folders below `folder` with more than FILES_PER_FOLDER files of code that match `counted`."""
    files = (path for path in folder.rglob(counted) if path.suffix in CODE and path.name != "__init__.py")
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)
    return {name: count for name, count in counts.items() if count > FILES_PER_FOLDER}


def test_no_folder_is_crowded() -> None:
    for room in ("promptsearch", "builder", "service", "bench"):
        assert crowded(ROOT / room) == {}
    assert crowded(ROOT / "tests", "test_*.py") == {}


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    folder = ROOT / "service" / "page" / "js"
    assert len(list(folder.rglob("*.js"))) > FILES_PER_FOLDER, "the largest tree of files, which is cut into folders"
