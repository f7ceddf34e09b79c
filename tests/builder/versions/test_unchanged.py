"""A build that has nothing new publishes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder import build
from builder.plan import BuildPlan, EmbedPlan, IndexPlan
from builder.versions.staging import staging_folder
from builder.versions.versions import versions
from promptsearch.encoding.bundle import Bundle
from tests.support import source


@pytest.fixture
def plan(vit_bundle: Bundle, tmp_path: Path) -> BuildPlan:
    """Return a plan whose source is published."""
    plan = BuildPlan(
        tmp_path / "c", EmbedPlan("manifest", source.write(tmp_path / "source"), vit_bundle.folder, allow_removal=True)
    )
    build.embed_source(plan)
    assert build.discard_unchanged(plan) is None, "nothing is published yet"
    build.index_staged(plan)
    build.publish_staged(plan)
    return plan


def test_the_same_source_is_nothing_new(plan: BuildPlan) -> None:
    [version] = versions(plan.collection)
    build.embed_source(plan)
    served = build.discard_unchanged(plan)
    assert served is not None
    assert served.version == version.name
    assert not staging_folder(plan.collection).exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a red fox,1,ink", "a red fox,2,ink"),  # a setting
        ("a red fox,1,ink", "a red dog,1,ink"),  # a prompt
        ("a.png,a red fox", "sub/b.jpg,a red fox"),  # a picture
        ("missing.png", "missed.png"),  # what could not be read
    ],
)
def test_any_difference_is_new(plan: BuildPlan, old: str, new: str) -> None:
    assert plan.embed is not None
    manifest = plan.embed.path / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new, 1), encoding="utf-8")
    build.embed_source(plan)
    assert build.discard_unchanged(plan) is None


def test_another_index_or_text_is_new(plan: BuildPlan) -> None:
    build.embed_source(plan)
    assert build.discard_unchanged(replace(plan, index=IndexPlan(recall=0.9))) is None
    assert plan.embed is not None
    build.embed_source(replace(plan, embed=replace(plan.embed, prompt_text="verbatim")))
    assert build.discard_unchanged(plan) is None
