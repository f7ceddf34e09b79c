"""Filters resolved against fields: shapes of trees, types of values, and errors."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.engines.milvus.engine import StoredFieldCatalog
from promptsearch.errors import ParameterError
from promptsearch.filtering.conditions import And, Condition, Node, Not, Or, resolve
from promptsearch.filtering.filters import Filter
from promptsearch.storage.fields import Field, Type

TYPES: dict[str, Type] = {
    "prompt": "prompt",
    "steps": "integer",
    "cfg_scale": "number",
    "sampler": "string",
    "created": "time",
    "nsfw": "boolean",
}
FIELDS = StoredFieldCatalog(
    Field(number, name, type, 1, 1, None, None, []) for number, (name, type) in enumerate(TYPES.items())
)


def equal(field: str, type: Any, *values: Any) -> Condition:
    return Condition(field, type, "eq" if len(values) == 1 else "in", [*values])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, And(())),
        ({"steps": 20}, equal("steps", "integer", 20)),
        ({"steps": "20"}, equal("steps", "integer", 20)),
        ({"steps": 20.5}, equal("steps", "integer", 20.5)),
        ({"cfg_scale": ["7", 7.5]}, equal("cfg_scale", "number", 7, 7.5)),
        ({"sampler": 5}, equal("sampler", "string", "5")),
        ({"nsfw": "True"}, equal("nsfw", "boolean", True)),
        ({"nsfw": 0}, equal("nsfw", "boolean", False)),
        ({"id": ["a", "b"]}, equal("id", "id", "a", "b")),
        ({"prompt": "a fox"}, equal("prompt", "prompt", "a fox")),
        ({"created": {"lte": "2023"}}, Condition("created", "time", "lte", ["2023"])),
        ({"steps": {"exists": "false"}}, Condition("steps", "integer", "exists", [False])),
        ({"steps": {"exists": 1}}, Condition("steps", "integer", "exists", [True])),
        ({"steps": []}, Condition("steps", "integer", "in", [])),
        (
            {"steps": {"gte": 20, "lt": 50}},
            And((Condition("steps", "integer", "gte", [20]), Condition("steps", "integer", "lt", [50]))),
        ),
        ({"steps": 1, "nsfw": True}, And((equal("nsfw", "boolean", True), equal("steps", "integer", 1)))),
        ({"or": [{"steps": 1}, {"steps": 2}]}, Or((equal("steps", "integer", 1), equal("steps", "integer", 2)))),
        ({"and": [{"steps": 1}]}, equal("steps", "integer", 1)),
        ({"not": {"or": [{"steps": 1}, {}]}}, Not(Or((equal("steps", "integer", 1), And(()))))),
    ],
)
def test_filter_becomes_a_tree(data: dict[str, Any], expected: Node) -> None:
    node = resolve(Filter.parse(data), FIELDS)
    assert node == expected
    assert repr(node) == repr(expected)  # True == 1, but they are different values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stesp": 3}, "there is no field 'stesp'; did you mean steps?"),
        ({"not": {"ZZZ": 3}}, "there is no field 'ZZZ'; the fields are prompt, steps, cfg_scale"),
        ({"steps": "many"}, "steps must be a number, got 'many'"),
        ({"steps": True}, "steps must be a number, got 'True'"),
        ({"steps": 10**400}, "steps must be a number"),
        ({"cfg_scale": float("nan")}, "cfg_scale must be a number"),
        ({"steps": {"prefix": "2"}}, "`prefix` does not apply to steps, a number: use eq, in, gt"),
        ({"nsfw": "maybe"}, "the condition on nsfw must be true or false, got 'maybe'"),
        ({"steps": {"exists": "maybe"}}, "the condition on steps must be true or false, got 'maybe'"),
        ({"nsfw": {"gt": 0}}, "`gt` does not apply to nsfw, a boolean: use eq, in or exists"),
        (
            {"prompt": {"prefix": "a"}},
            "`prefix` does not apply to prompt: use eq, in or exists, or find its words",
        ),
        ({"id": {"gt": "a"}}, "`gt` does not apply to id: use eq or in"),
    ],
)
def test_wrong_field_or_value_is_an_error(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(Filter.parse(data), FIELDS)
    assert message in str(caught.value)
