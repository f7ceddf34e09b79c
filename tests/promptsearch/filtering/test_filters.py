"""The form of filters, and conditions as URLs write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import ParameterError
from promptsearch.filtering.filters import OPERATORS, Filter, condition

values = st.text(max_size=5) | st.integers() | st.booleans() | st.floats(allow_nan=False)
names = st.text(max_size=5).filter(lambda name: name not in ("and", "or", "not"))
filters = st.recursive(
    st.dictionaries(names, values | st.lists(values, max_size=3), max_size=3),
    lambda inner: st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3), "not": inner}),
    max_leaves=4,
)


@given(data=filters)
def test_parsed_text_equals_parsed_data(data: dict[str, Any]) -> None:
    parsed = Filter.parse(data)
    assert parsed.data == data == json.loads(parsed.json)
    again = Filter.read(json.dumps(data))
    assert (again, hash(again), again.data) == (parsed, hash(parsed), parsed.data)


@given(data=st.dictionaries(names, values, min_size=2, max_size=4))
def test_order_of_conditions_changes_nothing(data: dict[str, Any]) -> None:
    assert Filter.parse(dict(reversed(data.items()))) == Filter.parse(data)


def test_filter_does_not_change_with_the_data_it_was_parsed_from() -> None:
    data: dict[str, Any] = {"steps": {"gte": 20}}
    parsed = Filter.parse(data)
    data["steps"]["gte"] = 30
    assert parsed.data == {"steps": {"gte": 20}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], 'a filter must be a JSON object, such as {"steps": {"gte": 20}}, got a list of 0'),
        ("steps", "got 'steps'"),
        ({"and": {}}, "`and` in a filter must be a list of filters, got an object"),
        ({"or": []}, "`or` in a filter must be a list of filters, got a list of 0"),
        ({"not": [1]}, "got a list of 1"),
        ({"steps": {}}, "the condition on steps is empty"),
        ({"steps": {"above": 3}}, "unknown operator 'above' on steps: expected one of eq, in, gt"),
        ({"steps": None}, "`eq` on steps must be a text, number or boolean, got null"),
        ({"steps": [[1]]}, "`in` on steps must be texts, numbers and booleans, got a list of 1"),
        ({"steps": {"in": 3}}, "`in` on steps must be a list of at most 1000 values, got 3"),
        ({"steps": list(range(1001))}, "must be a list of at most 1000 values, got a list of 1001"),
        ({"source": {"prefix": 3}}, "`prefix` on source must be a text, got 3"),
        ({"and": [{"steps": 1}] * 101}, "a filter must have at most 100 conditions, got 101"),
        ({"sampler": "\ud83e"}, "half a surrogate pair"),
    ],
)
def test_invalid_form_is_an_error(data: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Filter.parse(data)
    assert message in str(caught.value)


def test_deep_nesting_is_an_error() -> None:
    deep: dict[str, Any] = {"steps": 1}
    for _ in range(16):
        deep = {"not": deep}
    with pytest.raises(ParameterError, match="nested at most 16 deep"):
        Filter.parse(deep)


@pytest.mark.parametrize("text", ["", "{", "{steps", "{" * 100_000, "nonsense"])
def test_text_that_is_not_json_is_an_error(text: str) -> None:
    with pytest.raises(ParameterError, match="filter must be JSON"):
        Filter.read(text)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("field", ["steps", "a.b", "gte", ""])
def test_condition_of_a_url(field: str, operator: str) -> None:
    expected = {field: {operator: ["1", "2"] if operator == "in" else "1,2"}} if field else {f".{operator}": "1,2"}
    assert condition(f"{field}.{operator}", "1,2") == expected
    assert condition(f"{field}.other", "1,2") == {f"{field}.other": "1,2"}
