"""The commands that build: their output, and their errors in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.__main__ import main
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.image_io import FORMATS
from promptsearch.search.collection import Collection
from tests.builder.cli.running import fails
from tests.support import source


def test_build_embeds_indexes_and_publishes(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    main(["build", "manifest", str(source_folder), "--model", str(vit_bundle.folder), "--collection", "c",
          "--indices", str(tmp_path)])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("embedded 4 prompts, 6 images (3 with a vector) in ")
    assert lines[1] == "  5 rows or pictures could not be read; see quarantine.csv"
    assert lines[2] == "indexed 3 images as Flat: recall@10 1.000 for images, 1.000 for texts"
    assert lines[3] == "indexed 4 prompts as Flat: recall@10 1.000 for images, 1.000 for texts"
    assert lines[4].startswith("published c version 2")
    collection = Collection.open(tmp_path / "c")
    assert collection.manifest.counts == source.COUNTS
    collection.close()
    quarantine = lines.index(f"  5 in quarantine, {collection.folder / 'quarantine.csv'} names each:")
    assert sorted(lines[quarantine + 1 : quarantine + 6]) == [
        "    1: image '../up.png' leaves the pictures' folder",
        "    1: neither image nor prompt",
        "    1: no such file (.png)",
        "    1: the picture is damaged (.png)",
        f"    1: this is not a picture that can be read; readable are {', '.join(FORMATS)} (.png)",
    ]
    assert (collection.folder / "quarantine.csv").is_file()

    main(["verify", "c", "--indices", str(tmp_path)])
    built = f"all {len(collection.manifest.files)} files are intact, 4 prompts, 6 images"
    assert built in capsys.readouterr().out
    (collection.folder / "prompts.faiss").write_bytes(b"x")
    assert "prompts.faiss is damaged" in fails(capsys, "verify", "c", "--indices", tmp_path)


def test_the_steps_can_be_taken_one_by_one_and_in_order_only(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    where = ["--collection", "c", "--indices", str(tmp_path)]
    assert "nothing is staged for c" in fails(capsys, "index", *where)
    assert "nothing is staged for c" in fails(capsys, "publish", *where)
    main(["embed", "manifest", str(source_folder), "--model", str(vit_bundle.folder), *where])
    capsys.readouterr()
    assert "run `python -m builder index` first" in fails(capsys, "publish", *where)
    main(["index", *where])
    main(["publish", *where])
    collection = Collection.open(tmp_path / "c")
    assert collection.manifest.build["engine"] == "onnx"
    collection.close()


def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    model = ["--model", vit_bundle.folder]
    where = ["--collection", "c", "--indices", tmp_path]
    assert "is not a model bundle" in fails(capsys, "build", "manifest", source_folder, "--model", tmp_path, *where)
    assert "does not exist" in fails(capsys, "build", "manifest", tmp_path / "missing", *model, *where)
    assert "a folder with manifest.csv, got" in fails(capsys, "build", "manifest", tmp_path, *model, *where)
    assert "is not a folder" in fails(
        capsys, "build", "manifest", source_folder, *model, *where, "--images", source_folder / "a.png"
    )
    assert "has no column raw_data" in fails(
        capsys, "build", "open-prompts", source_folder / "manifest.csv", *model, *where
    )
    assert "is not a published collection" in fails(capsys, "verify", "c", "--indices", tmp_path)
    (tmp_path / "file").touch()
    under_a_file = ["--collection", "c", "--indices", tmp_path / "file"]
    assert "is not a folder and cannot be created" in fails(
        capsys, "build", "manifest", source_folder, *model, *under_a_file
    )


@pytest.mark.parametrize("name", ["", ".", "..", "../c", "a/b", "/c", ".hidden"])
def test_a_collections_name_is_that_of_a_folder(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path, name: str
) -> None:
    where = ["--collection", name, "--indices", tmp_path / "indices"]
    error = fails(capsys, "build", "manifest", source_folder, "--model", vit_bundle.folder, *where)
    assert "a collection's name is that of a folder in" in error
    assert list(tmp_path.iterdir()) == []
