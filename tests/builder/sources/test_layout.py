"""Each kind of source recognizes its layout, and reports another kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.sources import KINDS, open_source
from builder.sources.layout import kind_of
from promptsearch.errors import SourceError

LAYOUTS = {
    "img_emb/img_emb_0.npy": "embeddings",
    "text_emb/text_emb_03.npy": "embeddings",
    "part-000001.zip": "diffusiondb",
    "part-000001/part-000001.json": "diffusiondb",
    "images/part-000001.zip": "diffusiondb",
    "images/part-000001/part-000001.json": "diffusiondb",
    "diffusiondb-large-part-1/part-000001.zip": "diffusiondb",
    "metadata.parquet": "diffusiondb",
    "00000.tar": "img2dataset",
    "00000_stats.json": "img2dataset",
    "manifest.csv": "manifest",
    "a/b.png": None,
    "2024.tar": None,
    "part-1.zip": None,
    "mine/img_emb_0.npy": None,
}


@pytest.mark.parametrize(("name", "kind"), LAYOUTS.items())
def test_a_folders_kind_follows_from_its_files(tmp_path: Path, name: str, kind: str | None) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert kind_of(tmp_path) == kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", "prompt,raw_data\n", "open-prompts"),
        ("a.csv", "image,prompt\n", "manifest"),
        ("a.csv", "name\n", None),
        ("a.csv", "", None),
        ("metadata-large.parquet", "", "diffusiondb"),
        ("part-000001.zip", "", "diffusiondb"),
        ("00000.tar", "", "img2dataset"),
        ("a.png", "", None),
    ],
)
def test_a_files_kind_follows_from_its_name_or_columns(
    tmp_path: Path, name: str, content: str, kind: str | None
) -> None:
    (tmp_path / name).write_text(content)
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize("named", ["folder", "embeddings", "img2dataset", "manifest", "open-prompts"])
def test_a_wrong_kind_raises_an_error_that_names_the_likely_one(tmp_path: Path, named: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "part-000001.zip").touch()
    with pytest.raises(SourceError, match=f"use diffusiondb instead of {named}"):
        open_source(named, tmp_path, None)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
def test_an_empty_folder_raises_an_error_without_a_suggestion(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(kind, tmp_path, None)
    assert "looks like" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_with_a_manifest_may_be_read_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image\n")
    assert open_source("folder", tmp_path, None).kind == "folder"
