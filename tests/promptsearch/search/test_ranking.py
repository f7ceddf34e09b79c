"""Rankings of an exact index against brute force over the vectors that it was built from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from promptsearch.engines.file_engine import FileEngine
from promptsearch.engines.stages import untimed
from promptsearch.errors import ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import SCORE, Mode, Options, Search
from promptsearch.search.ranking import RRF_CONSTANT, Ranked, Rankings
from promptsearch.storage.manifest import Kind, Manifest, current_version
from tests.support.vectors import Vectors, build, nearest, random_vectors

IMAGES, PROMPTS, DIM = 400, 90, 8
QUERY = random_vectors(1, DIM, seed=7)[0]


def text(number: int) -> str:
    return f"prompt {number} {'fox' if number % 3 == 0 else 'dog'}{' snow' if number % 2 else ''}"


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(IMAGES, DIM)


@pytest.fixture(scope="module")
def prompts() -> Vectors:
    return random_vectors(PROMPTS, DIM, seed=1)


@pytest.fixture(scope="module")
def engine(images: Vectors, prompts: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileEngine]:
    folder = current_version(build(tmp_path_factory.mktemp("indices") / "ranked", images, prompts, texts=text))
    engine = FileEngine(folder, Manifest.read(folder))
    yield engine
    engine.close()


def tiers(engine: FileEngine, search: Search, kind: Kind | None = None) -> list[Ranked]:
    return list(Rankings(engine).of(search, kind or search.kind, untimed))


def joined(ranked: list[Ranked]) -> list[int]:
    return [row for tier in ranked for row in tier.rows.tolist()]


def test_tiers_together_are_all_rows_best_first(engine: FileEngine, images: Vectors) -> None:
    ranked = tiers(engine, Search("images", QUERY))
    rows, scores = nearest(images, QUERY, IMAGES)
    assert [len(tier) for tier in ranked] == [50, IMAGES - 50]  # the first 50 of 200 candidates, then the rest
    assert joined(ranked) == rows
    np.testing.assert_allclose(np.concatenate([tier.scores for tier in ranked]), scores, atol=1e-6)


def test_few_rows_are_one_tier(engine: FileEngine, prompts: Vectors, images: Vectors) -> None:
    [whole] = tiers(engine, Search("prompts", QUERY))
    assert whole.rows.tolist() == nearest(prompts, QUERY, PROMPTS)[0]
    [filtered] = tiers(engine, Search("images", QUERY, Options(filter=Filter.parse({"seed": {"lt": 30}}))))
    assert filtered.rows.tolist() == nearest(images[:30], QUERY, 30)[0]


def test_without_a_query_rows_are_listed_without_scores(engine: FileEngine) -> None:
    [by_row] = tiers(engine, Search("images", None, Options(filter=Filter.parse({"seed": {"gte": 390}}))))
    assert by_row.rows.tolist() == list(range(390, IMAGES))
    assert np.isnan(by_row.scores).all()
    [sorted_by_field] = tiers(engine, Search("images", None, Options(sort="-seed")))
    assert sorted_by_field.rows.tolist() == list(range(IMAGES))[::-1]


def test_keyword_mode_has_only_rows_with_all_words(engine: FileEngine, prompts: Vectors) -> None:
    [ranked] = tiers(engine, Search("prompts", QUERY, Options(mode="keyword"), "fox snow"))
    assert sorted(ranked.rows.tolist()) == [row for row in range(PROMPTS) if {"fox", "snow"} <= {*text(row).split()}]
    np.testing.assert_allclose(ranked.scores, prompts[ranked.rows] @ QUERY, atol=1e-6)


def test_hybrid_mode_is_reciprocal_rank_fusion(engine: FileEngine, prompts: Vectors) -> None:
    by_words = joined(tiers(engine, Search("prompts", QUERY, Options(mode="keyword"), "fox")))
    by_meaning = nearest(prompts, QUERY, PROMPTS)[0]
    weights = {
        row: sum(1 / (RRF_CONSTANT + 1 + order.index(row)) for order in (by_words, by_meaning) if row in order)
        for row in by_meaning
    }
    [fused] = tiers(engine, Search("prompts", QUERY, Options(mode="hybrid"), "fox"))
    assert fused.rows.tolist() == sorted(weights, key=lambda row: (-weights[row], row))
    np.testing.assert_allclose(fused.scores, prompts[fused.rows] @ QUERY, atol=1e-6)


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_unknown_sort_field_is_an_error(engine: FileEngine, mode: Mode) -> None:
    search = Search("images", QUERY, Options(mode=mode, sort="sede"), "fox")
    with pytest.raises(ParameterError, match="there is no field 'sede' to sort by; sort by score, prompt"):
        tiers(engine, search)
    assert joined(tiers(engine, Search("images", QUERY, Options(mode=mode, sort=SCORE), "fox")))


def test_rankings_are_joined_and_cut() -> None:
    first = Ranked(np.asarray([3, 1]), np.asarray([0.9, 0.8], dtype=np.float32))
    both = first.concat(Ranked(np.asarray([2]), np.asarray([0.1], dtype=np.float32)))
    assert both.rows.tolist() == [3, 1, 2]
    assert both.first(2).rows.tolist() == [3, 1]
    assert len(both.first(None)) == 3
