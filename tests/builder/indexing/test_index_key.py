"""The choice of an index; test_index_file.py measures the memory that it predicts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.indexing.index_key import EXACT_UP_TO, SMALLER_FROM, choose, fallbacks, lists_for, named, specs
from promptsearch.errors import BuildError

GB, MB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("count", "dim", "budget", "key"),
    [
        (1, 512, GB, "Flat"),
        (EXACT_UP_TO, 512, GB, "Flat"),
        (EXACT_UP_TO + 1, 512, GB, "IVF1024,Flat"),
        (SMALLER_FROM - 1, 512, GB, "IVF1024,Flat"),
        (SMALLER_FROM, 512, GB, "OPQ64_512,IVF1024,PQ64x8"),
        (SMALLER_FROM, 512, 512 * MB, "IVF1024,Flat"),
        (SMALLER_FROM, 512, 250 * MB, "OPQ64_512,IVF256,PQ64x8"),
        (1_000_000, 512, 4 * GB, "OPQ64_512,IVF4096,PQ64x8"),
        (1_000_000, 512, 512 * MB, "OPQ64_512,IVF512,PQ64x8"),
        (10_000_000, 512, 4 * GB, "OPQ64_512,IVF16384,PQ64x8"),
        (10_000_000, 512, 1200 * MB, "OPQ64_512,IVF2048,PQ64x8"),
        (10_000_000, 512, 1000 * MB, "OPQ32_512,IVF2048,PQ32x8"),
        (1_000_000, 100, 200 * MB, "OPQ12_108,IVF1024,PQ12x8"),
    ],
)
def test_the_index_follows_from_count_dimension_and_budget(count: int, dim: int, budget: int, key: str) -> None:
    assert choose(count, dim, budget).key == key


@given(
    count=st.integers(1, 20_000_000), dim=st.sampled_from([1, 4, 32, 100, 512, 1024]), budget=st.integers(1, 16 * GB)
)
def test_the_choice_fits_or_the_error_names_the_least_memory(count: int, dim: int, budget: int) -> None:
    try:
        spec = choose(count, dim, budget)
    except BuildError as error:
        [enough] = re.findall(r"--max-memory (\d+)M", str(error))
        assert int(enough) * MB > budget
        spec = choose(count, dim, int(enough) * MB)
        budget = int(enough) * MB
    assert spec.index_bytes <= spec.peak_bytes <= budget
    assert spec.exact == (spec.key == "Flat") == (spec.lists == 0)
    assert spec.training <= count
    assert spec.training >= 39 * spec.lists  # what FAISS warns below


@pytest.mark.parametrize("count", [1, 79, 80, 10_000, 50_000, 1_000_000, 30_000_000])
def test_lists_are_a_power_of_two_with_enough_to_train_each(count: int) -> None:
    lists = lists_for(count)
    assert lists.bit_count() == 1
    assert lists == 1 or 40 * lists <= count
    assert lists <= 4 * (2 * count) ** 0.5


@pytest.mark.parametrize(
    ("count", "budget", "keys"),
    [
        (EXACT_UP_TO, GB, []),
        (SMALLER_FROM - 1, GB, ["Flat"]),
        (SMALLER_FROM - 1, 400 * MB, []),
        (SMALLER_FROM, GB, ["IVF1024,Flat", "Flat"]),
        (SMALLER_FROM, 400 * MB, []),
        (SMALLER_FROM, 300 * MB, []),
    ],
)
def test_fallbacks_are_better_indices_that_fit(count: int, budget: int, keys: list[str]) -> None:
    assert [spec.key for spec in fallbacks(choose(count, 512, budget), budget)] == keys


@given(count=st.integers(1, 5_000_000), dim=st.sampled_from([1, 4, 32, 100, 512, 1024]))
def test_every_index_that_may_be_chosen_can_be_named(count: int, dim: int) -> None:
    for spec in specs(count, dim):
        assert named(spec.key, count, dim, spec.peak_bytes) == spec


@pytest.mark.parametrize(
    "key", ["", "IVF0,Flat", "IVF512,Flat", "HNSW32", "OPQ8_32,IVF16,PQ4x8", "OPQ5_32,IVF16,PQ5x8"]
)
def test_other_keys_are_refused_with_those_that_can_be_named(key: str) -> None:
    with pytest.raises(BuildError, match=r"expected Flat, IVF<lists>,Flat or .* enough to train 250 lists, got"):
        named(key, 10_000, 32, GB)
    with pytest.raises(BuildError, match=r"--index-key: Flat takes .* more than the 1\.0 MB that --max-memory allows"):
        named("Flat", 10_000, 32, MB)
