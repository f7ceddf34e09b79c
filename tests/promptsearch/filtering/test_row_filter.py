"""Rows that meet a filter, on files and in Milvus; the reference is plain Python over the metadata of each image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptsearch.filtering.filters import Filter
from promptsearch.search.collection import Collection
from promptsearch.storage.items import item_id
from tests.support.vectors import ENGINES, build, filtered_by, opened, random_vectors

IMAGES, PROMPTS = 120, 30
SAMPLERS = ("k_lms", "ddim", "k_euler", "Ärger")
STARTS = ("2023-05-01T10:00:00Z", "2023-05-02T00:00:00Z", "2023-06-01T00:00:00Z", "2024-01-01T00:00:00Z")


def described(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    chosen = np.random.default_rng(number)
    settings: dict[str, Any] = {"seed": number * 2**55}
    if chosen.random() < 0.8:
        settings |= {"sampler": str(chosen.choice(SAMPLERS)), "steps": int(chosen.integers(10, 60))}
    if chosen.random() < 0.7:
        settings |= {"cfg_scale": float(chosen.choice([5, 7, 7.5, 12])), "created": str(chosen.choice(STARTS))}
    extra = {"nsfw": bool(chosen.random() < 0.3), "score": float(chosen.random()), "tags": ["x"], "width": "wide"}
    if number % 3:
        extra["mixed"] = number if number % 2 else f"text {number}"
    return settings, extra


@pytest.fixture(scope="module", params=ENGINES)
def collection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    folder = build(
        tmp_path_factory.mktemp("indices") / "filtered",
        random_vectors(IMAGES, 8),
        random_vectors(PROMPTS, 8, seed=1),
        without_vector=3,
        describe=described,
    )
    with opened(folder, request.param) as collection:
        yield collection


def values(number: int) -> Mapping[str, Any]:
    settings, extra = described(number)
    others = {key: value for key, value in extra.items() if key not in ("tags", "width")}
    if "mixed" in others:
        others["mixed"] = str(others["mixed"])
    return {**settings, **others, "extra.width": "wide", "source": f"{number}.png"}


def rows(collection: Collection, filter: Any) -> list[int]:
    return np.flatnonzero(filtered_by(Filter.parse(filter), collection)).tolist()


def expected(meets: Callable[[Mapping[str, Any]], bool]) -> list[int]:
    return [number for number in range(IMAGES + 3) if meets(values(number))]


CASES: dict[str, tuple[Any, Callable[[Mapping[str, Any]], bool]]] = {
    "nothing": ({}, lambda of: True),
    "equal": ({"sampler": "ddim"}, lambda of: of.get("sampler") == "ddim"),
    "equal outside ASCII": ({"sampler": "Ärger"}, lambda of: of.get("sampler") == "Ärger"),
    "equal to none": ({"sampler": "DDIM"}, lambda of: False),
    "one of": ({"sampler": ["ddim", "k_lms", "?"]}, lambda of: of.get("sampler") in ("ddim", "k_lms")),
    "one of none": ({"sampler": []}, lambda of: False),
    "number": ({"steps": 20}, lambda of: of.get("steps") == 20),
    "number as text": ({"steps": "20"}, lambda of: of.get("steps") == 20),
    "number as fraction": ({"steps": 20.5}, lambda of: False),
    "numbers": ({"cfg_scale": [7, 7.5]}, lambda of: of.get("cfg_scale") in (7, 7.5)),
    "range": ({"steps": {"gte": 20, "lt": 40}}, lambda of: 20 <= of.get("steps", 0) < 40),
    "range of fractions": ({"cfg_scale": {"gt": 5, "lte": "7.5"}}, lambda of: 5 < of.get("cfg_scale", 0) <= 7.5),
    "less, without those that have none": ({"steps": {"lt": 30}}, lambda of: of.get("steps", 99) < 30),
    "64 bits": ({"seed": 101 * 2**55}, lambda of: of["seed"] == 101 * 2**55),
    "beside 64 bits": ({"seed": 101 * 2**55 + 1}, lambda of: False),
    "more than 64 bits": ({"seed": {"lt": 2**70}}, lambda of: True),
    "there": ({"created": {"exists": True}}, lambda of: "created" in of),
    "not there": ({"created": {"exists": False}}, lambda of: "created" not in of),
    "a month": ({"created": "2023-05"}, lambda of: of.get("created", "").startswith("2023-05")),
    "up to a day": ({"created": {"lte": "2023-05-02"}}, lambda of: "" < of.get("created", "") < "2023-05-03"),
    "before a day": ({"created": {"lt": "2023-05-02"}}, lambda of: "" < of.get("created", "") < "2023-05-02"),
    "after a month": ({"created": {"gt": "2023-05"}}, lambda of: of.get("created", "") >= "2023-06"),
    "from a moment": ({"created": {"gte": STARTS[1]}}, lambda of: of.get("created", "") >= STARTS[1]),
    "prefix": ({"source": {"prefix": "11"}}, lambda of: of["source"].startswith("11")),
    "text range": ({"sampler": {"gt": "ddim"}}, lambda of: of.get("sampler", "") > "ddim"),
    "text range, equal too": ({"sampler": {"lte": "k_euler"}}, lambda of: "" < of.get("sampler", "") <= "k_euler"),
    "true": ({"nsfw": True}, lambda of: of["nsfw"] is True),
    "false as text": ({"nsfw": "false"}, lambda of: of["nsfw"] is False),
    "mixed": ({"mixed": ["5", "text 4"]}, lambda of: of.get("mixed") in ("5", "text 4")),
    "another's name": ({"extra.width": "wide"}, lambda of: True),
    "and": (
        {"and": [{"steps": {"gte": 30}}, {"sampler": "ddim"}]},
        lambda of: of.get("steps", 0) >= 30 and of.get("sampler") == "ddim",
    ),
    "or": ({"or": [{"steps": 12}, {"nsfw": True}]}, lambda of: of.get("steps") == 12 or of["nsfw"]),
    "not": ({"not": {"sampler": "ddim"}}, lambda of: of.get("sampler") != "ddim"),
    "all at once": (
        {"nsfw": False, "or": [{"sampler": "ddim"}, {"not": {"steps": {"exists": True}}}]},
        lambda of: not of["nsfw"] and (of.get("sampler") == "ddim" or "steps" not in of),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_filter_matches_reference(collection: Collection, case: str) -> None:
    filter, meets = CASES[case]
    assert rows(collection, filter) == expected(meets)


COMPARISONS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq}
conditions = st.one_of(
    st.tuples(st.just("steps"), st.sampled_from([*COMPARISONS]), st.integers(5, 65)),
    st.tuples(st.just("cfg_scale"), st.sampled_from([*COMPARISONS]), st.floats(4, 13)),
    st.tuples(st.just("sampler"), st.sampled_from([*COMPARISONS]), st.sampled_from([*SAMPLERS, "", "z"])),
    st.tuples(st.just("score"), st.sampled_from([*COMPARISONS]), st.floats(0, 1)),
)
trees = st.recursive(
    conditions,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3))
        | st.tuples(st.just("not"), inner)
    ),
    max_leaves=6,
)


def as_json(tree: Any) -> dict[str, Any]:
    if tree[0] in ("and", "or"):
        return {tree[0]: [as_json(part) for part in tree[1]]}
    return {"not": as_json(tree[1])} if tree[0] == "not" else {tree[0]: {tree[1]: tree[2]}}


def meets(tree: Any, of: Mapping[str, Any]) -> bool:
    if tree[0] in ("and", "or"):
        return (all if tree[0] == "and" else any)(meets(part, of) for part in tree[1])
    if tree[0] == "not":
        return not meets(tree[1], of)
    name, comparison, value = tree
    return name in of and COMPARISONS[comparison](of[name], value)


@settings(max_examples=150)
@given(tree=trees)
def test_generated_filter_matches_reference(collection: Collection, tree: Any) -> None:
    assert rows(collection, as_json(tree)) == expected(lambda of: meets(tree, of))


def test_prompts_and_ids_can_be_filtered(collection: Collection) -> None:
    assert rows(collection, {"prompt": "prompt 5"}) == [5]
    assert rows(collection, {"prompt": ["prompt 5", "prompt 29", "none"]}) == [5, *range(29, IMAGES + 3)]
    assert rows(collection, {"prompt": {"exists": False}}) == []
    assert rows(collection, {"image_count": {"gt": 1}}) == [*range(29, IMAGES + 3)]
    assert rows(
        collection, {"id": [item_id("image", "7.png"), "none", "\ud83e".encode("utf-8", "ignore").decode()]}
    ) == [7]


def test_hidden_items_meet_no_condition(collection: Collection) -> None:
    visible = collection.with_hidden({item_id("image", "7.png"), item_id("prompt", "prompt 5")})
    assert rows(visible, {"id": item_id("image", "7.png")}) == []
    assert rows(visible, {"prompt": "prompt 5"}) == []


def test_fields_summarize_their_values(collection: Collection, tmp_path: Path) -> None:
    fields = {field.name: field for field in collection.fields}
    every = [values(number) for number in range(IMAGES + 3)]
    for name, kind in {
        "seed": "integer", "steps": "integer", "cfg_scale": "number", "sampler": "string", "created": "time",
        "nsfw": "boolean", "score": "number", "mixed": "string", "extra.width": "string", "prompt": "prompt",
    }.items():  # fmt: skip
        assert fields[name].type == kind
    for name in ("sampler", "steps", "cfg_scale", "created", "nsfw"):
        held = [of[name] for of in every if name in of]
        assert (fields[name].count, fields[name].distinct) == (len(held), len(set(held)))
        assert all(held.count(value) == count for value, count in fields[name].values)
        counts = [count for _, count in fields[name].values]
        assert counts == sorted(counts, reverse=True)
        if fields[name].type in ("integer", "number", "time"):
            assert (fields[name].least, fields[name].greatest) == (min(held), max(held))
    assert fields["source"].values == []  # each is the only one
