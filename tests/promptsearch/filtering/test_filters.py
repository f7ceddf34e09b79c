"""The reference is plain Python over what the source said of each picture."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptsearch.errors import ParameterError
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
def test_a_filter_leaves_what_meets_it(collection: Collection, case: str) -> None:
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
        return {tree[0]: [as_json(one) for one in tree[1]]}
    return {"not": as_json(tree[1])} if tree[0] == "not" else {tree[0]: {tree[1]: tree[2]}}


def meets(tree: Any, of: Mapping[str, Any]) -> bool:
    if tree[0] in ("and", "or"):
        return (all if tree[0] == "and" else any)(meets(one, of) for one in tree[1])
    if tree[0] == "not":
        return not meets(tree[1], of)
    name, comparison, value = tree
    return name in of and COMPARISONS[comparison](of[name], value)


@settings(max_examples=150)
@given(tree=trees)
def test_any_filter_leaves_what_meets_it(collection: Collection, tree: Any) -> None:
    assert rows(collection, as_json(tree)) == expected(lambda of: meets(tree, of))


def test_prompts_and_ids_are_fields(collection: Collection) -> None:
    assert rows(collection, {"prompt": "prompt 5"}) == [5]
    assert rows(collection, {"prompt": ["prompt 5", "prompt 29", "none"]}) == [5, *range(29, IMAGES + 3)]
    assert rows(collection, {"prompt": {"exists": False}}) == []
    assert rows(collection, {"image_count": {"gt": 1}}) == [*range(29, IMAGES + 3)]
    assert rows(
        collection, {"id": [item_id("image", "7.png"), "none", "\ud83e".encode("utf-8", "ignore").decode()]}
    ) == [7]


def test_what_is_hidden_meets_no_condition_on_it(collection: Collection) -> None:
    hiding = collection.hiding({item_id("image", "7.png"), item_id("prompt", "prompt 5")})
    assert rows(hiding, {"id": item_id("image", "7.png")}) == []
    assert rows(hiding, {"prompt": "prompt 5"}) == []


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ([], "a filter is a JSON object"),
        ("steps", "a filter is a JSON object"),
        ({"and": {}}, "`and` in a filter takes a list of filters"),
        ({"or": []}, "`or` in a filter takes a list of filters"),
        ({"not": [1]}, "a filter is a JSON object"),
        ({"steps": {}}, "the condition on steps is empty"),
        ({"steps": {"above": 3}}, "'above' is no condition on steps: there are eq, in, gt"),
        ({"steps": None}, "`eq` on steps takes a value"),
        ({"steps": [[1]]}, "`in` on steps takes texts and numbers"),
        ({"steps": {"in": 3}}, "`in` on steps takes a list of at most 1000 values"),
        ({"steps": list(range(1001))}, "`in` on steps takes a list of at most 1000 values"),
        ({"source": {"prefix": 3}}, "`prefix` on source takes a text"),
        ({"and": [{"steps": 1}] * 101}, "a filter has at most 100 conditions"),
        ({"sampler": "\ud83e"}, "half a surrogate pair"),
        ({"stesp": 3}, "there is no field 'stesp'; did you mean steps?"),
        ({"ZZZ": 3}, "there is no field 'ZZZ'; there are prompt, image_count"),
        ({"steps": "many"}, "steps is a number: 'many' is none"),
        ({"steps": True}, "steps is a number: True is none"),
        ({"steps": 10**400}, "steps is a number: "),
        ({"steps": float("nan")}, "steps is a number: nan is none"),
        ({"steps": {"prefix": "2"}}, "steps is a number: `prefix` does not apply"),
        ({"nsfw": "maybe"}, "the condition on nsfw is true or false, not 'maybe'"),
        ({"nsfw": {"gt": 0}}, "nsfw is true or false: `gt` does not apply"),
        ({"prompt": {"prefix": "a"}}, "`prefix` does not apply to prompt: find words in it with mode=keyword"),
        ({"id": {"gt": "a"}}, "`gt` does not apply to ids"),
        ({"tags": "x"}, "there is no field 'tags'"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong(collection: Collection, filter: Any, says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        rows(collection, filter)
    assert says in str(caught.value)


def test_a_deep_filter_is_refused() -> None:
    deep: dict[str, Any] = {"steps": 1}
    for _ in range(16):
        deep = {"not": deep}
    with pytest.raises(ParameterError, match="nested at most 16 deep"):
        Filter.parse(deep)
    with pytest.raises(ParameterError, match="filter is no JSON"):
        Filter.read("{" * 100_000)


def test_fields_tell_what_they_hold(collection: Collection, tmp_path: Path) -> None:
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
