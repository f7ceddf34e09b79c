"""The curl commands of the documentation, against the demo: each answer must match its parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from PIL import Image

from tests.docs.checkout import succeed
from tests.docs.pages import of_kind
from tests.service.support.shapes import ANSWER, IMAGE_ITEM, IMAGE_RESULT, PROMPT_ITEM, PROMPT_RESULT

pytestmark = pytest.mark.slow

FOLDERS = {"noto": "images/noto/", "twemoji": "images/twemoji/"}  # of a style's pictures, in `source`
Check = Callable[[Any, dict[str, str]], None]


def route_of(command: str) -> str:
    """Return the path of the command's (first) address, without its query."""
    match = re.search(r"localhost:8000(/[^'\"? ]*)", command)
    assert match, command
    return match[1]


def options_of(command: str) -> dict[str, str]:
    """Return the parameters of a search, from its URL, its form fields or its JSON."""
    options: dict[str, str] = {}
    if match := re.search(r"localhost:8000[^'\" ]*\?([^'\" ]*)", command):
        options |= {name: value for name, (value, *_) in parse_qs(match[1]).items()}
    options |= dict(re.findall(r"-F ([\w.]+)=(\S+)", command))
    if match := re.search(r"-d '(\{.*\})'", command):
        options |= {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(match[1]).items()
        }
    return options


def check_search(answer: Any, options: dict[str, str]) -> None:
    assert set(ANSWER) <= set(answer)
    assert answer["collection"] == "emoji"
    results = answer["results"]
    assert len(results) == int(options.get("limit", 20)) or options.keys() & {"min_score", "mode", "cursor"}
    assert results
    for result in results:
        check_result(result, options)
    if options.get("group_by") == "prompt":
        assert len({result["prompt"]["id"] for result in results}) == len(results)
    if options.get("sort") == "-width":
        widths = [result["image"]["width"] for result in results]
        assert widths == sorted(widths, reverse=True)
    if options.get("sort") == "source":
        sources = [result["image"]["source"] for result in results]
        assert sources == sorted(sources)
    if "explain" in options:
        assert {"encode", "search"} <= set(answer["explain"])
    if options.get("sort", "score") != "score":
        return  # the order is that of a field, and the best match anywhere in it
    if words := MEANING.get(options.get("q", "")):
        assert words & set(text_of(results[0]).split())
    elif "image" in options:
        assert "cat" in text_of(results[0])


# Words, one of which the first result has.
MEANING = {
    "dog": {"dog", "poodle"},
    "happy dog": {"dog", "poodle"},
    "dog face": {"dog"},
    "red fruit": {"apple", "tangerine", "tomato", "strawberry", "cherries"},
}


def text_of(result: dict[str, Any]) -> str:
    text: str = result["text"] if "text" in result else result["prompt"]["text"]
    return text


def check_result(result: dict[str, Any], options: dict[str, str]) -> None:
    assert {*IMAGE_RESULT} <= set(result) or {*PROMPT_RESULT} <= set(result)
    if "min_score" in options:
        assert result["score"] >= float(options["min_score"])
    if "filter.style" in options:
        assert result["image"]["source"].startswith(FOLDERS[options["filter.style"]])
    if "filter.width.gte" in options:
        assert result["image"]["width"] >= int(options["filter.width.gte"])
    if options.get("filter", "").startswith('{"or"'):
        is_of_style = result["image"]["source"].startswith(tuple(FOLDERS.values()))
        assert is_of_style or result["image"]["width"] >= 64
    if options.get("mode") == "keyword":
        assert set(options["q"].split()) <= set(text_of(result).split())
    if options.get("include") == "vector":
        assert sum(number**2 for number in result["vector"]) == pytest.approx(1, abs=1e-3)
    if "deduplicate" in options:
        assert result["duplicates"] >= 0


def check_similar(answer: Any, options: dict[str, str]) -> None:
    check_search(answer, options)
    assert answer["results"][0]["score"] > 0.5


def check_images_of_prompt(answer: Any, options: dict[str, str]) -> None:
    assert {result["prompt"]["text"] for result in answer["results"]} == {"dog face"}
    assert len(answer["results"]) == 3


def check_batch(answer: Any, options: dict[str, str]) -> None:
    images, prompts = answer["results"]
    check_search(images, {"q": "dog"})
    check_search(prompts, {})
    assert "cat" in text_of(prompts["results"][0])


def check_embeddings(answer: Any, options: dict[str, str]) -> None:
    wanted = {"texts": 2, "images": 0} if "texts" in options else {"texts": 0, "images": 1}
    assert {name: len(answer[name]) for name in wanted} == wanted
    for vector in [*answer["texts"], *answer["images"]]:
        assert sum(number**2 for number in vector) == pytest.approx(1, abs=1e-3)


def check_image(answer: Any, options: dict[str, str]) -> None:
    assert set(answer) == set(IMAGE_ITEM)
    assert answer["prompt"]["text"] == "dog face"


def check_prompt(answer: Any, options: dict[str, str]) -> None:
    assert set(answer) == set(PROMPT_ITEM)
    assert (answer["text"], answer["image_count"]) == ("dog face", 3)


def check_collections(answer: Any, options: dict[str, str]) -> None:
    assert answer["default"] == "emoji"
    assert [collection["name"] for collection in answer["collections"]] == ["emoji"]
    assert answer["refused"] == answer["outdated"] == {}


def check_collection(answer: Any, options: dict[str, str]) -> None:
    assert answer["name"] == "emoji"
    assert answer["counts"]["images"] == 5160


def check_fields(answer: Any, options: dict[str, str]) -> None:
    assert {"style", "width", "source"} <= {field["name"] for field in answer["fields"]}


def check_health(answer: Any, options: dict[str, str]) -> None:
    assert answer == {"status": "ok"}


def check_readiness(answer: Any, options: dict[str, str]) -> None:
    assert answer == {"status": "ready", "problems": {}}


def check_neighbours(answer: Any, options: dict[str, str]) -> None:
    assert len(answer) == 3
    assert {"id", "similarity", "url", "caption", "item_id"} <= set(answer[0])
    assert "dog" in answer[0]["caption"]


def check_metadata(answer: Any, options: dict[str, str]) -> None:
    assert [entry["id"] for entry in answer] == [0, 1]
    assert all(entry["metadata"]["caption"] for entry in answer)


def check_names(answer: Any, options: dict[str, str]) -> None:
    assert answer == ["emoji"]


def check_config(answer: Any, options: dict[str, str]) -> None:
    assert answer["defaultIndex"] == "emoji"


# What the answer of each route must contain; the first pattern that matches the whole path.
CHECKS: dict[str, Check] = {
    r"/search/(images|prompts)": check_search,
    r"/(images|prompts)/\w+/similar": check_similar,
    r"/prompts/\w+/images": check_images_of_prompt,
    r"/search/batch": check_batch,
    r"/embed": check_embeddings,
    r"/images/\w+": check_image,
    r"/prompts/\w+": check_prompt,
    r"/collections": check_collections,
    r"/collections/emoji": check_collection,
    r"/collections/emoji/fields": check_fields,
    r"/healthz": check_health,
    r"/readyz": check_readiness,
    r"/knn-service": check_neighbours,
    r"/metadata": check_metadata,
    r"/indices-list": check_names,
    r"/config\.json": check_config,
}


@pytest.mark.parametrize("command", of_kind("curl"))
def test_curl_is_answered(command: str, address: str, demo_checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.png").symlink_to(demo_checkout / "cat.png")
    quiet = re.sub(r"\bcurl (-sS )?", "curl -sS --fail-with-body ", command)
    output = succeed(quiet.replace("localhost:8000", address), tmp_path)
    if match := re.search(r" -o (\S+)", command):
        with Image.open(tmp_path / match[1]) as picture:
            assert picture.format == "WEBP"
        return
    [check] = [check for pattern, check in CHECKS.items() if re.fullmatch(pattern, route_of(command))]
    check(json.loads(output), options_of(command))


def test_every_check_is_used() -> None:
    routes = [route_of(command) for command in of_kind("curl")]
    assert not [pattern for pattern in CHECKS if not any(re.fullmatch(pattern, route) for route in routes)]
