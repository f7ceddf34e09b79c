from __future__ import annotations

from pathlib import Path

import pytest

from builder.sources import Item, Rejected, open_source
from builder.sources.picture import FilePicture
from promptsearch.errors import SourceError


def items(path: Path, text: str, images: Path | None = None) -> list[Item | Rejected]:
    (path / "manifest.csv").write_text(text, encoding="utf-8")
    return list(open_source("manifest", path, images).items())


def test_a_row_is_an_item(tmp_path: Path) -> None:
    [item] = items(
        tmp_path,
        "image,prompt,seed,steps,cfg_scale,sampler,model,created,width,height,style,empty\n"
        "sub/a.png, a cat ü ,1,20,7.5,k_lms,sd-1.5,2022-08-09,64,32,noto,\n",
    )
    assert item == Item(
        key="sub/a.png",
        source="sub/a.png",
        prompt="a cat ü",
        picture=FilePicture(tmp_path.resolve(), "sub/a.png"),
        width=64,
        height=32,
        settings={
            "seed": 1, "steps": 20, "cfg_scale": 7.5, "sampler": "k_lms", "model": "sd-1.5",
            "created": "2022-08-09T00:00:00Z",
        },
        extra={"style": "noto"},
    )  # fmt: skip


def test_images_alone_and_prompts_alone_are_manifests(tmp_path: Path) -> None:
    [image] = items(tmp_path, "image\na.png\n")
    assert isinstance(image, Item)
    assert (image.prompt, image.source) == (None, "a.png")
    [prompt] = items(tmp_path, "prompt\na cat\n")
    assert isinstance(prompt, Item)
    assert (prompt.prompt, prompt.picture, prompt.source) == ("a cat", None, "manifest.csv:2")


def test_the_csv_can_be_named_and_the_pictures_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "list.csv").write_text("image\na.png\n")
    source = open_source("manifest", tmp_path / "list.csv", tmp_path / "pictures")
    [item] = source.items()
    assert isinstance(item, Item)
    assert item.picture == FilePicture(source.root, "a.png")
    assert source.root == (tmp_path / "pictures").resolve()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",,", "neither image nor prompt"),
        (" , ,", "neither image nor prompt"),
        ("/etc/passwd,x,", "leaves the pictures' folder"),
        ("a/../../b.png,x,", "leaves the pictures' folder"),
        ("a.png,x,many", "seed: could not convert"),
    ],
)
def test_a_bad_row_is_rejected_and_the_next_one_read(tmp_path: Path, row: str, reason: str) -> None:
    rejected, item = items(tmp_path, f"image,prompt,seed\n{row}\nb.png,y,1\n")
    assert isinstance(rejected, Rejected)
    assert rejected.where == "manifest.csv:2"
    assert reason in rejected.reason
    assert isinstance(item, Item)


def test_keys_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = ["a.png,one,1", "./b.png,two,2", ",three,3", ",three,4"]
    keys = [
        {item.key for item in items(tmp_path, "\n".join(["image,prompt,seed", *order])) if isinstance(item, Item)}
        for order in (rows, rows[::-1])
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 4
    assert {"a.png", "b.png"} < keys[0]


def test_what_is_no_source_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no"):
        open_source("manifest", tmp_path / "missing", None)
    with pytest.raises(SourceError, match=r"has no manifest\.csv"):
        open_source("manifest", tmp_path, None)
    (tmp_path / "manifest.csv").write_text("image\n")
    with pytest.raises(SourceError, match="is no folder"):
        open_source("manifest", tmp_path, tmp_path / "manifest.csv")
    with pytest.raises(SourceError, match="'album' is no source; there are manifest, open-prompts"):
        open_source("album", tmp_path, None)
