"""Descriptions, types, bounds and defaults of the parameters of a search, read from the dataclasses that declare them.

Python's arguments, the command line's options, HTTP's parameters and the page's URL follow them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from promptsearch.errors import ParameterError

DEFAULT_LIMIT = 20  # results on a page


@dataclass(frozen=True)
class Meaning:
    """The description of a parameter, a sentence, and the least and greatest number allowed."""

    description: str
    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True)
class Parameter:
    """A declared parameter."""

    name: str
    type: Any
    default: Any
    meaning: Meaning

    @property
    def types(self) -> tuple[Any, ...]:
        """Return the types that a value may have, such as (float, NoneType)."""
        return get_args(self.type) if get_origin(self.type) in (Union, UnionType) else (self.type,)

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Return the values of a Literal; () if the parameter may have others."""
        return tuple(value for part in self.types if get_origin(part) is Literal for value in get_args(part))

    def check(self, value: Any) -> None:
        """Raise ParameterError for a value outside of the choices or bounds."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            one_of = "one of " if len(self.choices) > 1 else ""
            raise ParameterError(f"{self.name} must be {one_of}{', '.join(self.choices)}, got {value!r}")
        least, greatest = self.meaning.least, self.meaning.greatest
        if least is not None and greatest is not None and not least <= value <= greatest:
            raise ParameterError(f"{self.name} must be from {least:,} to {greatest:,}, got {value:,}")


def declared_by(declaration: type) -> dict[str, Parameter]:
    """Return the fields of a dataclass that are annotated with a Meaning, by name."""
    hints = get_type_hints(declaration, include_extras=True)
    parameters = {}
    for field in fields(declaration):
        if get_origin(hints[field.name]) is Annotated:
            kind, meaning = get_args(hints[field.name])
            parameters[field.name] = Parameter(field.name, kind, field.default, meaning)
    return parameters
