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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import ParameterError
from promptsearch.fields import PROMPT, Fields
from promptsearch.items import ItemStore, item_id

OPERATORS = ("eq", "in", "gt", "gte", "lt", "lte", "exists", "prefix")
ID = "id"
_DEPTH = 16
_CONDITIONS = 100
_VALUES = 1000  # in one set
_LARGEST = 1e300

Mask = NDArray[np.bool_]
_RANGES: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": np.greater, "gte": np.greater_equal, "lt": np.less, "lte": np.less_equal,
}  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """A filter whose form is right; whether its fields are there is seen when it meets a collection."""

    json: str  # canonical: equal filters have equal texts

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
        return cls(text)

    @classmethod
    def read(cls, text: str) -> Filter:
        """From JSON as text; raises ParameterError."""
        try:
            return cls.parse(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ParameterError(f"filter is no JSON: {error}") from None

    def mask(self, fields: Fields, items: ItemStore) -> Mask:
        """Which images meet it, bool [images]; raises ParameterError for a field or value that cannot be."""
        return _Evaluation(fields, items).of(json.loads(self.json))


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


class _Evaluation:
    def __init__(self, fields: Fields, items: ItemStore) -> None:
        self._fields = fields
        self._items = items

    def of(self, data: Mapping[str, Any]) -> Mask:
        masks = [self._one(name, value) for name, value in data.items()]
        return reduce(np.logical_and, masks) if masks else np.ones(len(self._fields.prompts), dtype=bool)

    def _one(self, name: str, value: Any) -> Mask:
        if name in ("and", "or"):
            return reduce(np.logical_and if name == "and" else np.logical_or, [self.of(one) for one in value])
        if name == "not":
            return ~self.of(value)
        if not isinstance(value, dict):
            value = {"in" if isinstance(value, list) else "eq": value}
        return reduce(np.logical_and, [self._condition(name, *condition) for condition in value.items()])

    def _condition(self, name: str, operator: str, operand: Any) -> Mask:
        if name == ID:
            return self._ids(operator, operand)
        if name not in self._fields:
            near = get_close_matches(name, [field.name for field in self._fields], 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(f.name for f in self._fields)}"
            raise ParameterError(f"there is no field {name!r}; {hint}")
        if operator == "exists":
            there = self._fields.present(name)
            return there if _boolean(name, operand) else ~there
        values: Sequence[Any] = operand if operator == "in" else [operand]
        match self._fields[name].type:
            case "prompt":
                return self._prompts(operator, values)
            case "string" | "time":
                return self._texts(name, operator, [str(value) for value in values])
            case "boolean":
                if operator not in ("eq", "in"):
                    raise ParameterError(f"{name} is true or false: `{operator}` does not apply")
                return self._equal(name, [int(_boolean(name, value)) for value in values])
            case _:
                return self._numbers(name, operator, [_number(name, value) for value in values])

    def _ids(self, operator: str, operand: Any) -> Mask:
        if operator not in ("eq", "in"):
            raise ParameterError(f"`{operator}` does not apply to ids: name them")
        mask = np.zeros(len(self._fields.prompts), dtype=bool)
        mask[self._items.rows("images", [str(id) for id in (operand if operator == "in" else [operand])])] = True
        return mask

    def _prompts(self, operator: str, texts: Sequence[Any]) -> Mask:
        if operator not in ("eq", "in"):
            raise ParameterError(f"`{operator}` does not apply to {PROMPT}: find words in it with mode=keyword")
        rows = self._items.rows("prompts", [item_id("prompt", str(text)) for text in texts])
        return self._equal(PROMPT, rows)

    def _texts(self, name: str, operator: str, values: Sequence[str]) -> Mask:
        column, fields = self._fields.column(name), self._fields
        begins = operator == "prefix" or fields[name].type == "time"
        if operator in ("eq", "in", "prefix"):
            if not begins:
                return self._equal(name, [code for value in values if (code := fields.code(name, value)) is not None])
            spans = [(fields.first_code(name, value), fields.first_code(name, value, after=True)) for value in values]
            return reduce(np.logical_or, [(column >= first) & (column < last) for first, last in spans], column < -1)
        # What begins with a time belongs to it, so "after" and "up to" end behind all of that.
        known = fields.code(name, values[0]) is not None
        code = fields.first_code(name, values[0], after=begins and operator in ("gt", "lte"))
        if operator in ("gt", "lte") and not begins:
            code += known
        return (column >= code) if operator in ("gt", "gte") else (column < code) & (column >= 0)

    def _numbers(self, name: str, operator: str, values: Sequence[int | float]) -> Mask:
        if operator == "prefix":
            raise ParameterError(f"{name} is a number: `prefix` does not apply")
        if operator in ("eq", "in"):
            return self._equal(name, values)
        column = self._fields.column(name)
        mask: Mask = _RANGES[operator](column, values[0])
        return mask if column.dtype.kind == "f" else mask & self._fields.present(name)

    def _equal(self, name: str, values: Sequence[int | float]) -> Mask:
        column = self._fields.column(name)
        if column.dtype.kind == "i":  # else one fraction would make numbers of 64 bits lose their last digits
            limits = np.iinfo(column.dtype)
            values = [int(v) for v in values if float(v).is_integer() and limits.min < int(v) <= limits.max]
        return column == values[0] if len(values) == 1 else np.isin(column, np.asarray(values, dtype=column.dtype))


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, str):  # as in a URL
        for kind in (int, float):
            try:
                value = kind(value)
                break
            except ValueError:
                continue
    if isinstance(value, str | bool) or not -_LARGEST <= value <= _LARGEST:  # so written that NaN is none
        raise ParameterError(f"{name} is a number: {value!r} is none")
    number: int | float = value
    return number


def _boolean(name: str, value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ParameterError(f"the condition on {name} is true or false, not {value!r}")
    return str(value).lower() in ("true", "1")
