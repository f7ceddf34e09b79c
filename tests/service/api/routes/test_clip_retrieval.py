"""clip-retrieval's contract, with its own client and with the requests of its page."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.image_io import open_picture
from promptsearch.search.collection import Collection
from tests.docs.pages import CLIP_RETRIEVAL, blocks
from tests.service.support.serving import ROOT, START, Service, serving
from tests.service.support.several import MANY, MANY_PROMPTS, SERVED
from tests.service.support.shapes import check_problem
from tests.support import source, web
from tests.support.drawing import as_bytes, picture

CLIENT = (str(ROOT / ".venv-client" / "bin" / "python"), str(Path(__file__).parents[2] / "support" / "clip_client.py"))
PAGE = "http://localhost:1235"
# What its page sends with every search, beside the text, picture or address.
OF_THE_PAGE = {
    "text": None, "image": None, "image_url": None, "embedding_input": None, "modality": "image", "num_images": 40,
    "indice_name": "many", "num_result_ids": 3000, "use_mclip": False, "deduplicate": True, "use_safety_model": True,
    "use_violence_detector": True, "aesthetic_score": "", "aesthetic_weight": "0.5",
}  # fmt: skip
METADATA = {"url", "caption", "image", "source", "item_id"}


def post(service: Service, path: str, body: Any, content_type: str | None = None, **headers: str) -> httpx.Response:
    """Send a body, with a content type or none."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {**headers, **({} if content_type is None else {"Content-Type": content_type})}
    return httpx.post(f"{service.url}{path}", content=content, headers=sent, timeout=START)


def knn(service: Service, **query: Any) -> list[dict[str, Any]]:
    response = post(service, "/knn-service", query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    results: list[dict[str, Any]] = response.json()
    return results


@pytest.fixture(scope="module")
def many(several_indices: Path) -> Iterator[Collection]:
    collection = Collection.open(several_indices / "many")
    yield collection
    collection.close()


@pytest.fixture(scope="module")
def shared(
    several_indices: Path, models: Path, source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Yield a service whose default is `many`, that its page may call, and that may fetch."""
    flags = ["--indices", str(several_indices), "--models", str(models), "--files", f"tiny={source_folder}"]
    flags += ["--collection", "many", "--cors-origins", PAGE, "--image-urls"]
    with serving(tmp_path_factory.mktemp("shared-by-clip"), flags) as service:
        yield service
        assert service.end() == 0


def client(service: Service, *queries: dict[str, Any], **options: Any) -> list[Any]:
    """Return what clip-retrieval's client returns for each query."""
    task = {"client": {"url": f"{service.url}/knn-service", **options}, "queries": queries}
    done = subprocess.run(CLIENT, input=json.dumps(task), capture_output=True, text=True, check=False, timeout=START)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_clip_client_searches_by_text_picture_and_vector(
    server: Service, tiny: Collection, encoders: Encoders, tmp_path: Path
) -> None:
    vector = encoders.encode_texts(["fox"])[0]
    (tmp_path / "cat.png").write_bytes(as_bytes(picture(9)))
    seen = encoders.encode_images([open_picture(tmp_path / "cat.png")])[0]
    by_text, by_picture, by_vector = client(
        server,
        {"text": "fox"},
        {"image": str(tmp_path / "cat.png")},
        {"embedding_input": (3 * vector).tolist()},
        indice_name="tiny",
        deduplicate=False,
    )
    stored = unit(tiny.index("images").vectors(np.arange(3)))
    for answer, query in ((by_text, vector), (by_picture, seen), (by_vector, vector)):
        scores = stored @ query
        assert [result["id"] for result in answer] == np.argsort(-scores).tolist()
        assert [result["similarity"] for result in answer] == pytest.approx(sorted(scores, reverse=True), abs=1e-3)
    assert by_text == by_vector
    for result in by_text:
        image = tiny.items.images([result["id"]])[result["id"]]
        assert result["item_id"] == image.id
        assert result["source"] == source.PICTURES[result["id"]]
        assert httpx.get(result["url"]).headers["content-type"].startswith("image/")
        assert base64.b64decode(result["image"]) == server.get(f"/images/{image.id}/thumbnail").content
    assert {result["id"]: result.get("caption") for result in by_text} == {0: "a red fox", 1: "a red fox", 2: None}
    assert sum("caption" in result for result in by_text) == 2  # left out, not null


def test_clip_client_searches_prompts_with_a_limit(server: Service, tiny: Collection) -> None:
    [results] = client(server, {"text": "fox"}, indice_name="tiny", modality="text", num_images=2, deduplicate=False)
    assert len(results) == 2
    images = tiny.manifest.counts["images"]
    answers = server.get("/search/prompts", q="fox", limit=2).json()["results"]
    assert [result["caption"] for result in results] == [answer["text"] for answer in answers]
    assert [result["item_id"] for result in results] == [answer["id"] for answer in answers]
    assert [result["id"] - images for result in results] == [
        row for answer in answers for row in tiny.items.rows("prompts", [answer["id"]])
    ]


def test_clip_client_receives_error_details(server: Service) -> None:
    [unknown, address] = [
        client(server, {"text": "fox"}, indice_name="laion5B")[0],
        client(server, {"image": "https://example.org/cat.png"}, indice_name="tiny")[0],
    ]
    assert (unknown["status"], unknown["type"]) == (404, "urn:prompt-search:unknown-collection")
    assert (address["status"], address["type"]) == (400, "urn:prompt-search:bad-parameter")
    assert "--image-urls" in address["detail"]


def test_the_example_of_the_documentation_runs(shared: Service, tmp_path: Path) -> None:
    [example] = blocks(CLIP_RETRIEVAL, "python")
    here = example.replace("http://localhost:8000", shared.url).replace('"emoji"', '"many"')
    (tmp_path / "example.py").write_text(here, encoding="utf-8")
    done = subprocess.run(
        [*CLIENT, str(tmp_path / "example.py")], capture_output=True, text=True, check=False, timeout=START
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5


@pytest.mark.parametrize(
    "content_type", [None, "text/plain;charset=UTF-8", "application/json", "application/x-www-form-urlencoded", "x", ""]
)
@pytest.mark.parametrize("slashes", ["/", "//", "///"])
def test_any_content_type_and_doubled_slashes(shared: Service, content_type: str | None, slashes: str) -> None:
    results = post(shared, f"{slashes}knn-service", {"text": "fox", "num_images": 3}, content_type).json()
    assert len(results) == 3
    ids = [result["id"] for result in results]
    known = post(shared, f"{slashes}metadata", {"ids": ids, "indice_name": "many"}, content_type).json()
    assert [{"id": item["id"], **item["metadata"]} for item in known] == [
        {name: value for name, value in result.items() if name != "similarity"} for result in results
    ]


def test_index_list_and_config_are_served_for_its_page(
    server: Service, shared: Service, several_server: Service
) -> None:
    assert server.get("/indices-list").json() == ["tiny"]
    assert server.get("/config.json").json() == {
        "defaultBackend": server.url, "defaultIndex": "tiny", "urlColumn": "url",
    }  # fmt: skip
    assert shared.get("/indices-list").json() == ["many", *sorted(SERVED - {"many"})]  # the default first
    assert shared.get("/config.json").json()["defaultIndex"] == "many"
    assert several_server.get("/indices-list").json() == sorted(SERVED)
    assert knn(several_server, text="fox", indice_name=None) == knn(several_server, text="fox", indice_name="many")
    for path in ("/indices-list", "/config.json"):
        assert server.raw(f"/{path}").json() == server.get(path).json()


def test_a_proxys_name_is_the_one_in_addresses(server: Service) -> None:
    host = {"Host": "pictures.example.org"}
    assert (
        httpx.get(f"{server.url}/config.json", headers=host).json()["defaultBackend"] == "http://pictures.example.org"
    )
    [result] = post(server, "/knn-service", {"text": "fox", "num_images": 1}, **host).json()
    assert result["url"].startswith("http://pictures.example.org/images/")
    for strange in ("[", '"<', "a b", "\\"):
        answer = post(server, "/knn-service", {"text": "fox", "num_images": 1}, Host=strange)
        assert answer.status_code in (200, 400)


def test_a_search_of_its_page_is_answered(shared: Service, many: Collection) -> None:
    """Send a simple request, which browsers send to other origins without a preflight."""
    response = post(shared, "/knn-service", {**OF_THE_PAGE, "text": "fox"}, "text/plain;charset=UTF-8", Origin=PAGE)
    assert response.headers["access-control-allow-origin"] == PAGE
    results = response.json()
    assert len(results) == MANY - 40  # 40 are copies
    assert all(set(result) >= METADATA for result in results[:40])
    assert all(set(result) == {"id", "similarity"} for result in results[40:])
    similarities = [result["similarity"] for result in results]
    assert similarities == sorted(similarities, reverse=True)

    more = [result["id"] for result in results[40:80]]  # as when someone scrolls
    body = {"ids": more, "indice_name": "many"}
    response = post(shared, "//metadata", body, "text/plain;charset=UTF-8", Origin=PAGE)
    assert response.headers["access-control-allow-origin"] == PAGE
    answer = response.json()
    assert [item["id"] for item in answer] == more
    for item in answer:
        image = many.items.images([item["id"]])[item["id"]]
        assert item["metadata"]["item_id"] == image.id
        address = f"{shared.url}/images/{image.id}/thumbnail"
        assert item["metadata"]["url"] == f"{address}?collection=many&version={many.version}"
        assert set(item["metadata"]) == METADATA
    picture = httpx.get(answer[0]["metadata"]["url"], headers={"Origin": PAGE})
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"

    again = {**OF_THE_PAGE, "text": "", "image": answer[0]["metadata"]["image"]}  # its button "search by this picture"
    assert post(shared, "/knn-service", again, Origin=PAGE).status_code == 200
    all_of_it = {**OF_THE_PAGE, "text": "fox", "num_images": 10_000, "num_result_ids": 10_000}  # its download button
    everything = post(shared, "/knn-service", all_of_it).json()
    assert [{name: item[name] for name in ("id", "similarity")} for item in everything] == [
        {name: item[name] for name in ("id", "similarity")} for item in results
    ]
    assert sum("image" in item for item in everything) == 100
    assert sum("url" in item for item in everything) == len(everything)


def test_other_pages_may_not_read(shared: Service, server: Service) -> None:
    for service, origin in ((shared, "https://example.com"), (server, PAGE)):
        for response in (
            post(service, "/knn-service", {"text": "fox"}, Origin=origin),
            httpx.get(f"{service.url}/indices-list", headers={"Origin": origin}),
        ):
            assert "access-control-allow-origin" not in response.headers


def alike(vectors: np.ndarray[Any, Any], rows: list[int]) -> list[int]:
    """Return the first row of each group that is joined by cosines over 0.94, pair by pair as in clip-retrieval."""
    group = list(range(len(rows)))
    for a in range(len(rows)):
        for b in range(a):
            if vectors[rows[a]] @ vectors[rows[b]] > 0.94:
                old, new = max(group[a], group[b]), min(group[a], group[b])
                group = [new if member == old else member for member in group]
    return [rows[place] for place in range(len(rows)) if group[place] == place]


def test_deduplication_keeps_the_first_duplicate_and_fills_the_page(several_server: Service, many: Collection) -> None:
    vectors = many.index("images").vectors(np.arange(MANY))
    for start in range(3):
        query = vectors[start].tolist()
        every = [
            result["id"] for result in knn(several_server, embedding_input=query, indice_name="many", num_images=MANY)
        ]
        assert len(every) == MANY
        expected = alike(vectors, every)
        for wanted in (1, 12, 50, MANY):
            results = knn(
                several_server, embedding_input=query, indice_name="many", num_images=wanted, deduplicate=True
            )
            assert [result["id"] for result in results] == expected[:wanted]


@pytest.mark.parametrize("modality", ["image", "text"])
def test_ids_are_rows_and_known_to_metadata(several_server: Service, modality: str) -> None:
    first, count = (0, MANY) if modality == "image" else (MANY, MANY_PROMPTS)
    results = knn(
        several_server, text="fox", indice_name="many", modality=modality, num_images=3, num_result_ids=10_000
    )
    assert sorted(item["id"] for item in results) == list(range(first, first + count))
    ids = [item["id"] for item in results[:3]]
    known = post(several_server, "/metadata", {"ids": ids, "indice_name": "many"}).json()
    for entry, result in zip(known, results, strict=False):
        assert entry["metadata"] == {name: result[name] for name in METADATA}
        path = "images" if modality == "image" else "prompts"
        item = several_server.get(f"/{path}/{entry['metadata']['item_id']}", collection="many").json()
        assert entry["metadata"]["caption"] == (item["prompt"]["text"] if modality == "image" else item["text"])


def test_numbers_may_be_texts_and_empty_texts_are_nothing(server: Service) -> None:
    plain = knn(server, text="fox", num_images=2, num_result_ids=3)
    as_texts = knn(
        server, text="fox", image="", image_url="", indice_name="", num_images="2", num_result_ids="3",
        modality="image", aesthetic_score="9", aesthetic_weight="", use_mclip=True, surprise=[1],
    )  # fmt: skip
    assert as_texts == plain
    assert [len(result) > 2 for result in plain] == [True, True, False]
    fox = base64.b64encode(as_bytes(picture(1, 64, 64))).decode()
    assert knn(server, text="", image=fox, num_images=1)[0]["id"] == 0
    assert knn(server, text="fox", image=fox, num_images=3) == knn(server, text="fox", num_images=3)
    assert knn(server, text="fox", num_images=0) == []
    assert len(knn(server, text="fox", num_images=0, num_result_ids=2)[0]) == 2
    assert post(server, "/metadata", {"ids": ["0"], "indice_name": ""}).json()[0]["id"] == 0
    assert post(server, "/metadata", {"ids": [], "indice_name": "tiny"}).json() == []


WRONG: dict[str, tuple[str, Any, int, str]] = {
    "no JSON": ("/knn-service", b'{"text": ', 400, "bad-parameter"),
    "no body": ("/knn-service", b"", 400, "bad-parameter"),
    "no Unicode": ("/knn-service", b'{"text": "\xff"}', 400, "bad-parameter"),
    "no object": ("/knn-service", ["fox"], 400, "bad-parameter"),
    "no query": ("/knn-service", {"num_images": 3}, 400, "empty-query"),
    "an empty query": ("/knn-service", {"text": "", "image": None, "embedding_input": []}, 400, "empty-query"),
    "white space": ("/knn-service", {"text": " \n"}, 400, "empty-query"),
    "an unknown index": ("/knn-service", {"text": "fox", "indice_name": "laion5B"}, 404, "unknown-collection"),
    "another modality": ("/knn-service", {"text": "fox", "modality": "audio"}, 400, "bad-parameter"),
    "no number": ("/knn-service", {"text": "fox", "num_images": "many"}, 400, "bad-parameter"),
    "too many": ("/knn-service", {"text": "fox", "num_result_ids": 10_001}, 400, "bad-parameter"),
    "fewer than none": ("/knn-service", {"text": "fox", "num_images": -1}, 400, "bad-parameter"),
    "no base64": ("/knn-service", {"image": "not base64!"}, 400, "bad-query"),
    "no picture": ("/knn-service", {"image": base64.b64encode(b"no picture").decode()}, 415, "not-a-picture"),
    "a path": ("/knn-service", {"image": "/etc/passwd"}, 400, "bad-query"),
    "another dimension": ("/knn-service", {"embedding_input": [1.0, 2.0]}, 400, "bad-parameter"),
    "a vector of zeros": ("/knn-service", {"embedding_input": [0.0] * 32}, 400, "bad-parameter"),
    "a vector in a list": ("/knn-service", {"embedding_input": [[1.0] * 32]}, 400, "bad-parameter"),
    "a picture by address": ("/knn-service", {"image_url": "https://example.org/a.png"}, 400, "bad-parameter"),
    "a file by address": ("/knn-service", {"image_url": "file:///etc/passwd"}, 400, "bad-parameter"),
    "ids of an unknown index": ("/metadata", {"ids": [0], "indice_name": "laion5B"}, 404, "unknown-collection"),
    "an id out of range": ("/metadata", {"ids": [0, 10], "indice_name": "tiny"}, 404, "unknown-id"),
    "an id below all": ("/metadata", {"ids": [-1]}, 404, "unknown-id"),
    "an id without end": ("/metadata", {"ids": [10**30]}, 404, "unknown-id"),
    "an id that is none": ("/metadata", {"ids": ["first"]}, 400, "bad-parameter"),
    "an id that is true": ("/metadata", {"ids": [True]}, 400, "bad-parameter"),
    "no ids": ("/metadata", {"indice_name": "tiny"}, 400, "bad-parameter"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_of_the_original_service_are_clear_problems(server: Service, name: str) -> None:
    path, body, status, slug = WRONG[name]
    check_problem(post(server, path, body), status, slug)


def test_a_collection_without_pictures_is_refused_with_the_reason(several_server: Service) -> None:
    response = post(several_server, "/knn-service", {"text": "fox", "indice_name": "words"})
    check_problem(response, 409, "no-image-index")
    [result, *_] = knn(several_server, text="fox", indice_name="words", modality="text")
    assert {"id", "similarity", "caption", "item_id"} <= set(result)
    assert "image" not in result


def test_private_addresses_are_never_fetched(shared: Service) -> None:
    with web.serving() as served:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            address = f"http://{host}:{served.server_port}/good/1.png"
            check_problem(post(shared, "/knn-service", {"image_url": address}), 400, "not-fetched")
        assert not served.requests
    check_problem(post(shared, "/knn-service", {"image_url": "file:///etc/passwd"}), 400, "not-fetched")
    check_problem(post(shared, "/knn-service", {"image_url": shared.url}), 400, "not-fetched")


def test_hidden_items_never_appear_and_keys_are_required(
    indices: Path, models: Path, tiny: Collection, tmp_path: Path
) -> None:
    shutil.copytree(indices / "tiny", tmp_path / "indices" / "tiny")
    image, prompt = tiny.items.images([0])[0], tiny.items.prompts([0])[0]
    (tmp_path / "indices" / "tiny" / "hidden").write_text(f"{image.id}\n{prompt.id}\n", encoding="utf-8")
    first = tiny.manifest.counts["images"]
    key = {"Authorization": "Bearer 0123456789abcdef"}
    flags = ["--indices", str(tmp_path / "indices"), "--models", str(models)]
    with serving(tmp_path, flags, settings={"PROMPT_SEARCH_API_KEYS": "0123456789abcdef"}) as service:
        query = {"text": prompt.text, "num_images": 100}
        images = post(service, "/knn-service", query, **key).json()
        prompts = post(service, "/knn-service", {**query, "modality": "text"}, **key).json()
        known = post(service, "/metadata", {"ids": [0, 1, first, first + 1]}, **key).json()
        assert sorted(item["id"] for item in images) == [1, 2]
        assert first not in [item["id"] for item in prompts]
        assert [item["id"] for item in known] == [1, first + 1]
        assert "caption" not in known[0]["metadata"]
        answers = json.dumps([images, prompts, known])
        assert prompt.text not in answers
        assert image.id not in answers
        for path in ("/knn-service", "/metadata"):
            check_problem(post(service, path, query), 401, "key-needed")
        for path in ("/indices-list", "/config.json"):
            check_problem(service.get(path), 401, "key-needed")
            assert httpx.get(service.url + path, headers=key).status_code == 200
        assert service.end() == 0
