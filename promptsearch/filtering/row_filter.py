"""Which images meet a filter: NumPy over the columns of its fields, one bit an image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.filtering.conditions import And, Condition, Node, Not, Or, resolve
from promptsearch.filtering.filters import Filter
from promptsearch.storage.fields import PROMPT, FieldColumns
from promptsearch.storage.items import ItemStore, item_id

Mask = NDArray[np.bool_]
_RANGES: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


def row_mask(filter: Filter, fields: FieldColumns, items: ItemStore) -> Mask:
    """Return which images meet the filter, bool [images]. Raises ParameterError for an unknown field or value."""
    return _Evaluator(fields, items).evaluate(resolve(filter, fields))


class _Evaluator:
    def __init__(self, fields: FieldColumns, items: ItemStore) -> None:
        self._fields = fields
        self._items = items

    def evaluate(self, node: Node) -> Mask:
        match node:
            case And(parts=()):
                return np.ones(len(self._fields.prompts), dtype=bool)
            case And():
                return reduce(np.logical_and, map(self.evaluate, node.parts))
            case Or():
                return reduce(np.logical_or, map(self.evaluate, node.parts))
            case Not():
                return ~self.evaluate(node.part)
            case _:
                return self._condition(node)

    def _condition(self, condition: Condition) -> Mask:
        name, values = condition.field, condition.values
        if condition.operator == "exists":
            present = self._fields.present(name)
            return present if values[0] else ~present
        match condition.type:
            case "id":
                mask = np.zeros(len(self._fields.prompts), dtype=bool)
                mask[self._items.rows("images", values)] = True
                return mask
            case "prompt":
                return self._equal(PROMPT, self._items.rows("prompts", [item_id("prompt", text) for text in values]))
            case "string" | "time":
                return self._texts(condition)
            case "boolean":
                return self._equal(name, [int(value) for value in values])
            case _:
                return self._numbers(condition)

    def _texts(self, condition: Condition) -> Mask:
        name, operator, values = condition.field, condition.operator, condition.values
        column, fields = self._fields.column(name), self._fields
        by_prefix = operator == "prefix" or condition.type == "time"
        if operator in ("eq", "in", "prefix"):
            if not by_prefix:
                return self._equal(name, [code for value in values if (code := fields.code(name, value)) is not None])
            spans = [(fields.first_code(name, value), fields.first_code(name, value, after=True)) for value in values]
            return reduce(np.logical_or, [(column >= first) & (column < last) for first, last in spans], column < -1)
        # A time includes all times that it is a prefix of, so "after" and "up to" begin and end behind those.
        exists = fields.code(name, values[0]) is not None
        code = fields.first_code(name, values[0], after=by_prefix and operator in ("gt", "lte"))
        if operator in ("gt", "lte") and not by_prefix:
            code += exists
        return (column >= code) if operator in ("gt", "gte") else (column < code) & (column >= 0)

    def _numbers(self, condition: Condition) -> Mask:
        if condition.operator in ("eq", "in"):
            return self._equal(condition.field, condition.values)
        column = self._fields.column(condition.field)
        mask: Mask = _RANGES[condition.operator](column, condition.values[0])
        return mask if column.dtype.kind == "f" else mask & self._fields.present(condition.field)

    def _equal(self, name: str, values: Sequence[int | float]) -> Mask:
        column = self._fields.column(name)
        if column.dtype.kind == "i":  # one fraction would turn the array to float64, which rounds large integers
            limits = np.iinfo(column.dtype)
            values = [int(v) for v in values if float(v).is_integer() and limits.min < int(v) <= limits.max]
        return column == values[0] if len(values) == 1 else np.isin(column, np.asarray(values, dtype=column.dtype))
