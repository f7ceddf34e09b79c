"""Searches against brute force: every stored vector and the bundle's own encoders."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest

from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.image_io import open_picture
from promptsearch.search.collection import Collection
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Search
from promptsearch.storage.manifest import KINDS, Kind
from tests.service.support.reference import exact
from tests.service.support.serving import Service
from tests.service.support.several import MANY, MANY_PROMPTS
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture
from tests.support.vectors import Vectors

TEXT = "a red fox in the snow 夜"
UPLOAD = as_bytes(picture(7, 120, 80))
BASE64 = base64.b64encode(UPLOAD).decode()

Ask = Callable[[str], httpx.Response]

BY_TEXT: dict[str, Ask] = {
    "GET": lambda url: httpx.get(url, params={"q": TEXT}),
    "form": lambda url: httpx.post(url, data={"q": TEXT}),
    "multipart": lambda url: httpx.post(url, files={"q": (None, TEXT)}),
    "JSON": lambda url: httpx.post(url, json={"q": TEXT}),
    # A browser's form without a chosen picture.
    "empty file": lambda url: httpx.post(
        url,
        content=b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\n' + TEXT.encode() + b"\r\n--x\r\n"
        b'Content-Disposition: form-data; name="image"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n'
        b"\r\n--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    ),
}
BY_PICTURE: dict[str, Ask] = {
    "multipart": lambda url: httpx.post(url, files={"image": ("cat.png", UPLOAD, "image/png")}),
    "named otherwise": lambda url: httpx.post(url, files={"image": ("cat.txt", UPLOAD, "text/plain")}),
    "empty text": lambda url: httpx.post(url, files={"image": UPLOAD}, data={"q": "", "collection": ""}),
    "JSON": lambda url: httpx.post(url, json={"image": BASE64}),
    "data URL": lambda url: httpx.post(url, json={"image": f"data:image/png;base64,{BASE64}"}),
}
BY_BOTH: dict[str, Ask] = {
    "multipart": lambda url: httpx.post(url, files={"image": UPLOAD}, data={"q": TEXT, "limit": "20"}),
    "JSON": lambda url: httpx.post(url, json={"image": BASE64, "q": TEXT, "limit": 20, "collection": "tiny"}),
}


@pytest.fixture(scope="module")
def text_vector(encoders: Encoders) -> Vectors:
    return encoders.encode_texts([TEXT]).squeeze(0)


@pytest.fixture(scope="module")
def picture_vector(encoders: Encoders) -> Vectors:
    return encoders.encode_images([open_picture(UPLOAD)]).squeeze(0)


def check_results(collection: Collection, kind: Kind, vector: Vectors, response: httpx.Response) -> dict[str, Any]:
    answer = check_answer(response, kind)
    ids, scores = exact(collection, kind, vector)
    assert [result["id"] for result in answer["results"]] == ids
    np.testing.assert_allclose([result["score"] for result in answer["results"]], scores, atol=2e-6)
    assert (answer["collection"], answer["version"]) == (collection.name, collection.version)
    assert answer["next"] is None
    assert answer["took_ms"] > 0
    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", BY_TEXT)
def test_by_text(server: Service, tiny: Collection, text_vector: Vectors, kind: Kind, way: str) -> None:
    check_results(tiny, kind, text_vector, BY_TEXT[way](f"{server.url}/search/{kind}"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", BY_PICTURE)
def test_by_picture(server: Service, tiny: Collection, picture_vector: Vectors, kind: Kind, way: str) -> None:
    check_results(tiny, kind, picture_vector, BY_PICTURE[way](f"{server.url}/search/{kind}"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", BY_BOTH)
def test_by_both(
    server: Service, tiny: Collection, text_vector: Vectors, picture_vector: Vectors, kind: Kind, way: str
) -> None:
    check_results(tiny, kind, unit(text_vector + picture_vector), BY_BOTH[way](f"{server.url}/search/{kind}"))


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_format_that_the_builder_reads_can_be_uploaded(
    server: Service, tiny: Collection, encoders: Encoders, format: str
) -> None:
    upload = as_bytes(picture(8), format)
    [vector] = encoders.encode_images([open_picture(upload)])
    check_results(tiny, "images", vector, httpx.post(f"{server.url}/search/images", files={"image": upload}))


def test_a_picture_of_the_collection_finds_itself(server: Service, source_folder: Path) -> None:
    with (source_folder / "c.webp").open("rb") as file:
        answer = check_answer(httpx.post(f"{server.url}/search/images", files={"image": file}), "images")
    first = answer["results"][0]
    assert (first["image"]["source"], first["prompt"]) == ("c.webp", None)
    assert first["score"] == pytest.approx(1, abs=1e-3)
    assert first["settings"] == {"seed": 3}


def test_images_come_with_their_prompts_and_prompts_with_their_images(server: Service) -> None:
    images = check_answer(server.get("/search/images", q="fox"), "images")["results"]
    prompts = check_answer(server.get("/search/prompts", q="fox"), "prompts")["results"]
    by_source = {image["image"]["source"]: image for image in images}
    by_text = {prompt["text"]: prompt for prompt in prompts}
    fox = by_text["a red fox"]
    assert by_source["sub/b.jpg"]["prompt"] == {"id": fox["id"], "text": "a red fox"}
    assert (by_source["sub/b.jpg"]["image"]["width"], by_source["sub/b.jpg"]["image"]["height"]) == (300, 200)
    assert fox["image_count"] == 2
    assert {image["id"] for image in fox["images"]} == {by_source[name]["id"] for name in ("a.png", "sub/b.jpg")}
    assert [image["image"]["source"] for image in by_text["a missing cat"]["images"]] == ["missing.png"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 2, 3, 200])
def test_limit_is_how_many_come(server: Service, kind: Kind, limit: int) -> None:
    everything = check_answer(server.get(f"/search/{kind}", q="fox"), kind)["results"]
    got = check_answer(server.get(f"/search/{kind}", q="fox", limit=limit), kind)
    assert got["results"] == everything[:limit]
    assert (got["next"] is None) == (limit >= len(everything))
    assert (
        check_answer(httpx.post(f"{server.url}/search/{kind}", data={"q": "fox", "limit": limit}), kind)["results"]
        == (everything[:limit])
    )


def test_the_default_limit_is_twenty(several_server: Service) -> None:
    assert len(several_server.get("/search/images", q="fox", collection="many").json()["results"]) == 20


@pytest.mark.parametrize("limit", [1, 7, 60, 200])
@pytest.mark.parametrize(("kind", "count"), [("images", MANY), ("prompts", MANY_PROMPTS)])
@pytest.mark.parametrize("way", ["GET", "form", "JSON"])
def test_pages_neither_repeat_nor_skip(several_server: Service, kind: Kind, count: int, limit: int, way: str) -> None:
    url = f"{several_server.url}/search/{kind}"
    pages = [check_answer(httpx.get(url, params={"q": "fox", "limit": limit, "collection": "many"}), kind)]
    with httpx.Client() as client:
        while (cursor := pages[-1]["next"]) is not None:
            fields = {"cursor": cursor, "limit": limit, "collection": "many"}
            if way == "GET":
                response = client.get(url, params=fields)
            else:
                response = client.post(url, json=fields) if way == "JSON" else client.post(url, data=fields)
            pages.append(check_answer(response, kind))
            assert len(pages[-1]["results"]) == min(limit, count - limit * (len(pages) - 1))
    results = [result for page in pages for result in page["results"]]
    assert len({result["id"] for result in results}) == len(results) == count
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    whole = check_answer(httpx.get(url, params={"q": "fox", "limit": 200, "collection": "many"}), kind)["results"]
    assert results[:200] == whole


@pytest.mark.parametrize("kind", KINDS)
def test_answers_to_a_get_are_cacheable_and_others_not(server: Service, kind: Kind) -> None:
    got = server.get(f"/search/{kind}", q="fox", limit=1)
    assert got.headers["cache-control"] == "public, max-age=60"
    following = server.get(f"/search/{kind}", cursor=got.json()["next"])
    assert following.headers["cache-control"] == "public, max-age=60"
    assert "cache-control" not in httpx.post(f"{server.url}/search/{kind}", data={"q": "fox"}).headers


def test_a_text_of_any_length_up_to_the_limit_is_answered(server: Service) -> None:
    check_answer(server.get("/search/images", q="fox " * 2500), "images")
    detail = check_problem(server.get("/search/images", q="x" * 10_001), 400, "bad-parameter")
    assert detail == "q: string should have at most 10000 characters"


def test_a_collection_without_pictures_answers_about_prompts_alone(several_server: Service) -> None:
    url, named = several_server.url, {"collection": "words"}
    for response in (
        several_server.get("/search/images", q="fox", **named),
        httpx.post(f"{url}/search/images", files={"image": UPLOAD}, data=named),
    ):
        detail = check_problem(response, 409, "no-image-index")
        assert detail == "collection words has no vectors of images: search its prompts instead, by text or picture"
    assert len(check_answer(several_server.get("/search/prompts", q="fox", **named), "prompts")["results"]) == 5
    by_picture = httpx.post(f"{url}/search/prompts", files={"image": UPLOAD}, data=named)
    assert len(check_answer(by_picture, "prompts")["results"]) == 5


def test_item_addresses_name_the_collection_only_where_there_are_several(
    server: Service, several_server: Service
) -> None:
    for service, named in ((server, {}), (several_server, {"collection": "tiny"})):
        answer = check_answer(service.get("/search/images", q="fox", collection="tiny"), "images")
        versioned = urlencode({**named, "version": answer["version"]})
        suffix = f"?{urlencode(named)}" if named else ""
        for result in answer["results"]:
            assert result["image"]["file"] == f"/images/{result['id']}/file{suffix}"
            assert result["image"]["thumbnail"] == f"/images/{result['id']}/thumbnail?{versioned}"
            for part in ("file", "thumbnail"):
                assert httpx.get(service.url + result["image"][part]).status_code == 200


def test_a_collection_is_named_by_its_folder(several_server: Service) -> None:
    answer = check_answer(several_server.get("/search/images", q="fox", collection="renamed"), "images")
    assert answer["collection"] == "renamed"
    assert answer["results"][0]["image"]["file"].endswith("/file?collection=renamed")


def test_originals_that_may_not_be_served_have_no_address(several_server: Service) -> None:
    [first] = several_server.get("/search/images", q="fox", collection="many", limit=1).json()["results"]
    assert first["image"]["file"] is None
    assert first["image"]["thumbnail"] is not None


def test_several_collections_without_a_default_must_be_named(several_server: Service) -> None:
    for response in (
        several_server.get("/search/images", q="fox"),
        httpx.post(f"{several_server.url}/search/prompts", data={"q": "fox"}),
        several_server.get("/images/0"),
    ):
        detail = check_problem(response, 400, "bad-parameter")
        assert detail.startswith("several collections are served: name one with `collection` (")
        assert "many" in detail


def test_a_cursor_of_another_version_is_gone(server: Service, several_server: Service, tiny: Collection) -> None:
    other = Cursor("20000101T000000.000000Z", Search("images", unit(np.ones(32, dtype=np.float32))), 0).encode()
    detail = check_problem(server.get("/search/images", cursor=other), 410, "cursor-gone")
    assert tiny.version in detail
    check_problem(httpx.post(f"{server.url}/search/images", json={"cursor": other}), 410, "cursor-gone")
    many = several_server.get("/search/images", q="fox", limit=1, collection="many").json()["next"]
    check_problem(several_server.get("/search/images", cursor=many, collection="tiny"), 410, "cursor-gone")
