"""Filters resolved against the fields of a collection: trees of conditions on existing fields, with typed values.

`row_filter` evaluates them over columns; `engines.milvus.expressions` writes them for Milvus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Protocol

from promptsearch.errors import ParameterError, excerpt
from promptsearch.filtering.filters import ID, Filter
from promptsearch.storage.fields import Field, Type

_LARGEST = 1e300


class FieldCatalog(Protocol):
    """The fields of a collection, by name."""

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> Field: ...

    def __iter__(self) -> Iterator[Field]: ...


@dataclass(frozen=True)
class Condition:
    """One condition on a field.

    `values` are bool, int, float or str, by `type`; one bool for `exists`. Only `in` may have none or several.
    """

    field: str
    type: Type | Literal["id"]
    operator: str
    values: Sequence[Any]


@dataclass(frozen=True)
class And:
    """All parts must hold."""

    parts: Sequence[Node]


@dataclass(frozen=True)
class Or:
    """At least one part must hold."""

    parts: Sequence[Node]


@dataclass(frozen=True)
class Not:
    """The part must not hold."""

    part: Node


Node = Condition | And | Or | Not


def resolve(filter: Filter, fields: FieldCatalog) -> Node:
    """Return the filter as a tree of conditions.

    Raises ParameterError for an unknown field, and for a value or operator that does not fit the field's type.
    """
    return _object(filter.data, fields)


def _object(data: Mapping[str, Any], fields: FieldCatalog) -> Node:
    return _join(And, (_entry(name, value, fields) for name, value in data.items()))


def _entry(name: str, value: Any, fields: FieldCatalog) -> Node:
    if name in ("and", "or"):
        return _join(And if name == "and" else Or, (_object(part, fields) for part in value))
    if name == "not":
        return Not(_object(value, fields))
    if not isinstance(value, dict):
        value = {"in" if isinstance(value, list) else "eq": value}
    return _join(And, (_condition(name, operator, operand, fields) for operator, operand in value.items()))


def _join(operator: type[And | Or], parts: Iterable[Node]) -> Node:
    nodes = tuple(parts)
    return nodes[0] if len(nodes) == 1 else operator(nodes)


def _condition(name: str, operator: str, operand: Any, fields: FieldCatalog) -> Condition:
    values: Sequence[Any] = operand if operator == "in" else [operand]
    if name == ID:
        _require_equality(name, operator, ": use eq or in")
        return Condition(name, "id", operator, [str(value) for value in values])
    if name not in fields:
        raise ParameterError(_unknown_field(name, fields))
    type = fields[name].type
    if operator == "exists":
        return Condition(name, type, operator, [_boolean(name, operand)])
    match type:
        case "prompt":
            _require_equality(name, operator, ": use eq, in or exists, or find its words with mode=keyword")
            values = [str(value) for value in values]
        case "string" | "time":
            values = [str(value) for value in values]
        case "boolean":
            _require_equality(name, operator, ", a boolean: use eq, in or exists")
            values = [_boolean(name, value) for value in values]
        case _:
            values = [_number(name, value) for value in values]
            if operator == "prefix":
                raise ParameterError(
                    f"`prefix` does not apply to {name}, a number: use eq, in, gt, gte, lt, lte or exists"
                )
    return Condition(name, type, operator, values)


def _require_equality(name: str, operator: str, hint: str) -> None:
    if operator not in ("eq", "in"):
        raise ParameterError(f"`{operator}` does not apply to {name}{hint}")


def _unknown_field(name: str, fields: FieldCatalog) -> str:
    names = [field.name for field in fields]
    similar = get_close_matches(name, names, 1)
    hint = f"did you mean {similar[0]}?" if similar else f"the fields are {', '.join(names)}"
    return f"there is no field {excerpt(name)!r}; {hint}"


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, str):  # as in a URL
        for kind in (int, float):
            try:
                value = kind(value)
                break
            except ValueError:
                continue
    if isinstance(value, str | bool) or not -_LARGEST <= value <= _LARGEST:  # the comparison is False for NaN
        raise ParameterError(f"{name} must be a number, got {excerpt(str(value))!r}")
    number: int | float = value
    return number


def _boolean(name: str, value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ParameterError(f"the condition on {name} must be true or false, got {excerpt(str(value))!r}")
    return str(value).lower() in ("true", "1")
