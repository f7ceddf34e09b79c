"""`prompt-search` in a terminal, run as a program and in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import promptsearch
from promptsearch.__main__ import main
from promptsearch.client.page import Page
from promptsearch.client.results import Field, PromptResult
from promptsearch.client.terminal import render_fields, render_page
from tests.promptsearch.conftest import Gallery
from tests.service.support.serving import ROOT, Service, environment
from tests.support.drawing import as_bytes, picture

FOX = "a red fox in the snow"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PROMPT_SEARCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["disk", "service"])
def place(request: pytest.FixtureRequest, pictures: Gallery) -> list[str]:
    if request.param == "service":
        return ["--url", request.getfixturevalue("service").url]
    return ["--collection", str(pictures.collection), "--models", str(pictures.models)]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(arguments)
    out, err = capsys.readouterr()
    assert err == ""
    return out


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(printed(capsys, *arguments, "--json"))
    return answer


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert err.startswith("error: ")
    return err


def test_program_prints_results(pictures: Gallery) -> None:
    command = [sys.executable, "-m", "promptsearch", "search", FOX, "--limit", "3", "--models", str(pictures.models)]
    done = subprocess.run(
        [*command, "--indices", str(pictures.collection.parent)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["score", "id", "prompt", "settings", "source"]
    assert len(rows) == 3


def test_options_of_the_command_line_are_those_of_python(
    place: list[str], capsys: pytest.CaptureFixture[str], searcher: promptsearch.Searcher
) -> None:
    options = ["--negative", "night", "--filter", "steps.gte=30", "--filter", '{"sampler": ["ddim", "k_lms"]}',
               "--min-score=-0.9", "--group-by", "prompt", "--diversity", "0.3", "--limit", "3"]  # fmt: skip
    answer = answered(capsys, "search", "castle", *options, *place)
    same = searcher.search_images(
        "castle", negative="night", filter={"steps": {"gte": 30}, "sampler": ["ddim", "k_lms"]}, min_score=-0.9,
        group_by="prompt", diversity=0.3, limit=3,
    )  # fmt: skip
    assert [result["id"] for result in answer["results"]] == [result.id for result in same]
    assert [result["more"] for result in answer["results"]] == [result.more for result in same]

    answer = answered(capsys, "search", "castle", "--mode", "hybrid", "--sort=-seed", "--deduplicate", *place)
    same = searcher.search_images("castle", mode="hybrid", sort="-seed", deduplicate=True)
    assert [result["id"] for result in answer["results"]] == [result.id for result in same]


def test_pictures_are_query_terms(
    place: list[str], capsys: pytest.CaptureFixture[str], searcher: promptsearch.Searcher, tmp_path: Path
) -> None:
    pictures = [as_bytes(picture(number)) for number in (1, 2)]
    for number, content in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(content)
    images = [part for number in (0, 1) for part in ("--image", str(tmp_path / f"{number}.png"))]
    answer = answered(capsys, "search", "fox", *images, "--kind", "prompts", "--via", "images", *place)
    terms = [promptsearch.Term(picture=content) for content in pictures]
    same = searcher.search_prompts("fox", terms=terms, via="images")
    assert [result["id"] for result in answer["results"]] == [result.id for result in same]


def test_cursor_continues_with_the_next_page(
    place: list[str], capsys: pytest.CaptureFixture[str], searcher: promptsearch.Searcher
) -> None:
    first = answered(capsys, "search", "fox", "--limit", "2", *place)
    second = answered(capsys, "search", "--cursor", first["next"], "--limit", "2", *place)
    ids = [result["id"] for page in (first, second) for result in page["results"]]
    assert ids == [result.id for result in searcher.search_images("fox", limit=4)]


def test_similar_items_are_found(
    place: list[str], capsys: pytest.CaptureFixture[str], searcher: promptsearch.Searcher
) -> None:
    image, prompt = searcher.search_images("fox", limit=1)[0].id, searcher.search_prompts("fox", limit=1)[0].id
    answer = answered(capsys, "similar", image, "castle", "--limit", "3", *place)
    assert [result["id"] for result in answer["results"]] == [
        result.id for result in searcher.similar_images(image, "castle", limit=3)
    ]
    answer = answered(capsys, "similar", prompt, "--kind", "prompts", "--limit", "3", *place)
    assert [result["id"] for result in answer["results"]] == [
        result.id for result in searcher.similar_prompts(prompt, limit=3)
    ]


def test_results_and_fields_are_printed_as_tables(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "search", FOX, "--kind", "prompts", "--limit", "1", *place).split()[:5] == [
        "score", "id", "prompt", "images", "sources",
    ]  # fmt: skip
    assert printed(capsys, "search", "--filter", "seed=-1", *place) == "nothing found\n"
    assert "77 tokens at most" in printed(capsys, "search", "castle " * 100, *place)
    fields = printed(capsys, "fields", *place)
    assert "1000" in next(line for line in fields.splitlines() if line.startswith("seed "))
    names = [field["name"] for field in json.loads(printed(capsys, "fields", "--json", *place))]
    assert {"prompt", "seed", "style"} <= {*names}


def test_control_characters_and_markup_are_not_interpreted(
    searcher: promptsearch.Searcher, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    page = searcher.search_prompts("fox", limit=1)
    hostile = PromptResult("id", "[bold]\x1b[31mred\x07 \u202eback\nline", 1, (), 0.5)
    page_with_hostile_text = Page(**{**page.__dict__, "results": (hostile,), "notes": ("\x1b[2J",)})
    Console(width=200).print(render_page(page_with_hostile_text))
    Console(width=200).print(render_fields([Field("a\x1b", "string", 1, 1, None, None, (("[red]", 1),))]))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold] [31mred   back line" in out
    assert "[red] (1)" in out


def test_errors_are_printed(place: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "the query is empty" in failed(capsys, "search", *place)
    assert "did you mean steps?" in failed(capsys, "search", "fox", "--filter", "stepz=1", *place)
    assert "a filter must be FIELD=VALUE" in failed(capsys, "search", "fox", "--filter", "steps", *place)
    assert "filter must be JSON" in failed(capsys, "search", "fox", "--filter", "{steps", *place)
    assert "cannot be read" in failed(capsys, "search", "--image", str(tmp_path / "cat.png"), *place)
    assert "no image with this id" in failed(capsys, "similar", "nobody", *place)


def test_collection_is_found_by_name(pictures: Gallery, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    models, indices = ["--models", str(pictures.models)], ["--indices", str(pictures.collection.parent)]
    assert answered(capsys, "search", "fox", "--collection", "gallery", *indices, *models)["collection"] == "gallery"
    assert "'emoj' is neither a collection in " in failed(capsys, "search", "fox", "--collection", "emoj", *indices)
    assert "has no collection" in failed(capsys, "search", "fox", "--indices", str(tmp_path))
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(pictures.collection)
    assert "choose one with --collection: one, two" in failed(capsys, "search", "fox", "--indices", str(tmp_path))


def test_service_is_chosen_by_environment_variables(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPT_SEARCH_URL", service.url)
    monkeypatch.setenv("PROMPT_SEARCH_API_KEY", "not required")
    assert answered(capsys, "search", "fox")["collection"] == "gallery"


def test_closed_pipe_ends_the_program_quietly(pictures: Gallery) -> None:
    place = f"--collection {pictures.collection} --models {pictures.models}"
    command = (
        f"{sys.executable} -m promptsearch search fox --limit 60 --json {place} | head -c 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout in ("{0\n", "{141\n")
