"""Terms of a query."""

from __future__ import annotations

import math
from typing import Any

import pytest

from promptsearch.errors import ParameterError
from promptsearch.search.terms import Term


@pytest.mark.parametrize("values", [{"text": "fox"}, {"picture": b""}, {"id": ""}, {"vector": (0.0, 1e-9)}])
@pytest.mark.parametrize("weight", [1.0, -0.5, 1e-5, 999_999.0])
def test_term_has_one_content_and_a_weight(values: dict[str, Any], weight: float) -> None:
    assert Term(**values, weight=weight).weight == weight


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "a term must have one of text, image, id and vector, got none of them"),
        ({"text": "fox", "id": "a"}, "got text and id"),
        ({"text": " \n"}, "a term's text must not be blank"),
        ({"text": "fox", "weight": 0.0}, "must be from 0.000001 to 1,000,000, or the negative of that, got 0.0"),
        ({"text": "fox", "weight": -1e6}, "got -1000000.0"),
        ({"text": "fox", "weight": math.nan}, "got nan"),
        ({"vector": (0.0, 0.0)}, "finite numbers, not all of them zero"),
        ({"vector": (1.0, math.inf)}, "finite numbers, not all of them zero"),
        ({"vector": (1.0, math.nan)}, "finite numbers, not all of them zero"),
    ],
)
def test_invalid_term_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Term(**values)
    assert message in str(caught.value)
