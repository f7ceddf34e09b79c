"""The parameters of a search, which Python, the command line and HTTP take from one declaration."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

import PIL.Image
import pytest

from promptsearch.cli import parser
from promptsearch.client.arguments import Arguments
from promptsearch.errors import ParameterError
from promptsearch.search.options import OPTIONS, Mode, Options
from promptsearch.search.parameters import Meaning, declared_by
from promptsearch.search.query import PARAMETERS
from service.api.json_query import MAX_LIMIT, JsonQuery


@dataclass(frozen=True)
class Declaration:
    """Two parameters, and a field that is none."""

    size: Annotated[int | None, Meaning("How large.", least=1, greatest=2000)] = 7
    side: Annotated[Literal["left", "right"] | None, Meaning("Which side.")] = None
    other: str = ""


def test_parameters_are_read_from_a_declaration() -> None:
    declared = declared_by(Declaration)
    assert [*declared] == ["size", "side"]
    size, side = declared.values()
    assert (size.types, size.choices, size.default) == ((int, type(None)), (), 7)
    assert size.meaning.description == "How large."
    assert (side.choices, side.default) == (("left", "right"), None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "size must be from 1 to 2,000, got 0"),
        ({"size": 2001}, "size must be from 1 to 2,000, got 2,001"),
        ({"size": float("nan")}, "size must be from 1 to 2,000, got nan"),
        ({"side": "top"}, "side must be one of left, right, got 'top'"),
    ],
)
def test_other_values_are_errors(values: dict[str, Any], message: str) -> None:
    [(name, value)] = values.items()
    parameter = declared_by(Declaration)[name]
    for allowed in (None, 1, 2000) if name == "size" else (None, "left", "right"):
        parameter.check(allowed)
    with pytest.raises(ParameterError) as caught:
        parameter.check(value)
    assert str(caught.value) == message


def test_every_parameter_is_described() -> None:
    for name, parameter in PARAMETERS.items():
        assert parameter.name == name
        assert parameter.meaning.description.endswith(".")


def test_the_arguments_in_python_are_the_declared_ones() -> None:
    hints = get_type_hints(Arguments, localns={"Mode": Mode, "Image": PIL.Image})
    assert hints.keys() - {"k"} == PARAMETERS.keys() - {"q", "collection"}, "k is the old name of limit"
    same = OPTIONS.keys() - {"filter"} | {"limit", "include", "explain", "cursor"}
    assert {name: hints[name] for name in same} == {name: PARAMETERS[name].type for name in same}


def test_the_command_line_has_the_declared_parameters() -> None:
    [commands] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    options = {action.dest: action for action in commands.choices["search"]._actions}
    missing = PARAMETERS.keys() - options.keys()
    assert missing == {"terms", "include", "explain"}, "these are for programs"
    for name in OPTIONS.keys() - {"filter"}:
        assert tuple(options[name].choices or ()) == PARAMETERS[name].choices


def test_http_has_the_declared_parameters() -> None:
    assert JsonQuery.model_fields.keys() == PARAMETERS.keys()
    query = JsonQuery.model_validate({})
    assert query.options(None) == Options()
    for name, field in JsonQuery.model_fields.items():
        assert (field.description or "").startswith(PARAMETERS[name].meaning.description)
    schema = JsonQuery.model_json_schema()["properties"]
    assert (schema["limit"]["minimum"], schema["limit"]["maximum"]) == (PARAMETERS["limit"].meaning.least, MAX_LIMIT)
    assert schema["diversity"]["maximum"] == PARAMETERS["diversity"].meaning.greatest
