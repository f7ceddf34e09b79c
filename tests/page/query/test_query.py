"""The page's query has the parameters, defaults and bounds that the library declares."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.search.query import PARAMETERS
from tests.page.visit import Visit

pytestmark = pytest.mark.slow

_SENT = """async () => {
  const { EMPTY_QUERY } = await import("/js/query/query.js");
  const { toRequest } = await import("/js/query/request.js");
  const options = { sort: "seed", filter: { steps: 1 }, minScore: 0.5, grouped: true, deduplicated: true };
  const whole = { ...EMPTY_QUERY, ...options, q: "fox", negative: "cat", like: "images/1", mode: "hybrid" };
  const diverse = { ...EMPTY_QUERY, q: "fox", diversity: 0.5 };
  const sent = (query) => Object.entries(toRequest(query).parameters).filter(([, value]) => value);
  return [EMPTY_QUERY, whole, diverse].map((query) => Object.fromEntries(sent(query)));
}"""


def test_requests_have_declared_parameters(visit: Visit) -> None:
    visit.open()
    empty, whole, diverse = visit.page.evaluate(_SENT)
    assert empty == {}, "parameters that are not sent have the service's defaults"
    assert {**whole, **diverse}.keys() <= PARAMETERS.keys()
    assert {**whole, **diverse}.keys() >= PARAMETERS.keys() - {
        "collection",  # of the service's default
        "image",  # a file of the form
        "limit", "cursor", "include", "explain", "via",  # not part of the page's query
    }  # fmt: skip
    for name, value in {**whole, **diverse}.items():
        assert value in (PARAMETERS[name].choices or [value])


def test_defaults_and_bounds_are_the_declared_ones(visit: Visit) -> None:
    visit.open()
    query: dict[str, Any] = visit.page.evaluate(
        """async () => {
          const { mode, diversity, minScore, filter } = (await import("/js/query/query.js")).EMPTY_QUERY;
          return { mode, diversity, min_score: minScore, filter };
        }"""
    )
    assert query == {name: PARAMETERS[name].default for name in query}
    modes = visit.page.locator("#mode option").evaluate_all("options => options.map(option => option.value)")
    assert tuple(modes) == PARAMETERS["mode"].choices
    least, greatest = visit.page.locator("#min-score").evaluate("input => [input.min, input.max]")
    meaning = PARAMETERS["min_score"].meaning
    assert (float(least), float(greatest)) == (meaning.least, meaning.greatest)
