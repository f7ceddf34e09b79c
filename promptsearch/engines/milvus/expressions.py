"""Filters as Milvus's boolean expressions.

A missing value is null there, and a comparison with null is neither true nor false. So a negation is pushed down to the
conditions, each of which then decides what a missing value means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from promptsearch.engines.milvus.connection import literal
from promptsearch.engines.milvus.schema import ALL_OF, ROW, column
from promptsearch.filtering.conditions import And, Condition, FieldCatalog, Node, Not, Or
from promptsearch.storage.fields import PROMPT
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Kind

_LAST = "\U0010ffff"  # sorts after every continuation of a text
_NEGATED = {"==": "!=", "in": "not in", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_NONE = f"not ({ALL_OF})"
_INTEGERS = 2**63

Rows = Callable[[Kind, Sequence[str]], Sequence[int]]  # ids -> rows of items that are not hidden


def expression(node: Node, fields: FieldCatalog, rows: Rows) -> str:
    """Return a filter as an expression about the Milvus collection of images."""
    return _Writer(fields, rows).write(node, met=True)


class _Writer:
    def __init__(self, fields: FieldCatalog, rows: Rows) -> None:
        self._fields = fields
        self._rows = rows

    def write(self, node: Node, *, met: bool) -> str:
        """Return the expression for entities that meet the node; with `met` False for those that do not."""
        match node:
            case Not():
                return self.write(node.part, met=not met)
            case And(parts=()):
                return ALL_OF if met else _NONE
            case And() | Or():
                joined = " and " if isinstance(node, And) == met else " or "
                return joined.join(f"({self.write(part, met=met)})" for part in node.parts)
            case _:
                return self._condition(node, met)

    def _condition(self, condition: Condition, met: bool) -> str:
        if condition.type == "id":
            return self._in(ROW, self._rows("images", condition.values), met, nullable=False)
        name, values = column(self._fields[condition.field]), condition.values
        nullable = condition.field != PROMPT
        if condition.operator == "exists":
            exists = bool(values[0]) == met
            if nullable:
                return f"{name} is not null" if exists else f"{name} is null"
            return f"{name} >= 0" if exists else f"{name} < 0"
        match condition.type:
            case "prompt":
                rows = self._rows("prompts", [item_id("prompt", text) for text in values])
                return self._in(name, rows, met, nullable=False)
            case "boolean":
                return self._either([self._compared(name, "==", value, met) for value in values], met)
            case "string" | "time":
                return self._texts(condition, name, met)
            case "integer":
                return self._integers(condition, name, met)
            case _:
                if condition.operator in ("eq", "in"):
                    return self._either([self._compared(name, "==", float(value), met) for value in values], met)
                return self._compared(name, _SIGNS[condition.operator], float(values[0]), met)

    def _texts(self, condition: Condition, name: str, met: bool) -> str:
        by_prefix = condition.operator == "prefix" or condition.type == "time"
        if condition.operator in ("eq", "in", "prefix"):
            if not by_prefix:
                return self._in(name, condition.values, met, nullable=True)
            spans = [
                self._both([self._compared(name, ">=", v, met), self._compared(name, "<", v + _LAST, met)], met)
                for v in condition.values
            ]
            return self._either(spans, met)
        [value] = condition.values
        if by_prefix and condition.operator in ("gt", "lte"):  # a time includes all times that begin with it
            return self._compared(name, ">=" if condition.operator == "gt" else "<", value + _LAST, met)
        return self._compared(name, _SIGNS[condition.operator], value, met)

    def _integers(self, condition: Condition, name: str, met: bool) -> str:
        if condition.operator in ("eq", "in"):
            whole = [int(v) for v in condition.values if float(v).is_integer() and -_INTEGERS < int(v) < _INTEGERS]
            return self._in(name, whole, met, nullable=True)
        [value] = condition.values
        # Integers are compared with integers: > 2.5 is > 2, and >= 2.5 is >= 3.
        whole_value = math.ceil(value) if condition.operator in ("gte", "lt") else math.floor(value)
        if not -_INTEGERS < whole_value < _INTEGERS:
            everything = (whole_value < 0) == (condition.operator in ("gt", "gte"))
            exists = f"{name} is not null" if met else f"{name} is null"
            return exists if everything else (_NONE if met else ALL_OF)
        return self._compared(name, _SIGNS[condition.operator], whole_value, met)

    def _in(self, name: str, values: Sequence[int | str], met: bool, *, nullable: bool) -> str:
        if not values:
            return _NONE if met else ALL_OF
        membership = f"{name} {'in' if met else 'not in'} {literal(list(values))}"
        return membership if met or not nullable else f"{name} is null or {membership}"

    def _compared(self, name: str, sign: str, value: bool | float | str, met: bool) -> str:
        if met:
            return f"{name} {sign} {literal(value)}"
        return f"({name} is null or {name} {_NEGATED[sign]} {literal(value)})"

    def _either(self, parts: Sequence[str], met: bool) -> str:
        if not parts:
            return _NONE if met else ALL_OF
        return (" or " if met else " and ").join(f"({part})" for part in parts)

    def _both(self, parts: Sequence[str], met: bool) -> str:
        return (" and " if met else " or ").join(f"({part})" for part in parts)


_SIGNS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
