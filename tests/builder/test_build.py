"""Test the steps of a build, run from a plan without a command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder import build
from builder.plan import BuildPlan, EmbedPlan, IndexPlan
from builder.versions.versions import is_whole
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BuildError
from promptsearch.storage.manifest import current_version
from tests.support import source
from tests.support.drawing import as_bytes, picture


def test_a_plan_is_built_step_by_step(vit_bundle: Bundle, source_folder: Path, tmp_path: Path) -> None:
    embed = EmbedPlan("manifest", source_folder, vit_bundle.folder)
    plan = BuildPlan(tmp_path / "c", embed, IndexPlan(recall=0.5), keep=0)
    assert build.embed_source(plan).counts == source.COUNTS
    manifest = build.index_staged(plan)
    assert manifest.images is not None
    assert manifest.images.recall_target == 0.5
    first = build.publish_staged(plan)
    assert current_version(plan.collection).name == first.version

    build.embed_source(plan)
    build.index_staged(plan)
    second = build.publish_staged(plan)
    assert [path.name for path in (plan.collection / "versions").iterdir()] == [second.version]


def test_a_partial_build_can_be_published(vit_bundle: Bundle, tmp_path: Path) -> None:
    for number in range(80):
        (tmp_path / f"{number:02}.png").write_bytes(as_bytes(picture(number, 40, 30)))
    plan = BuildPlan(tmp_path / "indices" / "c", EmbedPlan("folder", tmp_path, vit_bundle.folder))
    images = []
    while not is_whole(plan.collection):
        build.embed_source(plan, enough=lambda stats: stats.encoded >= 32)
        build.index_staged(plan)
        images.append(build.publish_staged(plan).counts["images"])
        assert len(images) < 10
    assert images[-1] == 80
    assert len(images) > 2
    assert images == sorted(set(images))
    manifest = build.embed_source(plan)
    assert manifest.build["encoded"]["images"] == 0
    assert build.discard_unchanged(plan) is not None


def test_bounds_of_the_plan_reach_the_index(vit_bundle: Bundle, source_folder: Path, tmp_path: Path) -> None:
    plan = BuildPlan(tmp_path / "c", EmbedPlan("manifest", source_folder, vit_bundle.folder))
    build.embed_source(plan)
    with pytest.raises(BuildError, match="allow at least --max-memory"):
        build.index_staged(replace(plan, index=IndexPlan(max_memory=1)))
