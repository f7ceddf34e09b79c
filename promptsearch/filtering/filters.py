"""Filters: conditions on the fields of images, as JSON.

All conditions of one object must hold:

    {"sampler": "k_lms"}                          equal
    {"sampler": ["k_lms", "ddim"]}                one of these
    {"steps": {"gte": 20, "lt": 50}}              in a range: gt, gte, lt, lte
    {"seed": {"exists": true}}                    has any value
    {"source": {"prefix": "2023/"}}               starts with this text
    {"or": [{...}, {...}], "not": {...}}          and, or, not

An image without the field meets none of the conditions on it except `{"exists": false}`. A `time` equals each of its
prefixes: `{"created": "2023-05"}` is all of May, and `{"created": {"lte": "2023-05-01"}}` includes that day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptsearch.errors import ParameterError, excerpt

OPERATORS = ("eq", "in", "gt", "gte", "lt", "lte", "exists", "prefix")
ID = "id"
_DEPTH = 16
_CONDITIONS = 100
_VALUES = 1000  # of one `in`


@dataclass(frozen=True)
class Filter:
    """A filter of valid form. Its fields and values are checked by `promptsearch.filtering.conditions.resolve`."""

    json: str  # canonical: equal filters have equal texts
    data: Mapping[str, Any] = field(compare=False, repr=False)  # the same, parsed

    @classmethod
    def parse(cls, data: object) -> Filter:
        """Return the filter that parsed JSON describes. Raises ParameterError."""
        if (count := _count(data, _DEPTH)) > _CONDITIONS:
            raise ParameterError(f"a filter must have at most {_CONDITIONS} conditions, got {count}")
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ParameterError("a filter must be valid Unicode, got half a surrogate pair") from None
        return cls(text, json.loads(text))

    @classmethod
    def read(cls, text: str) -> Filter:
        """Return the filter that JSON text describes. Raises ParameterError."""
        try:
            return cls.parse(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ParameterError(f"filter must be JSON: {error}") from None


def condition(name: str, value: str) -> dict[str, Any]:
    """Return the filter for a condition as in URLs, such as `steps.gte` and `20`. Field names may contain dots."""
    field, _, operator = name.rpartition(".")
    if field and operator in OPERATORS:
        return {field: {operator: value.split(",") if operator == "in" else value}}
    return {name: value}


def _count(data: object, depth: int) -> int:
    """Return the number of conditions. Raises ParameterError for an invalid form."""
    if not isinstance(data, dict):
        raise ParameterError(f'a filter must be a JSON object, such as {{"steps": {{"gte": 20}}}}, got {_found(data)}')
    if not depth:
        raise ParameterError(f"a filter must be nested at most {_DEPTH} deep")
    count = 0
    for name, value in data.items():
        if name in ("and", "or"):
            if not isinstance(value, list) or not value:
                raise ParameterError(f"`{name}` in a filter must be a list of filters, got {_found(value)}")
            count += sum(max(1, _count(part, depth - 1)) for part in value)  # an empty part is work, too
        elif name == "not":
            count += max(1, _count(value, depth - 1))
        elif isinstance(value, dict):
            count += len(value)
            for operator, operand in value.items():
                _check(name, operator, operand)
            if not value:
                raise ParameterError(
                    f"the condition on {excerpt(name)} is empty: expected one of {', '.join(OPERATORS)}"
                )
        else:
            count += 1
            _check(name, "in" if isinstance(value, list) else "eq", value)
    return count


def _check(name: str, operator: str, operand: object) -> None:
    if operator not in OPERATORS:
        raise ParameterError(
            f"unknown operator {excerpt(operator)!r} on {excerpt(name)}: expected one of {', '.join(OPERATORS)}"
        )
    if operator == "in":
        if not isinstance(operand, list) or len(operand) > _VALUES:
            raise ParameterError(
                f"`in` on {excerpt(name)} must be a list of at most {_VALUES} values, got {_found(operand)}"
            )
        values = operand
    else:
        values = [operand]
    for value in values:
        if not isinstance(value, str | int | float | bool):
            expected = "texts, numbers and booleans" if operator == "in" else "a text, number or boolean"
            raise ParameterError(f"`{operator}` on {excerpt(name)} must be {expected}, got {_found(value)}")
    if operator == "prefix" and not isinstance(operand, str):
        raise ParameterError(f"`prefix` on {excerpt(name)} must be a text, got {_found(operand)}")


def _found(value: object) -> str:
    """Return how a message names a value of a filter; lists and objects may be large, and are not repeated."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case str():
            return repr(excerpt(value))
        case None:
            return "null"
        case _:
            return excerpt(str(value))
