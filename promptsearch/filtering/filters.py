"""Filters: which images a search is about, by their fields.

As JSON, conditions of one object are all to be met:

    {"sampler": "k_lms"}                          equal
    {"sampler": ["k_lms", "ddim"]}                one of these
    {"steps": {"gte": 20, "lt": 50}}              in a range: gt, gte, lt, lte
    {"seed": {"exists": true}}                    there at all
    {"source": {"prefix": "2023/"}}               text that begins so
    {"or": [{...}, {...}], "not": {...}}          and, or, not

An image without the field meets none of the conditions on it but `{"exists": false}`. A `time` is met by whatever
begins with it: `{"created": "2023-05"}` is all of that May, and `{"created": {"lte": "2023-05-01"}}` includes that day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptsearch.errors import ParameterError

OPERATORS = ("eq", "in", "gt", "gte", "lt", "lte", "exists", "prefix")
ID = "id"
_DEPTH = 16
_CONDITIONS = 100
_VALUES = 1000  # in one set


@dataclass(frozen=True)
class Filter:
    """A filter whose form is right; whether its fields are there is seen when it meets a collection."""

    json: str  # canonical: equal filters have equal texts
    tree: Mapping[str, Any] = field(compare=False, repr=False)  # `json`, parsed once

    @classmethod
    def parse(cls, data: object) -> Filter:
        """From JSON that was read; raises ParameterError."""
        if _count(data, _DEPTH) > _CONDITIONS:
            raise ParameterError(f"a filter has at most {_CONDITIONS} conditions")
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ParameterError("a filter holds half a surrogate pair, which is no text") from None
        return cls(text, json.loads(text))

    @classmethod
    def read(cls, text: str) -> Filter:
        """From JSON as text; raises ParameterError."""
        try:
            return cls.parse(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ParameterError(f"filter is no JSON: {error}") from None


def condition(name: str, value: str) -> dict[str, Any]:
    """The filter that `steps.gte` and a value in text mean; a field's name may have dots of its own."""
    field, _, operator = name.rpartition(".")
    if field and operator in OPERATORS:
        return {field: {operator: value.split(",") if operator == "in" else value}}
    return {name: value}


def _count(data: object, depth: int) -> int:
    """How many conditions there are; raises ParameterError where the form is wrong."""
    if not isinstance(data, dict):
        raise ParameterError('a filter is a JSON object, such as {"steps": {"gte": 20}}')
    if not depth:
        raise ParameterError(f"a filter is nested at most {_DEPTH} deep")
    count = 0
    for name, value in data.items():
        if name in ("and", "or"):
            if not isinstance(value, list) or not value:
                raise ParameterError(f"`{name}` in a filter takes a list of filters")
            count += sum(_count(one, depth - 1) for one in value)
        elif name == "not":
            count += _count(value, depth - 1)
        elif isinstance(value, dict):
            count += len(value)
            for operator, operand in value.items():
                _check(name, operator, operand)
            if not value:
                raise ParameterError(f"the condition on {name} is empty: it takes {', '.join(OPERATORS)}")
        else:
            count += 1
            _check(name, "in" if isinstance(value, list) else "eq", value)
    return count


def _check(name: str, operator: str, operand: object) -> None:
    if operator not in OPERATORS:
        raise ParameterError(f"{operator!r} is no condition on {name}: there are {', '.join(OPERATORS)}")
    if operator == "in":
        if not isinstance(operand, list) or len(operand) > _VALUES:
            raise ParameterError(f"`in` on {name} takes a list of at most {_VALUES} values")
        values = operand
    else:
        values = [operand]
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise ParameterError(f"`{operator}` on {name} takes {'texts and numbers' if operator == 'in' else 'a value'}")
    if operator == "prefix" and not isinstance(operand, str):
        raise ParameterError(f"`prefix` on {name} takes a text")
