"""The arguments of a search: unknown and deprecated names, pictures, and bodies of requests."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import PIL.Image
import pytest

import promptsearch
from promptsearch.client.arguments import read_picture, request_body, split_batch_query
from promptsearch.errors import ParameterError
from promptsearch.search.terms import Term
from tests.support.drawing import as_bytes, picture


def test_invalid_arguments_are_errors(searcher: promptsearch.Searcher, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"unknown argument 'count': expected q, image, .*limit, cursor"):
        searcher.search_images("fox", count=5)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="limit must be from 1 to 10,000, got 10,001"):
        searcher.search_images("fox", limit=10_001)
    with pytest.raises(promptsearch.errors.PictureError, match=r"cat\.png cannot be read"):
        searcher.search_images(image=tmp_path / "cat.png")
    with pytest.raises(promptsearch.errors.PictureError, match="got int"):
        searcher.search_images(image=7)  # type: ignore[arg-type]


def test_k_is_an_alias_of_limit(searcher: promptsearch.Searcher) -> None:
    expected = searcher.search_images("fox", limit=3)
    with pytest.warns(DeprecationWarning, match="'k' is now called 'limit'") as caught:
        page = searcher.search_images("fox", k=3)
    assert page.results == expected.results
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(DeprecationWarning, match=r"Page\.limit"):
        assert page.k == page.limit == 3
    with pytest.raises(TypeError, match="'k' is the old name of 'limit'"):
        searcher.search_images("fox", k=3, limit=3)


def test_pictures_are_bytes_paths_or_images(tmp_path: Path) -> None:
    content = as_bytes(picture(1))
    (tmp_path / "a.png").write_bytes(content)
    for given_as in (content, bytearray(content), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert read_picture(given_as) == content
    with PIL.Image.open(io.BytesIO(read_picture(picture(1)))) as decoded:
        assert (decoded.format, decoded.size) == ("PNG", picture(1).size)


def test_requests_contain_only_set_arguments() -> None:
    assert request_body("fox", {"limit": 3, "filter": None, "terms": ()}) == {"q": "fox", "limit": 3}
    body = request_body(None, {"image": b"picture", "terms": [Term(id="a", weight=0.5), Term(picture=b"other")]})
    assert body == {
        "image": base64.b64encode(b"picture").decode(),
        "terms": [{"id": "a", "weight": 0.5}, {"image": base64.b64encode(b"other").decode(), "weight": 1.0}],
    }


def test_queries_of_a_batch_name_their_target() -> None:
    assert split_batch_query({"target": "prompts", "q": "fox", "limit": 2}) == ("prompts", "fox", {"limit": 2})
    with pytest.raises(ParameterError, match="target must be images or prompts, got None"):
        split_batch_query({"q": "fox"})  # type: ignore[typeddict-item]
