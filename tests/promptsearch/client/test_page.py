"""Pages of results: sequences, JSON and tables."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import promptsearch
from promptsearch.client.page import AnyPage
from promptsearch.errors import NotInstalled

FOX = "a red fox in the snow"


def test_pages_are_sequences(searcher: promptsearch.Searcher) -> None:
    page = searcher.search_images(FOX, limit=3)
    assert len(page) == 3
    assert [*page] == [*page.results] == [page[0], *page[1:]]
    assert page[0].prompt is not None
    assert page[0].prompt.text
    assert page[0].settings["sampler"]


def test_dictionary_has_the_keys_of_the_services_answer(searcher: promptsearch.Searcher, service: Any) -> None:
    for kind in ("images", "prompts"):
        page: AnyPage = getattr(searcher, f"search_{kind}")(FOX, limit=2)
        written = json.loads(json.dumps(page.to_dict()))
        answer = service.get(f"/search/{kind}", q=FOX, limit=2).json()
        assert written.keys() == answer.keys()
        assert written["results"][0].keys() == answer["results"][0].keys()


def test_tables_have_a_row_for_each_result(searcher: promptsearch.Searcher) -> None:
    images = searcher.search_images("fox", limit=5, group_by="prompt").to_pandas()
    assert list(images["id"]) == [result.id for result in searcher.search_images("fox", limit=5, group_by="prompt")]
    assert {"score", "prompt", "prompt_id", "more", "width", "source", "seed", "sampler", "cfg_scale"} <= {*images}
    prompts = searcher.search_prompts("fox", limit=5).to_pandas()
    assert {"score", "text", "image_count", "images"} <= {*prompts}
    assert len(prompts) == 5
    assert len(searcher.search_images("fox", filter={"seed": -1}).to_pandas()) == 0


def test_table_needs_pandas(searcher: promptsearch.Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # what Python keeps of a module that is not to be found
    with pytest.raises(NotInstalled, match="pip install pandas"):
        searcher.search_images("fox").to_pandas()
