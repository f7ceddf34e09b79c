"""`make demo`: it builds, serves, answers sensibly, ends on Ctrl-C, and starts again in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import KINDS, Kind
from tests.support.vectors import scores_of
from tests.support.workspace import ROOT, Running, free_port, make_workspace, running

pytestmark = pytest.mark.slow

PICTURES = ROOT / "builder" / "demo" / "emoji" / "images"
DOGS = {"dog", "dog face", "guide dog", "service dog", "poodle"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("demo") / "checkout")


@pytest.fixture(scope="module")
def demo(workspace: Path) -> Iterator[Running]:
    with running(["make", "demo", f"PORT={free_port()}"], workspace, workspace.parent / "demo.log") as process:
        yield process


@pytest.fixture(scope="module")
def url(demo: Running) -> str:
    return demo.wait_for(r"serving at (http://\S+)")


@pytest.fixture(scope="module")
def collection(workspace: Path, url: str) -> Collection:
    assert url
    return Collection.open(workspace / "indices" / "emoji")


def search(url: str, kind: Kind, query: str) -> list[str]:
    answer = httpx.get(f"{url}/search/{kind}", params={"q": query, "limit": 5}).raise_for_status().json()
    return [result["text"] if kind == "prompts" else result["prompt"]["text"] for result in answer["results"]]


def test_the_demo_prints_its_url_and_an_example(demo: Running, url: str) -> None:
    assert f"curl '{url}/search/images?q=happy+dog'" in demo.output
    assert "embedded 1914 prompts, 5160 images (5160 with a vector)" in demo.output


@pytest.mark.parametrize(
    ("kind", "query", "right"),
    [
        ("images", "happy dog", DOGS),
        ("prompts", "happy dog", DOGS),
        ("images", "angry cat", {"pouting cat"}),
        ("images", "flag of japan", {"flag of Japan"}),
        ("prompts", "flag of japan", {"flag of Japan"}),
    ],
)
def test_words_find_matching_pictures(url: str, kind: Kind, query: str, right: set[str]) -> None:
    assert search(url, kind, query)[0] in right


@pytest.mark.parametrize("kind", KINDS)
def test_angry_cat_finds_cats(url: str, kind: Kind) -> None:
    assert sum("cat" in text for text in search(url, kind, "angry cat")) >= 3


@pytest.mark.parametrize("style", ["noto", "twemoji", "fluent-emoji"])
def test_an_uploaded_dog_finds_dogs(url: str, style: str) -> None:
    with (PICTURES / style / "1f436.webp").open("rb") as picture:
        answer = httpx.post(f"{url}/search/images", files={"image": picture}, data={"limit": "2"}).json()
    itself, next_best = answer["results"]
    assert itself["image"]["source"] == f"images/{style}/1f436.webp"
    assert itself["score"] > 0.99
    assert next_best["prompt"]["text"] == "dog face", "in another style"


def test_originals_and_thumbnails_are_served(url: str) -> None:
    first = httpx.get(f"{url}/search/images", params={"q": "dog", "limit": 1}).json()["results"][0]
    original = httpx.get(url + first["image"]["file"])
    assert original.content == (PICTURES.parent / first["image"]["source"]).read_bytes()
    assert httpx.get(url + first["image"]["thumbnail"]).headers["content-type"] == "image/webp"


@pytest.mark.parametrize("kind", KINDS)
def test_answers_equal_an_exact_scan(collection: Collection, kind: Kind) -> None:
    encoders = Encoders(Bundle.open(ROOT / "models" / "emoji"))
    index = collection.index(kind)
    vectors = np.stack([index.vector(row) for row in range(len(index))])
    for query in encoders.encode_texts(["happy dog", "red", "time is running out", "?", "flag of japan"]):
        scores = vectors @ query
        page = collection.search(kind, query, 10)
        assert scores_of(page).min() >= np.sort(scores)[-10] - 1e-5
        np.testing.assert_allclose(scores_of(page), scores[list(page.rows)], atol=1e-5)
    info = collection.manifest.index(kind)
    assert info is not None
    assert set(info.recall_at_10.values()) == {1.0}


def test_the_demo_ends_on_ctrl_c_and_restarts_without_building(demo: Running, url: str, workspace: Path) -> None:
    assert url
    demo.interrupt()
    assert "Traceback" not in demo.output
    with running(["make", "demo", f"PORT={free_port()}"], workspace, workspace.parent / "again.log") as again:
        again.wait_for(r"serving at (http://\S+)")
        assert "embedded" not in again.output
        again.interrupt()
        assert "Traceback" not in again.output
