"""Columns of fields against the metadata of the images that they were built from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import CollectionError
from promptsearch.storage.fields import FieldColumns, missing_value, present_mask
from promptsearch.storage.manifest import current_version
from tests.support.vectors import build, random_vectors

IMAGES, PROMPTS = 90, 40
SAMPLERS = ("ddim", "k_lms", "Ärger", "k_euler", "k_euler_a")


def described(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    random = np.random.default_rng(number)
    settings: dict[str, Any] = {"seed": int(random.integers(5)) * 2**60}
    if random.random() < 0.7:
        settings |= {"cfg_scale": float(random.integers(4)), "sampler": str(random.choice(SAMPLERS))}
    return settings, {"nsfw": bool(random.random() < 0.5)} if random.random() < 0.5 else {}


def values(name: str) -> list[Any]:
    return [{**settings, **extra}.get(name) for settings, extra in map(described, range(IMAGES))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = random_vectors(PROMPTS, 4, seed=1)
    collection = tmp_path_factory.mktemp("indices") / "fields"
    return current_version(build(collection, random_vectors(IMAGES, 4), prompts, describe=described))


@pytest.fixture(scope="module")
def fields(folder: Path) -> Iterator[FieldColumns]:
    fields = FieldColumns(folder, IMAGES)
    yield fields
    fields.close()


@pytest.mark.parametrize(("name", "dtype"), [("seed", "<i8"), ("cfg_scale", "<f8"), ("nsfw", "|i1")])
def test_column_has_the_values_of_images(fields: FieldColumns, name: str, dtype: str) -> None:
    column = fields.column(name)
    assert column.dtype == np.dtype(dtype)
    expected = [missing_value(column.dtype) if value is None else value for value in values(name)]
    np.testing.assert_array_equal(column, expected)
    assert fields.present(name).tolist() == [value is not None for value in values(name)]


def test_codes_of_texts_sort_as_the_texts(fields: FieldColumns) -> None:
    column, texts = fields.column("sampler"), values("sampler")
    known = sorted({text for text in texts if text is not None}, key=str.encode)
    assert [fields.code("sampler", text) for text in known] == list(range(len(known)))
    assert column.tolist() == [-1 if text is None else known.index(text) for text in texts]
    assert fields.code("sampler", "DDIM") is None


@given(value=st.sampled_from(SAMPLERS) | st.text(max_size=6), after=st.booleans())
def test_first_code_is_a_bound_of_texts(fields: FieldColumns, value: str, after: bool) -> None:
    if "\0" in value or not value.isprintable():
        value = "k_"
    column, texts = fields.column("sampler"), values("sampler")
    bound = fields.first_code("sampler", value, after=after)
    for code, text in zip(column.tolist(), texts, strict=True):
        if text is not None:
            behind = text.encode() > value.encode() and not text.startswith(value)
            assert (code >= bound) == (behind if after else behind or text.startswith(value))


def test_every_image_has_the_row_of_its_prompt(fields: FieldColumns) -> None:
    assert fields.prompts.tolist() == [min(number, PROMPTS - 1) for number in range(IMAGES)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["seed", "cfg_scale", "sampler", "nsfw"])
def test_order_is_by_value_then_row_with_missing_values_last(fields: FieldColumns, name: str, descending: bool) -> None:
    column, present = fields.column(name).tolist(), fields.present(name)
    turn = -1 if descending else 1
    expected = sorted(range(IMAGES), key=lambda row: (not present[row], turn * column[row] if present[row] else 0, row))
    assert fields.order(name, descending).tolist() == expected


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["seed", "cfg_scale", "nsfw"])
def test_prompts_are_ordered_by_their_best_image(fields: FieldColumns, name: str, descending: bool) -> None:
    of_prompt: dict[int, list[Any]] = {row: [] for row in range(PROMPTS)}
    for number, value in enumerate(values(name)):
        if value is not None:
            of_prompt[min(number, PROMPTS - 1)].append(value)
    best, turn = (max, -1) if descending else (min, 1)

    def key(row: int) -> tuple[bool, float, int]:
        return not of_prompt[row], turn * best(of_prompt[row]) if of_prompt[row] else 0, row

    assert fields.prompt_order(name, descending, PROMPTS).tolist() == sorted(range(PROMPTS), key=key)


def test_fields_are_listed_by_name(fields: FieldColumns) -> None:
    names = [field.name for field in fields]
    assert len(fields) == len(names) == len({*names})
    assert {"prompt", "image_count", "seed", "cfg_scale", "sampler", "nsfw", "source"} <= {*names}
    assert "steps" not in fields
    assert fields["seed"].type == "integer"
    with pytest.raises(KeyError):
        _ = fields["steps"]


@pytest.mark.parametrize("dtype", ["<i1", "<i4", "<i8", "<f8"])
def test_missing_value_is_not_present(dtype: str) -> None:
    column = np.asarray([0, 1, missing_value(np.dtype(dtype))], dtype=dtype)
    assert present_mask(column).tolist() == [True, True, False]


def test_columns_of_another_version_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=rf"\({IMAGES},\), expected {IMAGES + 1} values of type prompt"):
        FieldColumns(folder, IMAGES + 1)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "field-0.npy").unlink()
    with pytest.raises(CollectionError, match="the field prompt cannot be opened"):
        FieldColumns(copy, IMAGES)
