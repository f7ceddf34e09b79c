"""Which images meet a filter, as one bit each: numpy over the columns of their fields."""

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
    """bool [images]; raises ParameterError for a field or value that cannot be."""
    return _Evaluator(fields, items).of(resolve(filter, fields))


class _Evaluator:
    def __init__(self, fields: FieldColumns, items: ItemStore) -> None:
        self._fields = fields
        self._items = items

    def of(self, node: Node) -> Mask:
        match node:
            case And(parts=()):
                return np.ones(len(self._fields.prompts), dtype=bool)
            case And():
                return reduce(np.logical_and, map(self.of, node.parts))
            case Or():
                return reduce(np.logical_or, map(self.of, node.parts))
            case Not():
                return ~self.of(node.part)
            case _:
                return self._condition(node)

    def _condition(self, asked: Condition) -> Mask:
        name, values = asked.field, asked.values
        if asked.operator == "exists":
            there = self._fields.present(name)
            return there if values[0] else ~there
        match asked.type:
            case "id":
                mask = np.zeros(len(self._fields.prompts), dtype=bool)
                mask[self._items.rows("images", values)] = True
                return mask
            case "prompt":
                return self._equal(PROMPT, self._items.rows("prompts", [item_id("prompt", text) for text in values]))
            case "string" | "time":
                return self._texts(asked)
            case "boolean":
                return self._equal(name, [int(value) for value in values])
            case _:
                return self._numbers(asked)

    def _texts(self, asked: Condition) -> Mask:
        name, operator, values = asked.field, asked.operator, asked.values
        column, fields = self._fields.column(name), self._fields
        begins = operator == "prefix" or asked.type == "time"
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

    def _numbers(self, asked: Condition) -> Mask:
        if asked.operator in ("eq", "in"):
            return self._equal(asked.field, asked.values)
        column = self._fields.column(asked.field)
        mask: Mask = _RANGES[asked.operator](column, asked.values[0])
        return mask if column.dtype.kind == "f" else mask & self._fields.present(asked.field)

    def _equal(self, name: str, values: Sequence[int | float]) -> Mask:
        column = self._fields.column(name)
        if column.dtype.kind == "i":  # else one fraction would make numbers of 64 bits lose their last digits
            limits = np.iinfo(column.dtype)
            values = [int(v) for v in values if float(v).is_integer() and limits.min < int(v) <= limits.max]
        return column == values[0] if len(values) == 1 else np.isin(column, np.asarray(values, dtype=column.dtype))
