"""Filters as Milvus's boolean expressions.

What is missing is null there, and a comparison with null is no answer: a negation is carried down to the conditions,
each of which then says what it means for what is missing.
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

_LAST = "\U0010ffff"  # sorts after whatever continues a text
_TURNED = {"==": "!=", "in": "not in", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_NONE = f"not ({ALL_OF})"
_INTEGERS = 2**63

Rows = Callable[[Kind, Sequence[str]], Sequence[int]]  # of items that are not taken down, by their ids


def expression(node: Node, fields: FieldCatalog, rows: Rows) -> str:
    """What `node` is in Milvus, about the collection of images."""
    return _Expressions(fields, rows).of(node, met=True)


class _Expressions:
    def __init__(self, fields: FieldCatalog, rows: Rows) -> None:
        self._fields = fields
        self._rows = rows

    def of(self, node: Node, *, met: bool) -> str:
        """What meets it, or what does not."""
        match node:
            case Not():
                return self.of(node.part, met=not met)
            case And(parts=()):
                return ALL_OF if met else _NONE
            case And() | Or():
                joined = " and " if isinstance(node, And) == met else " or "
                return joined.join(f"({self.of(part, met=met)})" for part in node.parts)
            case _:
                return self._condition(node, met)

    def _condition(self, asked: Condition, met: bool) -> str:
        if asked.type == "id":
            return self._in(ROW, self._rows("images", asked.values), met, nullable=False)
        name, values = column(self._fields[asked.field]), asked.values
        nullable = asked.field != PROMPT
        if asked.operator == "exists":
            there = bool(values[0]) == met
            if nullable:
                return f"{name} is not null" if there else f"{name} is null"
            return f"{name} >= 0" if there else f"{name} < 0"
        match asked.type:
            case "prompt":
                rows = self._rows("prompts", [item_id("prompt", text) for text in values])
                return self._in(name, rows, met, nullable=False)
            case "boolean":
                return self._either([self._compared(name, "==", value, met) for value in values], met)
            case "string" | "time":
                return self._texts(asked, name, met)
            case "integer":
                return self._integers(asked, name, met)
            case _:
                if asked.operator in ("eq", "in"):
                    return self._either([self._compared(name, "==", float(value), met) for value in values], met)
                return self._compared(name, _SIGNS[asked.operator], float(values[0]), met)

    def _texts(self, asked: Condition, name: str, met: bool) -> str:
        begins = asked.operator == "prefix" or asked.type == "time"
        if asked.operator in ("eq", "in", "prefix"):
            if not begins:
                return self._in(name, asked.values, met, nullable=True)
            spans = [
                self._both([self._compared(name, ">=", v, met), self._compared(name, "<", v + _LAST, met)], met)
                for v in asked.values
            ]
            return self._either(spans, met)
        [value] = asked.values
        if begins and asked.operator in ("gt", "lte"):  # what begins with a time belongs to it
            return self._compared(name, ">=" if asked.operator == "gt" else "<", value + _LAST, met)
        return self._compared(name, _SIGNS[asked.operator], value, met)

    def _integers(self, asked: Condition, name: str, met: bool) -> str:
        if asked.operator in ("eq", "in"):
            whole = [int(v) for v in asked.values if float(v).is_integer() and -_INTEGERS < int(v) < _INTEGERS]
            return self._in(name, whole, met, nullable=True)
        [value] = asked.values
        # Whole numbers are compared with whole ones: over 2.5 is over 2, and at least 2.5 is at least 3.
        whole_value = math.ceil(value) if asked.operator in ("gte", "lt") else math.floor(value)
        if not -_INTEGERS < whole_value < _INTEGERS:
            everything = (whole_value < 0) == (asked.operator in ("gt", "gte"))
            there = f"{name} is not null" if met else f"{name} is null"
            return there if everything else (_NONE if met else ALL_OF)
        return self._compared(name, _SIGNS[asked.operator], whole_value, met)

    def _in(self, name: str, values: Sequence[int | str], met: bool, *, nullable: bool) -> str:
        if not values:
            return _NONE if met else ALL_OF
        said = f"{name} {'in' if met else 'not in'} {literal(list(values))}"
        return said if met or not nullable else f"{name} is null or {said}"

    def _compared(self, name: str, sign: str, value: bool | float | str, met: bool) -> str:
        if met:
            return f"{name} {sign} {literal(value)}"
        return f"({name} is null or {name} {_TURNED[sign]} {literal(value)})"

    def _either(self, parts: Sequence[str], met: bool) -> str:
        if not parts:
            return _NONE if met else ALL_OF
        return (" or " if met else " and ").join(f"({part})" for part in parts)

    def _both(self, parts: Sequence[str], met: bool) -> str:
        return (" and " if met else " or ").join(f"({part})" for part in parts)


_SIGNS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
