"""Filters resolved against a collection's fields: every condition names a field that exists, with values of its type.

`row_filter` evaluates them over columns, `engines.milvus.expressions` writes them for Milvus.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Protocol

from promptsearch.errors import ParameterError
from promptsearch.filtering.filters import ID, Filter
from promptsearch.storage.fields import PROMPT, Field, Type

_LARGEST = 1e300


class FieldCatalog(Protocol):
    """The fields that there are, by name."""

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> Field: ...

    def __iter__(self) -> Any: ...


@dataclass(frozen=True)
class Condition:
    """`values`: bool, int, float or str, as `type` says; of `exists` one bool. Only `in` may have none, or many."""

    field: str
    type: Type | Literal["id"]
    operator: str
    values: Sequence[Any]


@dataclass(frozen=True)
class And:
    """All of these are met."""

    parts: Sequence[Node]


@dataclass(frozen=True)
class Or:
    """One of these is met, or more."""

    parts: Sequence[Node]


@dataclass(frozen=True)
class Not:
    part: Node


Node = Condition | And | Or | Not


def resolve(filter: Filter, fields: FieldCatalog) -> Node:
    """Raises ParameterError for a field that is not there, and for a value or operator that does not suit its type."""
    return _all(json.loads(filter.json), fields)


def _all(data: Mapping[str, Any], fields: FieldCatalog) -> Node:
    return _one_or(And, (_one(name, value, fields) for name, value in data.items()))


def _one(name: str, value: Any, fields: FieldCatalog) -> Node:
    if name in ("and", "or"):
        return _one_or(And if name == "and" else Or, (_all(part, fields) for part in value))
    if name == "not":
        return Not(_all(value, fields))
    if not isinstance(value, dict):
        value = {"in" if isinstance(value, list) else "eq": value}
    return _one_or(And, (_condition(name, operator, operand, fields) for operator, operand in value.items()))


def _one_or(several: type[And | Or], parts: Iterable[Node]) -> Node:
    every = tuple(parts)
    return every[0] if len(every) == 1 else several(every)


def _condition(name: str, operator: str, operand: Any, fields: FieldCatalog) -> Condition:
    values: Sequence[Any] = operand if operator == "in" else [operand]
    if name == ID:
        if operator not in ("eq", "in"):
            raise ParameterError(f"`{operator}` does not apply to ids: name them")
        return Condition(name, "id", operator, [str(value) for value in values])
    if name not in fields:
        near = get_close_matches(name, [field.name for field in fields], 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(f.name for f in fields)}"
        raise ParameterError(f"there is no field {name!r}; {hint}")
    type = fields[name].type
    if operator == "exists":
        return Condition(name, type, operator, [_boolean(name, operand)])
    match type:
        case "prompt":
            if operator not in ("eq", "in"):
                raise ParameterError(f"`{operator}` does not apply to {PROMPT}: find words in it with mode=keyword")
            values = [str(value) for value in values]
        case "string" | "time":
            values = [str(value) for value in values]
        case "boolean":
            if operator not in ("eq", "in"):
                raise ParameterError(f"{name} is true or false: `{operator}` does not apply")
            values = [_boolean(name, value) for value in values]
        case _:
            values = [_number(name, value) for value in values]
            if operator == "prefix":
                raise ParameterError(f"{name} is a number: `prefix` does not apply")
    return Condition(name, type, operator, values)


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
