"""Results rendered for a notebook."""

from __future__ import annotations

import html.parser

import pytest

import promptsearch

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


@pytest.mark.parametrize("kind", ["images", "prompts"])
@pytest.mark.parametrize("where", ["searcher", "client"])
def test_pictures_are_shown(kind: str, where: str, request: pytest.FixtureRequest) -> None:
    page = getattr(request.getfixturevalue(where), f"search_{kind}")("castle", limit=9)
    shown = Tags(page._repr_html_())
    assert {tag for tag, _ in shown.tags} <= {"div", "figure", "figcaption", "img", "b"}
    pictures = [attributes for tag, attributes in shown.tags if tag == "img"]
    assert len(pictures) == (9 if kind == "images" else sum(len(result.images) for result in page))
    assert all(str(picture["src"]).startswith("data:image/webp;base64,") for picture in pictures)
    for attributes in (attributes for _, attributes in shown.tags):
        assert attributes.keys() <= {"src", "alt", "title", "style"}


def test_prompts_are_escaped(searcher: promptsearch.Searcher) -> None:
    page = searcher.search_prompts(BOLD, limit=1)
    assert page[0].text == BOLD
    assert BOLD not in page._repr_html_()
    assert BOLD in Tags(page._repr_html_()).text


def test_notes_and_empty_pages_are_shown(searcher: promptsearch.Searcher) -> None:
    assert "77 tokens at most" in searcher.search_images("castle " * 100, limit=1)._repr_html_()
    assert "nothing found" in searcher.search_images("fox", filter={"seed": -1})._repr_html_()
