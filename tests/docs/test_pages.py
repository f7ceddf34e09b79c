"""The pages are complete, their links resolve, and their tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promptsearch import errors
from service.api.json_query import JsonQuery
from tests.docs.pages import PAGES, TEXTS, anchors, links
from tests.support import settings_table
from tests.support.workspace import ROOT

MOST_WORDS = 1000  # of the README, code included


def test_the_readme_is_short() -> None:
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", TEXTS[ROOT / "README.md"])
    assert len(text.split()) <= MOST_WORDS, "move details to a page of docs/"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_the_readme_links_every_page() -> None:
    readme = ROOT / "README.md"
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(readme)}
    assert {page for page in PAGES if page != readme} <= linked


def test_the_table_of_settings_is_the_services() -> None:
    assert settings_table.table() in TEXTS[settings_table.PAGE], (
        "write it with `python -m tests.support.settings_table`"
    )


def test_the_table_of_parameters_is_the_apis() -> None:
    _, _, section = TEXTS[ROOT / "docs" / "api.md"].partition("### Parameters")
    table, _, _ = section.partition("\n## ")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(JsonQuery.model_fields)


def test_the_table_of_errors_has_every_type() -> None:
    _, _, section = TEXTS[ROOT / "docs" / "api.md"].partition("## Errors")
    types = set(re.findall(r"`([a-z-]+)`", section))
    requests = (errors.QueryError, errors.NotFound, errors.KeyNeeded, errors.RateExceeded, errors.Overloaded)
    pending = (errors.NotReady, errors.VersionPending)
    slugs = {
        error.slug
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, (*requests, *pending))
    }
    assert {*slugs, "no-image-index", "no-prompt-index"} <= types
