"""The fields that are written for a version's items: their types, their summaries, and keys that cannot be fields."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import builder.indexing.fields
from builder.indexing.fields import write_fields
from builder.versions.staging import staging_folder
from promptsearch.storage.fields import FieldColumns
from tests.support.vectors import random_vectors, stage

COUNT = 6
QUOTED = 'a "quoted" key'


def columns(folder: Path, extras: Mapping[int, Mapping[str, Any]]) -> FieldColumns:
    """Stage images with these further metadata, write their fields and open them."""
    vectors = random_vectors(COUNT, 4)
    stage(folder / "c", vectors, None, describe=lambda number: ({"seed": number}, extras.get(number, {})))
    write_fields(staging_folder(folder / "c"))
    return FieldColumns(staging_folder(folder / "c"), COUNT)


def test_types_follow_from_the_values(tmp_path: Path) -> None:
    fields = columns(
        tmp_path,
        {
            0: {"whole": 3, "half": 0.5, "flag": True, "mixed": 3, "style": "ink", "list": [1], "huge": 2**70},
            1: {"whole": -2, "half": 2, "flag": False, "mixed": "three", "style": "oil", "list": {"a": 1}},
        },
    )
    types = {field.name: field.type for field in fields}
    assert {name: types.get(name) for name in ("whole", "half", "flag", "mixed", "style", "huge", "list")} == {
        "whole": "integer", "half": "number", "flag": "boolean", "mixed": "string", "style": "string",
        "huge": "number", "list": None,
    }  # fmt: skip
    fields.close()


def test_a_summary_has_the_range_and_the_most_frequent_values(tmp_path: Path) -> None:
    fields = columns(tmp_path, {number: {"steps_of": 10 * (number % 2), "style": "ink"} for number in range(5)})
    by_name = {field.name: field for field in fields}
    steps = by_name["steps_of"]
    assert (steps.count, steps.distinct, steps.least, steps.greatest) == (5, 2, 0, 10)
    assert [tuple(value) for value in steps.values] == [(0, 3), (10, 2)]
    assert (by_name["style"].least, by_name["style"].distinct) == (None, 1)
    assert not by_name["seed"].values, "values that are all different are not listed"
    fields.close()


def test_a_key_with_the_name_of_a_column_is_renamed(tmp_path: Path) -> None:
    fields = columns(tmp_path, {0: {"seed": "words", "id": "x", "style": "ink"}})
    assert {"seed", "extra.seed", "extra.id", "style"} <= {field.name for field in fields}
    fields.close()


def test_rare_and_unreadable_keys_are_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(builder.indexing.fields, "MOST_FIELDS", 2)
    with caplog.at_level(logging.WARNING):
        fields = columns(
            tmp_path, {0: {"common": 1, 'a "quoted" key': 1, "rare": 1}, 1: {"common": 2, 'a "quoted" key': 2}}
        )
    names = {field.name for field in fields}
    assert "common" in names
    assert not {"rare", QUOTED} & names
    assert "1 rare fields cannot be filtered by, rare among them" in caplog.text
    assert "cannot be filtered by" in caplog.messages[-1]
    fields.close()
