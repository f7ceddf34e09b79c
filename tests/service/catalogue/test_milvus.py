"""A collection in Milvus answers every query like the same collection on files, over HTTP and in the library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import promptsearch
from builder.milvus.publish import publish_to_milvus
from promptsearch.errors import Unsupported
from promptsearch.search.collection import Collection
from tests.service.support.serving import START, Service, serving
from tests.support.drawing import as_bytes, picture
from tests.support.milvus import milvus

pytestmark = pytest.mark.milvus

PNG = as_bytes(picture(3))
MilvusService = tuple[Service, subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def milvus_indices(indices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("held")
    shutil.copytree(indices / "tiny", copied / "tiny")
    return copied


@pytest.fixture(scope="module")
def milvus_service(
    milvus_indices: Path, models: Path, source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MilvusService]:
    """Yield a service of a collection that a Milvus in another process holds, and that process."""
    folder = tmp_path_factory.mktemp("milvus")
    with milvus(folder / "data") as (address, process):
        publish_to_milvus(milvus_indices / "tiny", address)
        flags = ("--indices", str(milvus_indices), "--models", str(models), "--files", f"tiny={source_folder}")
        with serving(folder, flags) as service:
            yield service, process
            assert service.end() == 0


def answer(response: httpx.Response, service: Service) -> Any:
    """Return the parts of an answer that do not depend on where the version is stored."""
    assert response.status_code == 200, response.text
    return without(json.loads(re.sub(rf"{service.url}|version=[\dTZ.]+", "", response.text)))


def without(data: Any) -> Any:
    if isinstance(data, list):
        return [without(part) for part in data]
    if isinstance(data, dict):
        return {key: without(value) for key, value in data.items() if key not in ("version", "took_ms", "next")} | (
            {"next": data["next"] is not None} if "next" in data else {}
        )
    return data


def queries(tiny: Collection) -> dict[str, tuple[str, str, dict[str, Any]]]:
    image, prompt = tiny.items.images([1])[1].id, tiny.items.prompts([0])[0].id
    text = tiny.items.prompts([0])[0].text
    night = [{"text": "night", "weight": -0.5}, {"id": image, "weight": 0.5}]
    return {
        "text": ("GET", "/search/images?q=a+red+fox&limit=3", {}),
        "prompts": ("GET", "/search/prompts?q=a+red+fox", {}),
        "upload": ("POST", "/search/images", {"files": {"image": PNG}}),
        "upload and text": ("POST", "/search/prompts", {"files": {"image": PNG}, "data": {"q": "fox"}}),
        "terms": ("POST", "/search/images", {"json": {"q": "castle", "terms": night}}),
        "filter": ("GET", "/search/images?q=fox&filter.width.gte=10&filter.prompt.exists=true", {}),
        "filtered prompts": ("POST", "/search/prompts", {"json": {"q": "fox", "filter": {"not": {"prompt": text}}}}),
        "no query": ("GET", "/search/images?filter.width.gte=10&sort=-width", {}),
        "sorted": ("GET", "/search/images?q=fox&sort=source", {}),
        "grouped": ("GET", "/search/images?q=fox&group_by=prompt", {}),
        "folded": ("GET", "/search/images?q=fox&deduplicate=true", {}),
        "diverse": ("GET", "/search/images?q=fox&diversity=0.5&include=vector", {}),
        "threshold": ("GET", "/search/images?q=fox&min_score=0.01", {}),
        "by way of images": ("GET", "/search/prompts?q=fox&via=images", {}),
        "similar images": ("GET", f"/images/{image}/similar", {}),
        "similar prompts": ("GET", f"/prompts/{prompt}/similar", {}),
        "of a prompt": ("GET", f"/prompts/{prompt}/images", {}),
        "image": ("GET", f"/images/{image}", {}),
        "prompt": ("GET", f"/prompts/{prompt}", {}),
        "fields": ("GET", "/collections/tiny/fields", {}),
        "batch": (
            "POST",
            "/search/batch",
            {"json": {"queries": [{"q": "fox", "target": "images"}, {"q": "dog", "target": "prompts"}]}},
        ),
        "clip-retrieval": ("POST", "/knn-service", {"json": {"text": "fox", "modality": "image", "num_images": 4}}),
        "its metadata": ("POST", "/metadata", {"json": {"ids": [0, 1, 2]}}),
    }


def test_every_query_has_the_answer_that_it_has_on_files(
    server: Service, milvus_service: MilvusService, tiny: Collection
) -> None:
    for name, (method, path, body) in queries(tiny).items():
        on_files, in_milvus = (
            answer(httpx.request(method, service.url + path, timeout=START, **body), service)
            for service in (server, milvus_service[0])
        )
        assert in_milvus == on_files, name


def test_pages_neither_repeat_nor_skip(milvus_service: MilvusService, server: Service) -> None:
    whole = [result["id"] for result in server.get("/search/images", q="fox", limit=100).json()["results"]]
    ids: list[str] = []
    cursor: str | None = None
    while cursor is not None or not ids:
        query = {"q": "fox"} if cursor is None else {"cursor": cursor}
        page = milvus_service[0].get("/search/images", limit=2, **query).json()
        ids += [result["id"] for result in page["results"]]
        cursor = page["next"]
    assert ids == whole


def test_pictures_are_served(milvus_service: MilvusService, server: Service) -> None:
    for result in server.get("/search/images", q="fox").json()["results"]:
        for address in (result["image"]["thumbnail"], result["image"]["file"]):
            assert milvus_service[0].get(address.partition("?")[0]).content == server.get(address).content


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_modes_that_milvus_ranks_differently_are_refused(milvus_service: MilvusService, mode: str) -> None:
    response = milvus_service[0].get("/search/images", q="fox", mode=mode)
    assert response.status_code == 400
    assert response.json()["type"] == "urn:prompt-search:unsupported"
    assert "send mode=semantic, or serve it from files" in response.json()["detail"]


def test_a_takedown_is_seen(milvus_service: MilvusService, milvus_indices: Path) -> None:
    service = milvus_service[0]
    [first, *_] = service.get("/search/images", q="fox").json()["results"]
    (milvus_indices / "tiny" / "hidden").write_text(first["id"] + "\n", encoding="utf-8")
    wait_for(service, first["id"], 404)
    assert first["id"] not in [result["id"] for result in service.get("/search/images", q="fox").json()["results"]]
    (milvus_indices / "tiny" / "hidden").unlink()
    wait_for(service, first["id"], 200)


def wait_for(service: Service, image: str, status: int) -> None:
    end = time.monotonic() + START
    while service.get(f"/images/{image}").status_code != status:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_library_searches_in_milvus(milvus_service: MilvusService, milvus_indices: Path, models: Path) -> None:
    with promptsearch.open(milvus_indices / "tiny", models=models) as searcher:
        page = searcher.search_images("fox", limit=3)
        assert [result.id for result in page] == [
            result["id"] for result in milvus_service[0].get("/search/images", q="fox", limit=3).json()["results"]
        ]
        with pytest.raises(Unsupported):
            searcher.search_images("fox", mode="keyword")


def test_an_unreachable_milvus_returns_503_and_the_service_stays_alive(milvus_service: MilvusService) -> None:
    service, process = milvus_service
    process.kill()
    process.wait(START)
    response = service.get("/search/images", q="a text of its own")
    assert response.status_code == 503
    assert "did not answer" in response.json()["detail"]
    assert service.get("/healthz").status_code == 200
