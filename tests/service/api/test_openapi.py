"""Schemathesis sends requests that the API's description allows, and others, with its checks on.

No answer may be a 5xx, or differ from the description. Of uploads the check that valid data is accepted says
nothing: random bytes are rightly refused.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.support.serving import ROOT, START, Service, serving

# How much is sent: so many cases for each operation, or as many as that many seconds have room for.
EFFORTS = [
    pytest.param(["--max-examples", "4"], id="short", marks=pytest.mark.slow),
    pytest.param(["--max-time", "40"], id="long", marks=pytest.mark.long),
]
# 413 is right for what is wrong and too large.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""
RUN = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


@pytest.fixture(scope="module")
def fuzzed(
    indices: Path, models: Path, source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Yield a separate service, whose log must stay free of errors under all requests."""
    flags = ("--indices", str(indices), "--models", str(models), "--files", f"tiny={source_folder}")
    with serving(tmp_path_factory.mktemp("schema"), flags) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    "choice",
    [
        ["--exclude-method", "POST"],
        ["--include-method", "POST", "--exclude-checks", "positive_data_acceptance"],
    ],
    ids=["by URL", "by body"],
)
def test_every_answer_conforms_to_the_description(
    fuzzed: Service, tmp_path: Path, effort: list[str], choice: list[str]
) -> None:
    flags = ["--checks", "all", *effort, "--seed", "1", "--no-color", "--continue-on-failure"]
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.service.support.schema_hooks"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, "run", f"{fuzzed.url}/openapi.json", *flags, *choice],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=4 * START,
    )  # fmt: skip
    report = "\n".join(line[:500] for line in done.stdout.splitlines())
    assert done.returncode == 0, report + done.stderr
    [(generated, passed)] = re.findall(r"(\d+) generated, (\d+) passed", report)
    assert generated == passed
    assert int(passed) > 100
