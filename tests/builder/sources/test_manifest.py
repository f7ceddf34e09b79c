from __future__ import annotations

from pathlib import Path

import pytest

from builder.sources import Item, Rejected, open_source
from builder.sources.inputs.picture import FilePicture
from promptsearch.errors import PictureError, SourceError


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
        ("a\\..\\..\\b.png,x,", "leaves the pictures' folder"),
    ],
)
def test_a_bad_row_is_rejected_and_the_next_one_read(tmp_path: Path, row: str, reason: str) -> None:
    rejected, item = items(tmp_path, f"image,prompt,seed\n{row}\nb.png,y,1\n")
    assert isinstance(rejected, Rejected)
    assert rejected.where == "manifest.csv:2"
    assert reason in rejected.reason
    assert isinstance(item, Item)


@pytest.mark.parametrize(
    ("name", "value"), [("seed", "many"), ("seed", str(2**64 - 1)), ("cfg_scale", "7,5"), ("steps", "None"),
                        ("created", "yesterday"), ("width", "wide")],
)  # fmt: skip
def test_invalid_values_are_kept_as_extra(tmp_path: Path, name: str, value: str) -> None:
    [item] = items(tmp_path, f'image,prompt,sampler,{name}\na.png,x,euler,"{value}"\n')
    assert isinstance(item, Item)
    assert (item.prompt, item.settings, item.extra) == ("x", {"sampler": "euler"}, {name: value})


@pytest.mark.parametrize(
    "content",
    [
        "image;prompt\nx.png;an owl, ü\n",
        "image\tprompt\nx.png\tan owl, ü\n",
        "image|prompt\nx.png|an owl, ü\n",
        'Image, Prompt\nx.png, "an owl, ü"\n',
        'image ,PROMPT\rx.png,"an owl, ü"\r',
        'sep=;\nimage;prompt\nx.png;"an owl, ü"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_tables_of_other_programs_are_read(tmp_path: Path, content: str, encoding: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(content.encode(encoding))
    [item] = open_source("manifest", tmp_path, None).items()
    assert isinstance(item, Item)
    assert (item.key, item.prompt) == ("x.png", "an owl, ü")


def test_errors_name_the_columns_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none of the columns image, prompt; found 'picture', 'text'"):
        items(tmp_path, "picture,text\na.png,x\n")


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("sub\\a.png", "sub/a.png"),
        ("Sub/A.PNG", "sub/a.png"),
        ("cafe\u0301.png", "caf\xe9.png"),
        ("SUB\\A.png", "sub/a.png"),
        ("b.png", "b.png"),
        ("c\\d.png", "c\\d.png"),  # a file of that name
        ("missing\\x.png", "missing/x.png"),
        ("TWO.png", "TWO.png"),  # two.png or Two.png: nobody knows
    ],
)
def test_a_path_that_is_written_otherwise_finds_the_only_file_that_fits(
    tmp_path: Path, written: str, file: str
) -> None:
    for name in ("sub/a.png", "caf\xe9.png", "b.png", "B.png", "c\\d.png", "two.png", "Two.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    [item] = items(tmp_path, f"image\n{written}\n")
    assert isinstance(item, Item)
    assert item.picture == FilePicture(tmp_path.resolve(), file)
    assert item.key == file


def test_keys_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = ["a.png,one,1", "./b.png,two,2", ",three,3", ",three,4"]
    keys = [
        {item.key for item in items(tmp_path, "\n".join(["image,prompt,seed", *order])) if isinstance(item, Item)}
        for order in (rows, rows[::-1])
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 4
    assert {"a.png", "b.png"} < keys[0]


def test_invalid_sources_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist: expected the source's file"):
        open_source("manifest", tmp_path / "missing", None)
    with pytest.raises(SourceError, match=r"expected a CSV file or a folder with manifest\.csv"):
        open_source("manifest", tmp_path, None)
    (tmp_path / "manifest.csv").write_text("image\n")
    with pytest.raises(SourceError, match="is not a folder"):
        open_source("manifest", tmp_path, tmp_path / "manifest.csv")
    with pytest.raises(SourceError, match=r"expected a source of manifest, open-prompts, .*, got 'album'"):
        open_source("album", tmp_path, None)


def test_a_file_name_that_is_too_long_keeps_the_prompt(tmp_path: Path) -> None:
    [item] = items(tmp_path, f"image,prompt,seed\n{'a' * 300}.png,a cat,1\n")
    assert isinstance(item, Item)
    assert (item.prompt, item.settings, item.picture) == (
        "a cat", {"seed": 1}, FilePicture(tmp_path.resolve(), f"{'a' * 300}.png"),
    )  # fmt: skip
    assert item.picture is not None
    with pytest.raises(PictureError):
        item.picture.read()
