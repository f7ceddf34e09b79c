"""Pages: what they hold, how a notebook shows them, and as tables."""

from __future__ import annotations

import html.parser
import json
import sys
from typing import Any

import pytest

import promptsearch
from promptsearch.client.results import AnyPage
from promptsearch.errors import NotInstalled

FOX = "a red fox in the snow"
BOLD = "a <b>bold</b> castle"


class Tags(html.parser.HTMLParser):
    """Every tag with its attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_pages_are_sequences(searcher: promptsearch.Searcher) -> None:
    page = searcher.search_images(FOX, k=3)
    assert len(page) == 3
    assert [*page] == [*page.results] == [page[0], *page[1:]]
    assert page[0].prompt is not None
    assert page[0].prompt.text
    assert page[0].settings["sampler"]


def test_json_is_what_the_service_answers(searcher: promptsearch.Searcher, service: Any) -> None:
    for kind in ("images", "prompts"):
        page: AnyPage = getattr(searcher, f"search_{kind}")(FOX, k=2)
        said = json.loads(json.dumps(page.to_dict()))
        answer = service.get(f"/search/{kind}", q=FOX, limit=2).json()
        assert said.keys() == answer.keys()
        assert said["results"][0].keys() == answer["results"][0].keys()


@pytest.mark.parametrize("kind", ["images", "prompts"])
@pytest.mark.parametrize("where", ["searcher", "client"])
def test_a_notebook_shows_pictures(kind: str, where: str, request: pytest.FixtureRequest) -> None:
    page = getattr(request.getfixturevalue(where), f"search_{kind}")("castle", k=9)
    shown = Tags(page._repr_html_())
    assert {tag for tag, _ in shown.tags} <= {"div", "figure", "figcaption", "img", "b"}
    pictures = [attributes for tag, attributes in shown.tags if tag == "img"]
    assert len(pictures) == (9 if kind == "images" else sum(len(result.images) for result in page))
    assert all(str(picture["src"]).startswith("data:image/webp;base64,") for picture in pictures)
    for attributes in (attributes for _, attributes in shown.tags):
        assert attributes.keys() <= {"src", "alt", "title", "style"}


def test_prompts_are_text(searcher: promptsearch.Searcher) -> None:
    page = searcher.search_prompts(BOLD, k=1)
    assert page[0].text == BOLD
    assert BOLD not in page._repr_html_()
    assert BOLD in Tags(page._repr_html_()).text


def test_a_notebook_shows_notes_and_nothing(searcher: promptsearch.Searcher) -> None:
    assert "77 tokens at most" in searcher.search_images("castle " * 100, k=1)._repr_html_()
    assert "nothing found" in searcher.search_images("fox", filter={"seed": -1})._repr_html_()


def test_tables(searcher: promptsearch.Searcher) -> None:
    images = searcher.search_images("fox", k=5, group_by="prompt").to_pandas()
    assert list(images["id"]) == [found.id for found in searcher.search_images("fox", k=5, group_by="prompt")]
    assert {"score", "prompt", "prompt_id", "more", "width", "source", "seed", "sampler", "cfg_scale"} <= {*images}
    prompts = searcher.search_prompts("fox", k=5).to_pandas()
    assert {"score", "text", "image_count", "images"} <= {*prompts}
    assert len(prompts) == 5
    assert len(searcher.search_images("fox", filter={"seed": -1}).to_pandas()) == 0


def test_no_table_without_pandas(searcher: promptsearch.Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # what Python keeps of a module that is not to be found
    with pytest.raises(NotInstalled, match="pip install pandas"):
        searcher.search_images("fox").to_pandas()
