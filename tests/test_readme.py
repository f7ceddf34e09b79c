"""Every command in the README runs, and its table of settings is the code's."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from promptsearch.bundle import Bundle
from tests import settings_table, source, web
from tests.builder.sources import test_embeddings, test_img2dataset
from tests.builder.sources.test_diffusiondb import CAT, FOX, row, write_metadata, write_zip
from tests.builder.sources.test_folder import save
from tests.object_store import object_store
from tests.vectors import random_vectors
from tests.workspace import ROOT, Running, free_port, make_workspace, running

README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = ROOT / "builder" / "demo" / "emoji" / "images"


CONTAINERS = README[README.index("## Containers") : README.index("## Past one machine")]


def commands(text: str = README.replace(CONTAINERS, "")) -> list[str]:
    """The lines of its shell blocks, without comments; those about containers are run by tests/containers."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


MAKE = [line for line in commands() if line.startswith("make ")]
CURL = [line for line in commands() if line.startswith("curl ")]
BUILD = [line for line in commands() if line.startswith(".venv/bin/python -m builder ") and " export " not in line]
MORE = "builder download | fetched |--runner spark|--to milvus"  # needs packages that `make test` does not install
EXPORT = [line for line in commands() if line.startswith(".venv/bin/python -m builder export ")]
SERVE = [line for line in commands() if line.startswith(".venv/bin/python -m service ")]
INSTALL = [line for line in commands() if line.startswith("pip install ")]
ASK = [line for line in commands() if line.startswith("prompt-search ")]
PYTHON = [
    block
    for block in re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    if "import promptsearch" in block
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout with what the README takes for granted: a picture, a folder of one's own, a CSV, an exported model."""
    folder = make_workspace(tmp_path_factory.mktemp("readme") / "checkout")
    (folder / "models" / "ViT-B-32").symlink_to(ROOT / "models" / "emoji")  # stands in for a download
    Image.open(PICTURES / "noto" / "1f431.webp").save(folder / "cat.png")
    source.write(folder / "my-pictures")
    shutil.copy(ROOT / "tests" / "data" / "open_prompts.csv", folder / "open-prompts.csv")
    (folder / "pictures").mkdir()
    save(folder / "my-generations" / "a.png")
    write_zip(folder / "diffusiondb", 1, {"a.png": FOX, "b.png": CAT})
    write_metadata(folder / "diffusiondb" / "metadata.parquet", [row("a.png", 1), row("b.png", 1)])
    test_img2dataset.write(folder / "downloaded", "webdataset", "00000", [test_img2dataset.sample("000000000")])
    dim = Bundle.open(ROOT / "models" / "emoji").embedding_dim
    vectors = random_vectors(3, dim)
    test_embeddings.write(folder / "embeddings", 0, test_embeddings.rows(3), vectors, vectors)
    with web.serving() as linked, object_store() as store, pytest.MonkeyPatch.context() as environment:
        for name, value in {**store.environment, "PROMPT_SEARCH_CACHE": str(folder.parent / "cache")}.items():
            environment.setenv(name, value)
        links = [
            json.dumps({"raw_discord_data": {"image_uri": f"{linked.url}/good/{number}.png"}}) for number in (1, 2)
        ]
        with (folder / "links.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("prompt", "raw_data"), ("a fox", links[0]), ("a cat", links[1])])
        yield folder


@pytest.fixture(scope="module")
def demo(workspace: Path) -> Iterator[Running]:
    with running(["make", "demo", f"PORT={free_port()}"], workspace, workspace.parent / "demo.log") as process:
        yield process


def run(command: str, folder: Path, seconds: float = 250) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
    )


def test_every_command_is_of_a_kind_that_is_run_here() -> None:
    assert sorted(commands()) == sorted([*MAKE, *CURL, *BUILD, *EXPORT, *SERVE, *INSTALL, *ASK])
    assert all((MAKE, CURL, BUILD, EXPORT, SERVE, INSTALL, ASK, PYTHON))


@pytest.mark.parametrize("command", MAKE)
def test_make_targets_exist(command: str) -> None:
    """`make demo` is run by tests/test_demo.py; `make test` is what runs this."""
    assert run(f"{command} --dry-run", ROOT).returncode == 0


def test_settings_are_the_services() -> None:
    assert settings_table.table() in README, "write it with `python -m tests.settings_table`"


@pytest.mark.slow
@pytest.mark.parametrize("command", CURL)
def test_curl_is_answered(command: str, demo: Running, workspace: Path) -> None:
    address = demo.wait_for(r"serving at http://(\S+)")
    done = run(command.replace("curl ", "curl -sS --fail-with-body ").replace("localhost:8000", address), workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    if "-o " not in command:
        answer = json.loads(done.stdout)
        assert answer.get("results", True) if isinstance(answer, dict) else answer, "nothing was found"


@pytest.fixture(scope="module")
def installed(workspace: Path) -> Path:
    """The `bin` of an environment with nothing but what `pip install .` brings."""
    environment = workspace.parent / "installed"
    venv.create(environment, with_pip=True)
    for command in INSTALL:
        done = run(f"PATH={environment}/bin:$PATH {command}", workspace)
        assert done.returncode == 0, done.stdout + done.stderr
    return environment / "bin"


@pytest.mark.slow
@pytest.mark.parametrize("command", ASK)
def test_the_installed_command_line_answers(command: str, demo: Running, workspace: Path, installed: Path) -> None:
    address = demo.wait_for(r"serving at http://(\S+)")
    done = run(f"PATH={installed}:$PATH {command}".replace("localhost:8000", address), workspace)
    assert (done.returncode, done.stderr) == (0, "")
    assert " fields " in command or "dog" in done.stdout or "castle" in done.stdout or "cat" in done.stdout, done.stdout


@pytest.mark.slow
def test_what_is_installed(workspace: Path, installed: Path) -> None:
    code = "import promptsearch; promptsearch.open('indices/emoji').search_images('happy dog').to_pandas()"
    done = subprocess.run(
        [installed / "python", "-Pc", code], cwd=workspace, capture_output=True, text=True, check=False
    )
    assert "NotInstalled: a table takes pandas: pip install pandas" in done.stderr
    assert list(installed.parent.glob("lib/python*/site-packages/promptsearch/py.typed"))
    listed = run(f"{installed}/python -m pip list --format=freeze", workspace).stdout.lower()
    assert not re.search(r"^(torch|fastapi|pydantic|uvicorn|autofaiss|pandas|pyarrow)==", listed, re.MULTILINE)
    build = "build manifest my-pictures --model models/emoji --collection none --indices ../elsewhere"
    for program, asked in (("service", "--help"), ("builder", build)):
        done = run(f"{installed}/prompt-search-{program} {asked}", workspace)
        assert done.returncode == 1
        assert re.fullmatch(
            rf"error: the {program} needs \w+, too: install prompt-search\[{program}\].*\n", done.stderr
        )


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(code: str, demo: Running, workspace: Path) -> None:
    address = demo.wait_for(r"serving at http://(\S+)")
    command = [sys.executable, "-W", "error", "-W", "ignore:builtin type:DeprecationWarning", "-c"]
    done = subprocess.run(
        [*command, code.replace("localhost:8000", address)], cwd=workspace, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([command for command in BUILD if not re.search(MORE, command)], id="without more"),
        pytest.param(BUILD, id="all", marks=[pytest.mark.download, pytest.mark.milvus, pytest.mark.spark]),
    ],
)
def test_a_collection_of_ones_own_is_built_and_served(workspace: Path, commands: list[str]) -> None:
    for command in commands:
        done = run(command, workspace)
        assert done.returncode == 0, done.stdout + done.stderr
    for command in SERVE:
        with running(["bash", "-c", f"exec {command} --port 0"], workspace, workspace.parent / "own.log") as serving:
            url = serving.wait_for(r"serving at (http://\S+)")
            answer = httpx.get(f"{url}/search/prompts", params={"q": "fox"}).raise_for_status().json()
            assert answer["collection"] == "mine"
            assert {one["text"] for one in answer["results"]} == set(source.PROMPTS)
            assert serving.interrupt() == 0


@pytest.mark.torch
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", [command for command in EXPORT if "--open-clip" in command])
def test_weights_of_open_clip_are_exported(command: str, tmp_path: Path) -> None:
    """Random ones of the architecture's full size stand in for a download."""
    from tests.builder.export import open_clips

    folder = make_workspace(tmp_path / "checkout")
    open_clips.save(open_clips.random_model("ViT-B-32", tmp_path), folder / "open_clip_pytorch_model.bin")
    done = run(command, folder, seconds=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "text_cosine_min" in done.stdout
    assert Bundle.open(folder / "models" / "ViT-B-32-laion2B").source.open_clip == "ViT-B-32"


@pytest.mark.torch
@pytest.mark.network
@pytest.mark.parametrize("command", [command for command in EXPORT if "--open-clip" not in command])
def test_the_real_model_is_exported_or_the_error_says_how(command: str, tmp_path: Path) -> None:
    """Where OpenAI's server cannot be reached, the command fails with a line that says what to do instead."""
    done = run(command, make_workspace(tmp_path / "checkout"))
    if done.returncode:
        assert "cannot be downloaded" in done.stderr
        assert "--checkpoint FILE" in done.stderr
        assert "Traceback" not in done.stderr
    else:
        assert "text_cosine_min" in done.stdout
