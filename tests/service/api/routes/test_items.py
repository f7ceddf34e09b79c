"""Single items, their files and similar items, against the builder's input."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from promptsearch.encoding.encoders import unit
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import KINDS, Kind
from tests.service.support import several
from tests.service.support.reference import exact, item_ids, stored
from tests.service.support.serving import Service
from tests.service.support.shapes import IMAGE_ITEM, PROMPT_ITEM, check_answer, check_generation, check_problem
from tests.support import source

PARTS = ("file", "thumbnail")


@pytest.fixture(scope="module")
def ids(tiny: Collection) -> dict[str, str]:
    """Return ids of images by the source that they came from."""
    images = tiny.items.images(range(source.COUNTS["images"]))
    return {image.source: image.id for image in images.values()}


@pytest.fixture(scope="module")
def prompt_ids(tiny: Collection) -> dict[str, str]:
    return {prompt.text: prompt.id for prompt in tiny.items.prompts(range(len(source.PROMPTS))).values()}


def test_an_image(server: Service, tiny: Collection, ids: dict[str, str], prompt_ids: dict[str, str]) -> None:
    id = ids["sub/b.jpg"]
    image = server.get(f"/images/{id}").json()
    check_generation(image, IMAGE_ITEM)
    assert image == {
        "id": id,
        "image": {
            "width": 300,
            "height": 200,
            "source": "sub/b.jpg",
            "file": f"/images/{id}/file",
            "thumbnail": f"/images/{id}/thumbnail?version={tiny.version}",
        },
        "settings": {"seed": 2},
        "collection": "tiny",
        "prompt": {"id": prompt_ids["a red fox"], "text": "a red fox"},
        "extra": {"style": "oil"},
    }


def test_an_image_without_a_prompt(server: Service, ids: dict[str, str]) -> None:
    assert server.get(f"/images/{ids['c.webp']}").json()["prompt"] is None


@pytest.mark.parametrize("name", source.WITHOUT_VECTOR)
def test_an_image_without_a_file(server: Service, ids: dict[str, str], name: str) -> None:
    image = server.get(f"/images/{ids[name]}").json()
    check_generation(image, IMAGE_ITEM)
    assert (image["image"]["file"], image["image"]["thumbnail"]) == (None, None)
    for part in PARTS:
        detail = check_problem(server.get(f"/images/{ids[name]}/{part}"), 404, "no-file")
        assert ids[name] in detail
    detail = check_problem(server.get(f"/images/{ids[name]}/similar"), 409, "no-image-index")
    assert "no vector" in detail


def test_a_prompt(server: Service, ids: dict[str, str], prompt_ids: dict[str, str]) -> None:
    prompt = server.get(f"/prompts/{prompt_ids['a red fox']}").json()
    assert set(prompt) == PROMPT_ITEM
    for image in prompt["images"]:
        check_generation(image)
    assert (prompt["text"], prompt["image_count"], prompt["collection"]) == ("a red fox", 2, "tiny")
    assert [image["id"] for image in prompt["images"]] == [ids["a.png"], ids["sub/b.jpg"]]


@pytest.mark.parametrize("kind", KINDS)
def test_similar_is_brute_force_without_the_item_itself(server: Service, tiny: Collection, kind: Kind) -> None:
    for id, vector in zip(item_ids(tiny, kind), unit(stored(tiny, kind)), strict=True):
        answer = check_answer(server.get(f"/{kind}/{id}/similar"), kind)
        ids, scores = exact(tiny, kind, vector)
        itself = ids.index(id)
        assert [result["id"] for result in answer["results"]] == ids[:itself] + ids[itself + 1 :]
        expected = scores[:itself] + scores[itself + 1 :]
        assert [result["score"] for result in answer["results"]] == pytest.approx(expected, abs=2e-6)
        assert answer["next"] is None


@pytest.mark.parametrize(("kind", "count"), [("images", several.MANY), ("prompts", several.MANY_PROMPTS)])
def test_pages_of_similar_neither_repeat_nor_skip(several_server: Service, kind: Kind, count: int) -> None:
    results = several_server.get(f"/search/{kind}", q="fox", collection="many").json()["results"]
    path, id = f"/{kind}/{results[0]['id']}/similar", results[0]["id"]
    answer = check_answer(several_server.get(path, collection="many", limit=50), kind)
    ids = [result["id"] for result in answer["results"]]
    while answer["next"]:
        again = several_server.get(path, collection="many", limit=50, cursor=answer["next"])
        answer = check_answer(again, kind)
        ids += [result["id"] for result in answer["results"]]
    assert len(set(ids)) == len(ids) == count - 1
    assert id not in ids


def test_a_cursor_continues_only_its_own_search(several_server: Service) -> None:
    page = several_server.get("/search/images", q="fox", collection="many", limit=2).json()
    first, second = (f"/images/{result['id']}/similar" for result in page["results"])
    similar = several_server.get(first, collection="many", limit=1).json()["next"]
    for cursor, path in ((similar, second), (page["next"], first)):
        detail = check_problem(several_server.get(path, collection="many", cursor=cursor), 400, "bad-cursor")
        assert "`next`" in detail
    prompts = several_server.get("/search/prompts", q="fox", collection="many", limit=1).json()["next"]
    detail = check_problem(several_server.get("/search/images", collection="many", cursor=prompts), 400, "bad-cursor")
    assert detail.endswith("send it to /search/prompts")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "image/png"), ("sub/b.jpg", "image/jpeg"), ("c.webp", "image/webp")]
)
def test_the_original_is_the_file(
    server: Service, ids: dict[str, str], source_folder: Path, name: str, kind: str
) -> None:
    response = server.get(f"/images/{ids[name]}/file")
    assert response.content == (source_folder / name).read_bytes()
    assert response.headers["content-type"] == kind
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("range", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-7", slice(-7, None)),
        ("BYTES=3-3", slice(3, 4)),
    ],
)
def test_a_range_of_the_original(
    server: Service, ids: dict[str, str], source_folder: Path, range: str, part: slice
) -> None:
    whole = (source_folder / "a.png").read_bytes()
    response = httpx.get(f"{server.url}/images/{ids['a.png']}/file", headers={"Range": range})
    assert (response.status_code, response.headers["accept-ranges"]) == (206, "bytes")
    assert response.content == whole[part]
    start = len(whole) + part.start if part.start < 0 else part.start
    assert response.headers["content-range"] == f"bytes {start}-{start + len(whole[part]) - 1}/{len(whole)}"
    assert response.headers["content-type"] == "image/png"


@pytest.mark.parametrize("range", ["bytes=5-2", "bytes=999999-", "bytes=", "bytes=x-y"])
def test_an_unsatisfiable_range_returns_416(
    server: Service, ids: dict[str, str], source_folder: Path, range: str
) -> None:
    size = (source_folder / "a.png").stat().st_size
    response = httpx.get(f"{server.url}/images/{ids['a.png']}/file", headers={"Range": range})
    assert f"{size} bytes" in check_problem(response, 416, "range-not-satisfiable")
    assert response.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("range", ["lines=1-2", "=", "0-9"])
def test_ranges_not_in_bytes_are_ignored(server: Service, ids: dict[str, str], source_folder: Path, range: str) -> None:
    response = httpx.get(f"{server.url}/images/{ids['a.png']}/file", headers={"Range": range})
    assert response.status_code == 200
    assert response.content == (source_folder / "a.png").read_bytes()


def test_a_range_of_a_file_that_changed_comes_whole(server: Service, ids: dict[str, str]) -> None:
    url = f"{server.url}/images/{ids['a.png']}/file"
    tag = httpx.head(url).headers["etag"]
    for known, status in ((tag, 206), ('"other"', 200)):
        assert httpx.get(url, headers={"Range": "bytes=0-9", "If-Range": known}).status_code == status


def test_the_served_thumbnail_is_that_of_the_collection(server: Service, tiny: Collection, ids: dict[str, str]) -> None:
    assert tiny.thumbnails is not None
    response = server.get(f"/images/{ids['sub/b.jpg']}/thumbnail")
    assert response.content == tiny.thumbnails.get(tiny.items.image(ids["sub/b.jpg"]).row)
    assert response.headers["content-type"] == "image/webp"


@pytest.mark.parametrize("part", PARTS)
def test_a_current_copy_is_answered_with_304(server: Service, ids: dict[str, str], part: str) -> None:
    url = f"{server.url}/images/{ids['a.png']}/{part}"
    first = httpx.get(url)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert tag != httpx.get(f"{server.url}/images/{ids['c.webp']}/{part}").headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = httpx.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "public, max-age=3600")
    for unknown in ('"other"', "", tag.strip('"')):
        again = httpx.get(url, headers={"If-None-Match": unknown})
        assert (again.status_code, again.content) == (200, first.content)


def test_a_thumbnail_of_this_version_is_kept_for_good(server: Service, ids: dict[str, str]) -> None:
    id = ids["a.png"]
    url = server.url + server.get(f"/images/{id}").json()["image"]["thumbnail"]
    first = httpx.get(url)
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = httpx.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, first.headers["cache-control"])


@pytest.mark.parametrize("version", ["", "20230101T000000.000000Z", "é\0"])
def test_a_thumbnail_of_another_version_is_not(server: Service, ids: dict[str, str], version: str) -> None:
    path = f"/images/{ids['a.png']}/thumbnail"
    response = server.get(path, version=version)
    assert (response.status_code, response.content) == (200, server.get(path).content)
    assert response.headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize("row", range(len(several.OUTSIDE)))
def test_a_file_outside_the_folder_is_not_served(several_server: Service, tiny: Collection, row: int) -> None:
    """The collection's database names a path that leaves the folder, and names that no file can have."""
    [image] = tiny.items.images([row]).values()
    detail = check_problem(several_server.get(f"/images/{image.id}/file", collection="renamed"), 404, "no-file")
    assert "secret" not in detail


def test_originals_are_served_only_where_a_folder_is_set(several_server: Service) -> None:
    results = several_server.get("/search/images", q="fox", collection="many", limit=1).json()["results"]
    response = several_server.get(f"/images/{results[0]['id']}/file", collection="many")
    assert "--files many=DIR" in check_problem(response, 404, "no-file")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["", "/similar"])
@pytest.mark.parametrize(
    "id", ["unknown", "0", "%00", "%ff", "%F0%9F%A6%8A", "..%2e", "'; DROP TABLE images; --", "x" * 2000]
)
def test_an_unknown_id(server: Service, kind: Kind, part: str, id: str) -> None:
    detail = check_problem(server.get(f"/{kind}/{id}{part}"), 404, "unknown-id")
    assert detail.startswith(f"there is no {kind.removesuffix('s')} with this id")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("id", ["unknown", "%00", "%ff", "..%5c..%5cetc"])
def test_files_of_an_unknown_id(server: Service, part: str, id: str) -> None:
    check_problem(server.get(f"/images/{id}/{part}"), 404, "unknown-id")


@pytest.mark.parametrize(
    "path",
    [
        "/images/../secret.png",
        "/images/..%2f..%2fetc%2fpasswd/file",
        "/images/%2fetc%2fpasswd/file",
        "/images//file",
        "//etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/docs/..%2f..%2fsettings.py",
        "/docs/%2e%2e/settings.py",
        "/js/app.js%00",
    ],
)
def test_a_path_that_climbs_is_not_found(server: Service, path: str) -> None:
    response = server.raw(path)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == 404


def test_items_of_other_collections_are_unknown(several_server: Service, ids: dict[str, str]) -> None:
    check_problem(several_server.get(f"/images/{ids['a.png']}", collection="many"), 404, "unknown-id")
    check_problem(several_server.get(f"/images/{ids['a.png']}", collection="none"), 404, "unknown-collection")
