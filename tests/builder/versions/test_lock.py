from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from builder.versions.lock import locked
from promptsearch.errors import BuildError


def test_two_processes_do_not_build_one_collection(tmp_path: Path) -> None:
    hold = "import sys; from builder.versions.lock import locked; from pathlib import Path\n"
    hold += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "c")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BuildError, match="another build of c is running"), locked(tmp_path / "c"):
            pass
        with locked(tmp_path / "other"):
            pass
        holder.kill()
    with locked(tmp_path / "c"):
        assert not (tmp_path / "c").exists(), "the folder is the build's to make"
