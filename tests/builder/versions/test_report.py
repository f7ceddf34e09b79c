"""Descriptions of collections, versions and indices for people."""

from __future__ import annotations

from pathlib import Path

from builder.versions.report import describe_counts, describe_index, describe_version, list_versions
from builder.versions.versions import versions
from promptsearch.storage.manifest import IndexInfo, Manifest, current_version
from tests.support.vectors import build, random_vectors


def test_versions_are_listed_newest_first(tmp_path: Path) -> None:
    vectors = random_vectors(3, 4)
    for _ in range(2):
        build(tmp_path / "c", vectors, None)
    old, current = [version.name for version in versions(tmp_path / "c")]
    name, newest, oldest = list_versions(tmp_path / "c")
    assert name == "c"
    assert newest.startswith(f" * {current}  ")
    assert oldest.startswith(f"   {old}  ")
    assert newest.endswith(describe_counts(Manifest.read(current_version(tmp_path / "c"))))


def test_hidden_items_of_other_versions_are_named(tmp_path: Path) -> None:
    build(tmp_path / "c", random_vectors(2, 4), None)
    (tmp_path / "c" / "hidden").write_text("gone\n")
    described = list(describe_version(tmp_path / "c"))
    assert described[0].startswith(f"c version {current_version(tmp_path / 'c').name}, built ")
    assert described[-2:] == [
        "  1 ids hidden, 0 old versions kept",
        "    gone is not in this version; it stays hidden if it comes back",
    ]


def test_an_index_that_missed_its_target_is_marked() -> None:
    reached = IndexInfo("Flat", 5, True, None, {"images": 1.0}, recall_target=0.98)
    assert describe_index("images", reached) == "5 images as Flat: recall@10 1.000 for images"
    missed = IndexInfo("IVF16,Flat", 5, False, 3, {"texts": 0.5}, candidates=20, recall_target=0.98)
    assert describe_index("prompts", missed) == (
        "5 prompts as IVF16,Flat (3 lists probed, 20 candidates scored): recall@10 0.500 for texts; "
        "THE TARGET OF 0.98 WAS NOT REACHED: allow more --max-memory"
    )
