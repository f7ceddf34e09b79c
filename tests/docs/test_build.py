"""The builds of the documentation, and the service over their collections. They need no PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.docs.checkout import succeed
from tests.docs.pages import of_kind
from tests.promptsearch.metadata import samples
from tests.support import source
from tests.support.workspace import running

pytestmark = pytest.mark.slow

COLLECTIONS = {"generations", "mine", "open-prompts", "diffusiondb", "diffusiondb-prompts", "downloaded", "embedded"}
PROMPTS = {"mine": set(source.PROMPTS), "generations": {samples.A1111.partition("\nNegative prompt:")[0]}}


@pytest.fixture(scope="module")
def built(checkout: Path) -> Path:
    """Return a checkout in which every command that builds has run, in the order of the pages."""
    for command in of_kind("build"):
        succeed(command, checkout)
    return checkout


def test_every_collection_is_built(built: Path) -> None:
    assert {path.parent.name for path in built.glob("indices/*/current")} == COLLECTIONS


@pytest.mark.parametrize("command", of_kind("watch"))
def test_a_folder_is_followed(command: str, built: Path, tmp_path: Path) -> None:
    with running(["bash", "-c", f"exec {command}"], built, tmp_path / "watch.log") as watch:
        watch.wait_for("(following)")
        assert watch.interrupt() == 130


@pytest.mark.parametrize("command", of_kind("serve"))
def test_a_collection_is_served(command: str, built: Path, tmp_path: Path) -> None:
    name = re.findall(r"--collection (\S+)", command)[0]
    with running(["bash", "-c", f"exec {command} --port 0"], built, tmp_path / "service.log") as service:
        url = service.wait_for(r"serving at (http://\S+)")
        prompts = httpx.get(f"{url}/search/prompts", params={"q": "fox"}).raise_for_status().json()
        assert prompts["collection"] == name
        assert {result["text"] for result in prompts["results"]} == PROMPTS[name]
        images = httpx.get(f"{url}/search/images", params={"q": "fox"}).raise_for_status().json()
        original = httpx.get(url + images["results"][0]["image"]["file"]).raise_for_status()
        assert original.headers["content-type"].startswith("image/")
        assert service.interrupt() == 0
