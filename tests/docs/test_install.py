"""The package as pip installs it, and the command line that it brings, against the demo."""

from __future__ import annotations

import json
import re
import subprocess
import venv
from pathlib import Path

import pytest

from tests.docs.checkout import run, succeed
from tests.docs.pages import of_kind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(demo_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with nothing but what `pip install .` brings."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(environment, with_pip=True)
    for command in of_kind("install"):
        succeed(f"PATH={environment}/bin:$PATH {command}", demo_checkout)
    return environment / "bin"


@pytest.mark.parametrize("command", of_kind("shell"))
def test_the_installed_command_line_answers(command: str, address: str, demo_checkout: Path, installed: Path) -> None:
    done = run(f"PATH={installed}:$PATH {command}".replace("localhost:8000", address), demo_checkout)
    assert (done.returncode, done.stderr) == (0, "")
    if "--json" in command:
        assert "dog" in json.loads(done.stdout)["results"][0]["prompt"]["text"]
        return
    [words] = [words for pattern, words in EXPECTED.items() if re.search(pattern, command)]
    assert all(word in done.stdout for word in words), done.stdout


# By what a command has: words that its output must contain.
EXPECTED = {
    r'search "happy dog"': ["dog"],
    r"search --image cat\.png": ["cat"],
    r"search castle": ["castle", "noto"],
    r"similar 63301c87dd7301ec4537": ["dog face", "twemoji"],
    r"fields": ["style", "width"],
}


def test_what_is_installed(address: str, demo_checkout: Path, installed: Path) -> None:
    assert address  # the demo has built indices/emoji
    code = "import promptsearch; promptsearch.open('indices/emoji').search_images('happy dog').to_pandas()"
    done = subprocess.run(
        [installed / "python", "-Pc", code], cwd=demo_checkout, capture_output=True, text=True, check=False
    )
    assert "NotInstalled: a table takes pandas: pip install pandas" in done.stderr
    assert list(installed.parent.glob("lib/python*/site-packages/promptsearch/py.typed"))
    listed = run(f"{installed}/python -m pip list --format=freeze", demo_checkout).stdout.lower()
    assert not re.search(r"^(torch|fastapi|pydantic|uvicorn|autofaiss|pandas|pyarrow)==", listed, re.MULTILINE)
    build = "build manifest my-pictures --model models/emoji --collection none --indices ../elsewhere"
    for program, arguments in (("service", "--help"), ("builder", build)):
        done = run(f"{installed}/prompt-search-{program} {arguments}", demo_checkout)
        assert done.returncode == 1
        assert re.fullmatch(
            rf"error: the {program} needs \w+, too: install prompt-search\[{program}\].*\n", done.stderr
        )
