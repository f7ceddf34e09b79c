"""The package as pip installs it, with the command line and the programs that it brings."""

from __future__ import annotations

import json
import re
import subprocess
import venv
from pathlib import Path

import httpx
import pytest

from builder.indexing.autofaiss import INSTALL
from promptsearch.storage.manifest import Manifest, current_version
from tests.docs.checkout import make_checkout, run, succeed
from tests.docs.pages import of_kind
from tests.support.workspace import ROOT, running

pytestmark = pytest.mark.slow
LIBRARY, *EXTRAS = of_kind("install")


def install(environment: Path, commands: list[str], checkout: Path) -> Path:
    """Run the commands with the pip of a new environment; return its `bin`."""
    venv.create(environment, with_pip=True)
    for command in commands:
        succeed(f"PATH={environment}/bin:$PATH {command}", checkout, seconds=600)
    return environment / "bin"


@pytest.fixture(scope="module")
def installed(demo_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of an environment with nothing but what `pip install .` brings."""
    return install(tmp_path_factory.mktemp("installed") / "environment", [LIBRARY], demo_checkout)


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


def test_the_library_is_installed_without_extras(address: str, demo_checkout: Path, installed: Path) -> None:
    assert address  # the demo has built indices/emoji
    code = "import promptsearch; promptsearch.open('indices/emoji').search_images('happy dog').to_pandas()"
    done = subprocess.run(
        [installed / "python", "-Pc", code], cwd=demo_checkout, capture_output=True, text=True, check=False
    )
    assert "NotInstalled: to_pandas needs pandas: pip install pandas" in done.stderr
    listed = run(f"{installed}/python -m pip list --format=freeze", demo_checkout).stdout.lower()
    assert not re.search(r"^(torch|fastapi|pydantic|uvicorn|autofaiss|pandas|pyarrow)==", listed, re.MULTILINE)


def test_only_names_of_this_project_are_installed(installed: Path) -> None:
    [packages] = installed.parent.glob("lib/python*/site-packages")
    [recorded] = packages.glob("prompt_search-*.dist-info/RECORD")
    files = {line.split(",")[0] for line in recorded.read_text(encoding="utf-8").splitlines()}
    tops = {file.split("/")[0] for file in files if not file.startswith((".", "prompt_search-"))}
    assert tops == {"promptsearch", "promptsearch_builder", "promptsearch_service"}
    assert "promptsearch/py.typed" in files
    for name, folder in (("promptsearch_service/page", "service/page"), ("promptsearch_builder", "builder")):
        pattern = "*" if "page" in folder else "*.py"
        there = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob(pattern) if path.is_file()}
        wanted = {f"{name}/{file}" for file in there if not file.startswith("demo/") and "__pycache__" not in file}
        assert wanted <= files
    assert not [file for file in files if file.startswith("promptsearch_builder/demo/")]


def test_programs_without_their_extras_name_the_missing_extra(demo_checkout: Path, installed: Path) -> None:
    build = "build manifest my-pictures --model models/emoji --collection none --indices ../elsewhere"
    for program, arguments in (("service", "--help"), ("builder", build)):
        done = run(f"{installed}/prompt-search-{program} {arguments}", demo_checkout)
        assert done.returncode == 1
        assert re.fullmatch(rf"error: the {program} needs \w+: install prompt-search\[{program}\]; .*\n", done.stderr)


def test_the_builder_names_the_documented_command_for_autofaiss() -> None:
    assert INSTALL in EXTRAS
    pinned = INSTALL.removeprefix("pip install --no-deps ").split()
    group = re.search(r"^autofaiss = \[.*\n((?: .*\n)*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert group is not None
    assert re.findall(r'"(.*)"', group[1]) == pinned


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_installed_programs_need_no_checkout(tmp_path: Path) -> None:
    checkout, elsewhere = make_checkout(tmp_path / "checkout"), tmp_path / "elsewhere"
    *extras, autofaiss = EXTRAS
    binaries = install(tmp_path / "environment", [LIBRARY, *extras], checkout)
    (elsewhere / "models").mkdir(parents=True)
    for name in ("models/emoji", "my-pictures"):
        (elsewhere / name).symlink_to((checkout / name).resolve())
    build, serve = of_kind("programs")

    refused = run(f"PATH={binaries}:$PATH {build}", elsewhere)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"error: building indices needs autofaiss, which is not installed: run `{INSTALL}`\n",
    )
    assert not (elsewhere / "indices").exists()

    succeed(f"PATH={binaries}:$PATH {autofaiss}", elsewhere)
    succeed(f"PATH={binaries}:$PATH {build}", elsewhere)
    assert Manifest.read(current_version(elsewhere / "indices" / "mine")).counts["image_vectors"]

    command = f"PATH={binaries}:$PATH exec {serve} --port 0 --workers 2"
    with running(["bash", "-c", command], elsewhere, tmp_path / "service.log") as service:
        url = service.wait_for(r"serving at (http://\S+)")
        results = httpx.get(f"{url}/search/images", params={"q": "fox"}).raise_for_status().json()["results"]
        assert results
        httpx.get(url + results[0]["image"]["thumbnail"]).raise_for_status()
        assert "<script" in httpx.get(url).raise_for_status().text
        assert service.interrupt() == 0

    links = run(f"{binaries}/prompt-search-builder download manifest my-pictures --out fetched", elsewhere)
    assert links.returncode == 1
    assert "pip install img2dataset" in links.stderr
