"""`prompt-search up`: a folder is built, served and followed by one command, as real processes."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BundleError
from promptsearch.storage.items import item_id
from promptsearch.up import DEMO_MODEL, find_model
from tests.support.drawing import as_bytes, picture
from tests.support.following import Running, running
from tests.support.workspace import free_port


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(picture(seed, 40, 30)))


@contextmanager
def up(folder: Path, bundle: Bundle, place: Path, *more: str, port: int | None = None) -> Iterator[tuple[Running, str]]:
    """Run `up` in a folder of its own; with its URL."""
    port = port or free_port()
    arguments = ["up", folder, "--model", bundle.folder, "--port", port, "--no-browser"]
    with running(
        "promptsearch", *arguments, "--indices", place / "indices", *more, log=place / f"{port}.log"
    ) as process:
        yield process, f"http://127.0.0.1:{port}"


def fails(folder: Path, place: Path, *more: str, model: object = "none") -> str:
    """Return the one line that `up` ends with."""
    arguments = ["up", folder, "--model", model, "--models", place / "models", "--indices", place / "indices"]
    with running("promptsearch", *arguments, "--no-browser", *more, log=place / "log") as process:
        assert process.process.wait(60) == 1, process.output
        [line] = process.output.splitlines()
        return line.removeprefix("error: ")


def status(url: str, key: str) -> int:
    return httpx.get(f"{url}/images/{item_id('image', key)}", timeout=60).status_code


@pytest.mark.slow
def test_a_folder_is_served_with_originals_and_followed_until_ctrl_c(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "my pictures"
    for number in range(3):
        save(folder / f"{number}.png", number)
    with up(folder, vit_bundle, tmp_path) as (process, url):
        process.wait_for("is serving at")
        process.wait_for("following")
        [collection] = httpx.get(f"{url}/collections").json()["collections"]
        assert collection["name"] == "my pictures"
        result = httpx.get(f"{url}/search/images", params={"q": "a fox"}, timeout=60).json()["results"][0]
        assert httpx.get(url + result["image"]["file"]).headers["content-type"] == "image/png"
        save(folder / "new.png", 9)
        process.wait_until(lambda: status(url, "new.png") == 200)
        (folder / "new.png").rename(folder / "renamed.png")
        process.wait_until(lambda: status(url, "renamed.png") == 200)
        assert status(url, "new.png") == 404
        (folder / "renamed.png").unlink()
        process.wait_until(lambda: status(url, "renamed.png") == 404)
        assert process.end(signal.SIGINT) == 130
        assert "Traceback" not in process.output
    with socket.socket() as free:
        free.bind(("127.0.0.1", int(url.rpartition(":")[2])))


@pytest.mark.slow
def test_another_folder_of_the_same_name_needs_a_name_of_its_own(vit_bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "a" / "outputs" / "0.png", 0)
    with up(tmp_path / "a" / "outputs", vit_bundle, tmp_path, "--no-watch") as (process, url):
        process.wait_for("is serving at")
        assert process.end(signal.SIGTERM) == 130
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = tmp_path / "b" / "outputs"
    line = fails(moved, tmp_path, model=vit_bundle.folder)
    assert f"the collection outputs holds the pictures of {tmp_path / 'a' / 'outputs'}" in line
    assert "--name outputs" in line
    save(moved / "1.png", 1)
    with up(moved, vit_bundle, tmp_path, "--name", "outputs") as (process, url):
        process.wait_for("is serving at")
        process.wait_until(lambda: status(url, "1.png") == status(url, "0.png") == 200)
        original = httpx.get(f"{url}/images/{item_id('image', '0.png')}/file")
        assert original.content == (moved / "0.png").read_bytes()


@pytest.mark.slow
def test_errors_are_reported_in_one_line(vit_bundle: Bundle, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is not a folder: name the folder that holds your pictures" in fails(
        tmp_path / "missing", tmp_path, model=vit_bundle.folder
    )
    line = fails(empty, tmp_path, model=vit_bundle.folder)
    assert line.endswith(f"{empty} has neither pictures nor prompts: put some there, or name another place")
    assert "there is no model none in" in fails(empty, tmp_path)
    assert "--name must be a name" in fails(empty, tmp_path, "--name", "a/b", model=vit_bundle.folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = fails(empty, tmp_path, "--port", port, model=vit_bundle.folder)
        assert f"port {port} cannot be used" in line
        assert "choose another with --port" in line


def test_the_only_model_is_found_but_not_the_demo(vit_bundle: Bundle, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(vit_bundle.folder, models / DEMO_MODEL)
    with pytest.raises(BundleError, match="python -m builder export ViT-B-32/laion2b_s34b_b79k --out"):
        find_model(None, models)
    assert find_model(DEMO_MODEL, models) == models / DEMO_MODEL
    shutil.copytree(vit_bundle.folder, models / "tiny")
    assert find_model(None, models) == models / "tiny"
    assert find_model(str(models / "tiny"), tmp_path) == models / "tiny"
    shutil.copytree(vit_bundle.folder, models / "other")
    with pytest.raises(BundleError, match="has several models, expected one: choose with --model: other, tiny"):
        find_model(None, models)
