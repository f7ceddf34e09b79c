from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from builder.sources import Item, open_source
from builder.sources.inputs.picture import FilePicture
from promptsearch.encoding.image_io import open_picture
from promptsearch.errors import SourceError
from tests.builder.sources.building import MODEL, built, split_rejected
from tests.promptsearch.metadata import samples as made
from tests.service.support.serving import serving
from tests.support.drawing import as_bytes, picture


def items(root: Path) -> dict[str, Item]:
    """Return the items of a source by key; none is rejected."""
    read, rejected = split_rejected(open_source("folder", root, None).items())
    assert rejected == []
    return {item.key: item for item in read}


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)
    return path


def test_a_picture_with_metadata_is_a_generation(tmp_path: Path) -> None:
    (tmp_path / "2024" / "夜").mkdir(parents=True)
    made.save_png(tmp_path / "2024" / "夜" / "a.png", {"parameters": made.A1111})
    [item] = items(tmp_path).values()
    assert item.key == item.source == "2024/夜/a.png"
    assert item.picture == FilePicture(tmp_path.resolve(), "2024/夜/a.png")
    assert item.prompt == "a fox in the snow, (oil painting:1.2), <lora:fur:0.8>\nby night"
    assert item.settings["seed"] == 1234567890
    assert "created" not in item.settings
    assert item.extra["negative_prompt"] == "blurry, text\ntwo tails"


def test_a_picture_without_a_prompt_is_still_a_picture(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    [item] = items(tmp_path).values()
    assert (item.prompt, item.settings, item.extra) == (None, {}, {})
    assert item.picture is not None
    assert open_picture(item.picture.read()).size == (96, 64)


def test_a_text_beside_the_picture_is_its_prompt(tmp_path: Path) -> None:
    for name in ("a.png", "b.webp", "c.jpg", "d.png"):
        save(tmp_path / name)
    (tmp_path / "a.txt").write_text("\ufeff a cat, 夜 \n", encoding="utf-8")
    (tmp_path / "b.webp.txt").write_text(made.A1111)
    (tmp_path / "c.txt").write_text("a dog\nNegative prompt: a cat")
    (tmp_path / "d.txt").write_bytes("schön".encode("latin-1"))
    read = items(tmp_path)
    assert read["a.png"].prompt == "a cat, 夜"
    assert read["b.webp"].settings["model"] == "foxes-v2"
    assert (read["c.jpg"].prompt, read["c.jpg"].extra) == ("a dog", {"negative_prompt": "a cat"})
    assert read["d.png"].prompt == "schön"


def test_an_object_beside_the_picture_has_prompt_and_settings(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(
        json.dumps(
            {"prompt": "a cat \ud83e", "negative_prompt": "a dog", "seed": "5", "steps": 20, "cfg_scale": 7,
             "sampler": "k_lms", "model": "cats", "created": 1660000000, "rating": 4.5, "tags": ["x", {"y": "\ud83e"}],
             "nothing": None, "empty": ""}
        )
    )  # fmt: skip
    (tmp_path / "a.txt").write_text("not this one")
    item = items(tmp_path)["a.png"]
    assert item.prompt == "a cat ?"
    assert item.settings == {
        "seed": 5, "steps": 20, "cfg_scale": 7.0, "sampler": "k_lms", "model": "cats",
        "created": "2022-08-08T23:06:40Z",
    }  # fmt: skip
    assert item.extra == {"negative_prompt": "a dog", "rating": 4.5, "tags": ["x", {"y": "?"}]}


def test_embedded_prompts_take_precedence(tmp_path: Path) -> None:
    made.save_png(tmp_path / "a.png", {"parameters": made.A1111})
    (tmp_path / "a.txt").write_text("another prompt")
    assert items(tmp_path)["a.png"].prompt == "a fox in the snow, (oil painting:1.2), <lora:fur:0.8>\nby night"


@pytest.mark.parametrize("name", ["a.txt", "a.caption", "a.png.caption", "a.TXT", "a.CAPTION", "a.png.TXT"])
def test_texts_beside_pictures_have_several_names(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a.png")
    (tmp_path / name).write_text("a glass bell")
    assert items(tmp_path)["a.png"].prompt == "a glass bell"


@pytest.mark.parametrize("place", ["train.png/photo", "22.05", "photo.png.crop"])
def test_dots_in_names_mean_nothing(tmp_path: Path, place: str) -> None:
    save(tmp_path / f"{place}.png")
    (tmp_path / f"{place}.txt").write_text("a glass bell")
    assert items(tmp_path)[f"{place}.png"].prompt == "a glass bell"


@pytest.mark.parametrize(
    ("name", "content", "prompt"),
    [
        ("a.json", {"prompt": made.COMFYUI}, "a glass bottle, 夜の銀河"),
        ("a.json", made.COMFYUI, "a glass bottle, 夜の銀河"),
        ("a.swarm.json", made.SWARMUI, "a green lamp"),
        ("a.json", made.EASY_DIFFUSION, "a red kite"),
    ],
)
def test_programs_own_files_beside_the_picture_are_read(
    tmp_path: Path, name: str, content: object, prompt: str
) -> None:
    save(tmp_path / "a.png")
    (tmp_path / name).write_text(json.dumps(content))
    assert items(tmp_path)["a.png"].prompt == prompt


@pytest.mark.parametrize("prompt", [{"text": "a cat"}, 5, [1, 2], True])
def test_a_prompt_of_another_type_is_kept_as_extra(tmp_path: Path, prompt: object) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps({"prompt": prompt, "seed": 3}))
    item = items(tmp_path)["a.png"]
    assert (item.prompt, item.settings, item.extra) == (None, {"seed": 3}, {"prompt": prompt})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_files_beside_pictures_are_in_any_encoding_of_windows(tmp_path: Path, encoding: str) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    (tmp_path / "a.txt").write_bytes("a ceramic fox, Übung".encode(encoding))
    (tmp_path / "b.json").write_bytes(json.dumps({"prompt": "Übung"}, ensure_ascii=False).encode(encoding))
    read = items(tmp_path)
    assert (read["a.png"].prompt, read["b.png"].prompt) == ("a ceramic fox, Übung", "Übung")


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "cp1251"])
def test_a_text_in_an_unknown_encoding_is_rejected_and_never_embedded(tmp_path: Path, encoding: str) -> None:
    text = "рыжая лиса в снегу" if encoding == "cp1251" else "黒猫夜空銀河東京"
    save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(text.encode(encoding, "ignore"))
    [item], [rejected] = split_rejected(open_source("folder", tmp_path, None).items())
    assert rejected.where == "a.txt"
    assert "encoding is unknown" in rejected.reason
    assert item.prompt is None


def test_file_formats_are_recognised_by_content(tmp_path: Path) -> None:
    jpeg = as_bytes(picture(1), "JPEG")
    for name in ("a.jpe", "b.jpg_large", "c", "d.JPG"):
        (tmp_path / name).write_bytes(jpeg)
    (tmp_path / "e.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "f.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp41")
    (tmp_path / "notes").write_text("no picture")
    read, rejected = split_rejected(open_source("folder", tmp_path, None).items())
    assert [item.key for item in read] == ["a.jpe", "b.jpg_large", "c", "d.JPG"]
    assert [(rejection.where, rejection.reason.partition(":")[0]) for rejection in rejected] == [
        ("e.heic", "HEIC pictures cannot be read"), ("f.mp4", "MP4 videos are not read"),
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b'{"prompt": ', b"[]", b"[" * 100_000, b"\0\0\0", b"x" * 2_000_000])
def test_a_broken_json_file_is_rejected_and_its_picture_kept(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "sub" / "a.png")
    (tmp_path / "sub" / "a.json").write_bytes(content)
    (tmp_path / "sub" / "a.txt").write_text("the text is fine")
    [item], [rejected] = split_rejected(open_source("folder", tmp_path, None).items())
    assert rejected.where == "sub/a.json"
    assert rejected.reason.endswith("the picture is kept")
    assert item.prompt == "the text is fine"


def test_invalid_settings_keep_the_prompt(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"prompt": "a cat", "seed": "many", "cfg_scale": NaN, "steps": [1]}')
    item = items(tmp_path)["a.png"]
    assert (item.prompt, item.settings, item.extra) == ("a cat", {}, {"seed": "many", "steps": [1]})


def test_invalid_pictures_are_left_to_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "b.png").touch()
    assert list(items(tmp_path)) == ["a.png", "b.png"]


def test_keys_stay_when_pictures_are_added(tmp_path: Path) -> None:
    save(tmp_path / "b" / "1.png")
    before = set(items(tmp_path))
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "0.png")
    assert before < set(items(tmp_path))


def test_the_source_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a folder: name the folder that holds your pictures"):
        open_source("folder", save(tmp_path / "a.png"), None)
    with pytest.raises(SourceError, match="--images is for manifest and open-prompts: folder knows"):
        open_source("folder", tmp_path, tmp_path)


def test_a_folder_of_generations_is_searched(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    made.save_png(pictures / "fox.png", {"parameters": made.A1111})
    made.save_exif(pictures / "teapot.jpg", {made.USER_COMMENT: json.dumps(made.FOOOCUS)})
    save(pictures / "plain.webp", 3)
    (pictures / "broken.png").write_text("no picture")
    with built(tmp_path, "folder", pictures) as search:
        assert search.collection.manifest.counts == {
            "prompts": 2, "images": 3, "image_vectors": 3, "quarantined": 1,
        }  # fmt: skip
        assert search.prompt("a teapot on the moon").text == "a teapot on the moon"
        assert search.collection.raw_metadata is not None
        row = search.image(open_picture(pictures / "fox.png")).row
        assert search.collection.raw_metadata.get(row) == {"parameters": made.A1111}
        read = search.image(open_picture(pictures / "fox.png"))
        assert read.file == "fox.png"
        assert read.settings["model"] == "foxes-v2"
        assert search.image(open_picture(pictures / "plain.webp")).prompt is None


@pytest.mark.slow
def test_a_service_finds_a_generation_and_hands_out_its_file(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "夜").mkdir(parents=True)
    path = made.save_png(pictures / "夜" / "bottle.png", {"prompt": made.COMFYUI})
    save(pictures / "plain.webp", 3)
    with built(tmp_path / "indices", "folder", pictures):
        pass
    flags = ["--models", str(MODEL.parent), "--indices", str(tmp_path / "indices"), "--files", f"c={pictures}"]
    with serving(tmp_path, flags) as service:
        [prompt] = service.get("/search/prompts", q="a glass bottle").json()["results"]
        assert prompt["text"] == "a glass bottle, 夜の銀河"
        [image] = prompt["images"]
        assert image["settings"]["seed"] == 156680208700286
        assert service.get(image["image"]["file"]).content == path.read_bytes()
        assert service.end() == 0


@pytest.mark.parametrize("name", ["a" * 247 + ".png", "a" * 251 + ".png", "夜" * 83 + ".png", "a" * 255])
def test_names_as_long_as_a_file_may_have_are_read(tmp_path: Path, name: str) -> None:
    """The names of their sidecars would be too long."""
    made.save_png(tmp_path / "short.png", {"parameters": made.A1111})
    (tmp_path / "short.png").rename(tmp_path / name)
    [item] = items(tmp_path).values()
    assert (item.key, item.settings["seed"]) == (name, 1234567890)


def test_pictures_1500_folders_deep_are_read(tmp_path: Path) -> None:
    made.save_png(tmp_path / "a.png", {"parameters": made.A1111})
    deep = tmp_path / "top"
    deep.mkdir()
    (tmp_path / "a.png").rename(deep / "a.png")
    for _ in range(1500):
        (tmp_path / "d").mkdir()
        deep.rename(tmp_path / "d" / "d")
        (tmp_path / "d").rename(deep)
    [item] = items(tmp_path).values()
    assert item.key == "top/" + "d/" * 1500 + "a.png"
    assert item.settings["seed"] == 1234567890
    assert item.picture is not None
    assert open_picture(pickle.loads(pickle.dumps(item.picture)).read()).size == (96, 64)
    (deep / ("d/" * 1500) / "a.png").unlink()
    while (inner := deep / "d").exists():  # pytest's own removal calls itself for each folder
        inner.rename(tmp_path / "d")
        deep.rmdir()
        (tmp_path / "d").rename(deep)
