"""A source with every kind of error: its good rows are built, and the others are reported."""

from __future__ import annotations

import contextlib
import csv
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from builder.encode.embed import embed
from builder.encode.runners.batches import HELD_BACK
from builder.encode.runners.local import LocalRunner
from builder.indexing.index import index
from builder.sources import Item, Rejected, open_source
from builder.sources.inputs.picture import FilePicture, ZipPicture
from builder.versions.hide import hide
from builder.versions.publish import publish
from builder.versions.staging import staging_folder
from promptsearch.encoding.encoders import IMAGE_BATCH, Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.prompt_text import PromptText
from promptsearch.errors import BuildError
from promptsearch.filtering.filters import Filter
from promptsearch.search.collection import Collection
from promptsearch.search.options import Options
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest
from tests.support import source
from tests.support.drawing import as_bytes, picture
from tests.support.vectors import random_vectors, scores_of


@dataclass(frozen=True)
class Listed:
    """A source of these items; None is the user's Ctrl-C."""

    listed: list[Item | Rejected | None]
    root: Path
    kind: str = "listed"

    def count(self) -> int | None:
        return None

    def items(self) -> Iterator[Item | Rejected]:
        for item in self.listed:
            if item is None:
                raise KeyboardInterrupt
            yield item


@pytest.fixture(scope="module")
def collection(indices: Path) -> Iterator[Collection]:
    collection = Collection.open(indices / "tiny")
    yield collection
    collection.close()


def build(source: Path | Listed, encoders: Encoders, folder: Path) -> Collection:
    from_source = open_source("manifest", source, None) if isinstance(source, Path) else source
    embed(from_source, LocalRunner(encoders), encoders.bundle, folder, engine_name="onnx")
    index(folder)
    publish(folder)
    return Collection.open(folder)


def test_the_manifest_has_the_counts_of_the_build(collection: Collection, encoders: Encoders) -> None:
    manifest = collection.manifest
    assert manifest.counts == source.COUNTS
    assert manifest.collection == "tiny"
    assert manifest.source == {"kind": "manifest", "root": "tiny"}
    assert manifest.build["engine"] == "onnx"
    assert set(manifest.build["seconds"]) == {"images", "prompts", "index"}
    assert manifest.build["encoded"] == {"images": 3, "prompts": 4}
    assert sum(manifest.build["quarantined"].values()) == len(source.QUARANTINED)
    assert manifest.build["quarantined"]["neither image nor prompt"] == 1
    assert collection.require_model(encoders.bundle) is encoders.bundle
    manifest.verify(collection.folder)


def test_rejected_items_are_quarantined_with_a_reason(collection: Collection) -> None:
    with (collection.folder / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        reasons = {row["where"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == source.QUARANTINED.keys()
    for where, reason in source.QUARANTINED.items():
        assert reasons[where].startswith(reason)


def test_pictures_are_found_by_their_own_vectors(
    collection: Collection, encoders: Encoders, source_folder: Path
) -> None:
    for name in source.PICTURES:
        opened = open_picture(source_folder / name)
        page = collection.search("images", encoders.encode_images([opened])[0], 3)
        image = collection.items.images(page.rows)[page.rows[0]]
        assert (image.source, image.file, (image.width, image.height)) == (name, name, opened.size)
        assert scores_of(page)[0] > 0.9998  # stored as halves
        assert collection.thumbnails is not None
        assert collection.thumbnails.get(image.row)


def test_prompts_are_found_by_their_own_vectors(collection: Collection, encoders: Encoders) -> None:
    for text in source.PROMPTS:
        page = collection.search("prompts", encoders.encode_texts([text])[0], 4)
        prompt = collection.items.prompts(page.rows)[page.rows[0]]
        assert (prompt.text, prompt.id) == (text, item_id("prompt", text))
        assert scores_of(page)[0] > 0.9998  # stored as halves


def test_a_generation_keeps_its_prompt_and_settings_without_its_picture(collection: Collection) -> None:
    images = collection.items.images(range(6))
    late = {row: image for row, image in images.items() if row >= 3}
    assert {image.source for image in late.values()} == set(source.WITHOUT_VECTOR)
    assert all(image.file is None and image.prompt is not None for image in late.values())
    clock = collection.items.image(item_id("image", "broken.png"))
    assert clock.settings == {"seed": 4}
    assert collection.prompts_of([clock])[clock.prompt or 0].text == "a broken clock"
    assert collection.items.image(item_id("image", "a.png")).extra == {"style": "ink"}


def test_ids_are_the_same_in_every_build_and_order(collection: Collection, encoders: Encoders, tmp_path: Path) -> None:
    moved = source.write(tmp_path / "moved", source.ROWS[::-1])
    again = build(moved, encoders, tmp_path / "again")
    for built, other in ((collection, again), (again, collection)):
        for row, image in built.items.images(range(6)).items():
            if image.source.startswith("manifest.csv"):
                continue
            same = other.items.image(image.id)
            assert (same.source, same.settings) == (image.source, image.settings)
            assert row < 3 or same.row >= 3
    ids = [{image.id for image in built.items.images(range(6)).values()} for built in (collection, again)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 6
    again.close()


def test_batches_keep_pictures_and_vectors_together(encoders: Encoders, tmp_path: Path) -> None:
    items: list[Item | Rejected | None] = []
    for number in range(2 * IMAGE_BATCH + 5):
        (tmp_path / f"{number}.png").write_bytes(as_bytes(picture(number, 64, 64)))
        items.append(Item(f"{number}.png", f"{number}.png", None, FilePicture(tmp_path, f"{number}.png")))
        if number % 3 == 0:
            items.append(Rejected(f"row {number}", "no item"))
            items.append(Item(f"prompt {number}", f"prompt {number}", f"prompt {number}"))
    collection = build(Listed(items, tmp_path), encoders, tmp_path / "batches")
    vectors = encoders.encode_images([picture(number, 64, 64) for number in range(2 * IMAGE_BATCH + 5)])
    for number, vector in enumerate(vectors):
        row = collection.items.image(item_id("image", f"{number}.png")).row
        assert np.vecdot(collection.index("images").vector(row), vector) > 0.9998  # stored as halves
        assert row == number
    collection.close()


def test_a_second_build_encodes_new_items_only(encoders: Encoders, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(as_bytes(picture(number, 64, 64)))
    items = [Item(f"{n}", f"{n}", f"prompt {n}", FilePicture(tmp_path, f"{n}.png")) for n in range(40)]
    first = build(Listed([*items[:39]], tmp_path), encoders, tmp_path / "c")
    second = build(Listed([*items[1:]], tmp_path), encoders, tmp_path / "c")
    assert first.manifest.build["encoded"] == {"images": 39, "prompts": 39}
    assert second.manifest.build["encoded"] == {"images": 1, "prompts": 1}
    assert second.manifest.build["from_cache"] == {"images": 38, "prompts": 38}
    assert second.manifest.counts == {"prompts": 39, "images": 39, "image_vectors": 39, "quarantined": 0}
    for number in range(1, 39):
        rows = [built.items.image(item_id("image", f"{number}")).row for built in (first, second)]
        before, after = first.index("images").vector(rows[0]), second.index("images").vector(rows[1])
        np.testing.assert_array_equal(before, after)
        assert first.thumbnails is not None
        assert second.thumbnails is not None
        assert first.thumbnails.get(rows[0]) == second.thumbnails.get(rows[1])
    first.close()
    second.close()


def test_the_same_picture_again_is_encoded_once(encoders: Encoders, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(as_bytes(picture(1, 64, 64)))
    items: list[Item | Rejected | None] = [
        Item(f"{n}", f"{n}", None, FilePicture(tmp_path, "a.png")) for n in range(50)
    ]
    collection = build(Listed(items, tmp_path), encoders, tmp_path / "c")
    assert collection.manifest.counts["image_vectors"] == 50
    assert collection.manifest.build["encoded"]["images"] == 1
    assert collection.manifest.build["from_cache"]["images"] == 49
    collection.close()


def test_items_after_a_batch_wait_for_it(encoders: Encoders, tmp_path: Path) -> None:
    items: list[Item | Rejected | None] = []
    for number in range(IMAGE_BATCH):
        (tmp_path / f"{number}.png").write_bytes(as_bytes(picture(number, 64, 64)))
        items.append(Item(f"{number}", f"{number}", None, FilePicture(tmp_path, f"{number}.png")))
    items += [Item(f"words {number}", f"words {number}", "only words") for number in range(3 * HELD_BACK)]
    items.append(Item("again", "again", None, FilePicture(tmp_path, "0.png")))
    collection = build(Listed(items, tmp_path), encoders, tmp_path / "c")
    assert collection.manifest.build["encoded"]["images"] == IMAGE_BATCH
    assert collection.items.image(item_id("image", "again")).row == IMAGE_BATCH
    rows = [collection.items.image(item_id("image", f"words {number}")).row for number in range(3 * HELD_BACK)]
    assert rows == list(range(IMAGE_BATCH + 1, IMAGE_BATCH + 1 + 3 * HELD_BACK))
    collection.close()


def test_vectors_that_a_source_brings_are_not_computed(encoders: Encoders, tmp_path: Path) -> None:
    vectors = random_vectors(4, encoders.bundle.embedding_dim)
    items: list[Item | Rejected | None] = [
        Item(f"{n}", f"{n}", f"prompt {n}", vector=vectors[n], prompt_vector=vectors[n + 2]) for n in range(2)
    ]
    collection = build(Listed([*items, Item("words", "words", "only words")], tmp_path), encoders, tmp_path / "c")
    assert collection.manifest.build["encoded"] == {"images": 0, "prompts": 1}
    for number in range(2):
        np.testing.assert_array_equal(collection.index("images").vector(number), vectors[number])
        np.testing.assert_array_equal(collection.index("prompts").vector(number), vectors[number + 2])
    assert np.vecdot(collection.index("prompts").vector(2), encoders.encode_texts(["only words"])[0]) > 0.9998
    collection.close()


@dataclass(frozen=True)
class Deadly:
    """A picture that ends the process that reads it, as a decoder's crash does."""

    file: str | None = None

    def read(self) -> bytes:
        os._exit(9)


def test_a_picture_that_ends_its_process_is_the_only_one_lost(encoders: Encoders, tmp_path: Path) -> None:
    items: list[Item | Rejected | None] = []
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(as_bytes(picture(number, 64, 64)))
        items.append(Item(f"{number}", f"{number}", None, FilePicture(tmp_path, f"{number}.png")))
    items[5:5] = [Item("deadly", "deadly", "a deadly picture", Deadly())]
    collection = build(Listed(items, tmp_path), encoders, tmp_path / "c")
    assert collection.manifest.counts == {"prompts": 1, "images": 61, "image_vectors": 60, "quarantined": 1}
    assert "the process that decoded it died" in (collection.folder / "quarantine.csv").read_text()
    assert [collection.items.image(item_id("image", f"{n}")).row for n in range(60)] == list(range(60))
    collection.close()


@pytest.mark.parametrize("items", [[], [Rejected("row 1", "no item")]])
def test_nothing_to_build_from_is_an_error(
    encoders: Encoders, tmp_path: Path, items: list[Item | Rejected | None]
) -> None:
    reason = rf"{len(items)} rows were rejected, see .*quarantine\.csv" if items else "has neither pictures nor prompts"
    with pytest.raises(BuildError, match=reason):
        embed(Listed(items, tmp_path), LocalRunner(encoders), encoders.bundle, tmp_path / "none", engine_name="onnx")
    assert (staging_folder(tmp_path / "none") / "quarantine.csv").is_file()


def test_an_interrupted_build_keeps_the_served_version(encoders: Encoders, tmp_path: Path) -> None:
    item = Item("a", "a", "a prompt")
    build(Listed([item], tmp_path), encoders, tmp_path / "c").close()
    version = (tmp_path / "c" / "current").read_text()
    with pytest.raises(KeyboardInterrupt):
        build(Listed([item, Item("b", "b", "another"), None], tmp_path), encoders, tmp_path / "c")
    with pytest.raises(BuildError, match="nothing is staged"):
        publish(tmp_path / "c")

    assert (tmp_path / "c" / "current").read_text() == version
    served = Collection.open(tmp_path / "c")
    Manifest.read(served.folder).verify(served.folder)
    assert served.manifest.counts["prompts"] == 1
    served.close()

    later = build(Listed([item, Item("b", "b", "another")], tmp_path), encoders, tmp_path / "c")
    assert later.manifest.counts["prompts"] == 2
    assert later.version > version.strip()
    later.close()


def test_a_hidden_picture_stays_hidden_under_another_name_or_in_an_archive(encoders: Encoders, tmp_path: Path) -> None:
    hidden, other = as_bytes(picture(1)), as_bytes(picture(2))
    names = ("a.png", "b.png")
    for name, content in zip(names, (hidden, other), strict=True):
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "moved.zip", "w") as archive:
        archive.writestr("part/x.png", hidden)

    def built(*pictures: FilePicture | ZipPicture) -> set[str]:
        items: list[Item | Rejected | None] = [Item(f"{each}", f"{each}", None, each) for each in pictures]
        collection = build(Listed(items, tmp_path), encoders, tmp_path / "c")
        with contextlib.closing(collection):
            images = collection.items.images(range(len(items))).values()
            return {image.source for image in images}

    first, second = (FilePicture(tmp_path, name) for name in names)
    built(first, second)
    hide(tmp_path / "c", [item_id("image", f"{first}")])
    moved = ZipPicture(tmp_path / "moved.zip", "part/x.png")
    assert built(moved, second) == {f"{second}"}
    (tmp_path / "a.png").write_bytes(as_bytes(picture(3)))
    assert built(first, second, moved) == {f"{first}", f"{second}"}


def test_a_source_without_its_pictures_is_refused_and_keeps_the_cache(encoders: Encoders, tmp_path: Path) -> None:
    path = source.write(tmp_path / "source")
    build(path, encoders, tmp_path / "c").close()
    before = (tmp_path / "c" / "current").read_text()
    for name in source.PICTURES:
        (path / name).rename((path / name).with_suffix(".away"))
    from_source = open_source("manifest", path, None)
    with pytest.raises(BuildError, match=r"0 images with a picture \(c has 3\)"):
        embed(from_source, LocalRunner(encoders), encoders.bundle, tmp_path / "c", engine_name="onnx")
    with pytest.raises(BuildError, match="nothing is staged"):
        publish(tmp_path / "c")
    assert (tmp_path / "c" / "current").read_text() == before
    for name in source.PICTURES:
        (path / name).with_suffix(".away").rename(path / name)
    collection = build(path, encoders, tmp_path / "c")
    assert collection.manifest.build["encoded"] == {"images": 0, "prompts": 0}
    collection.close()
    staged = embed(
        Listed([Item("a", "a", "one")], tmp_path),
        LocalRunner(encoders),
        encoders.bundle,
        tmp_path / "c",
        engine_name="onnx",
        allow_removal=True,
    )
    assert staged.counts["images"] == 1


STEERED = "<lora:detail:0.8> (a red fox:1.2), BREAK, in [[the snow]]"


def prompts_of(items: list[Item | Rejected | None], encoders: Encoders, folder: Path, choice: PromptText) -> Collection:
    runner = LocalRunner(encoders)
    embed(Listed(items, folder), runner, encoders.bundle, folder / "c", engine_name="onnx", prompt_text=choice)
    index(folder / "c")
    publish(folder / "c")
    return Collection.open(folder / "c")


def test_prompts_are_embedded_by_the_chosen_text_rules(encoders: Encoders, tmp_path: Path) -> None:
    items: list[Item | Rejected | None] = [Item("a", "a", STEERED), Item("b", "b", "a red fox, in the snow")]
    meant, verbatim = encoders.encode_texts(["a red fox, in the snow", STEERED])
    plain = prompts_of(items, encoders, tmp_path, "plain")
    assert plain.items.prompts([0])[0].text == STEERED
    np.testing.assert_allclose(plain.vector("prompts", 0), meant, atol=1e-3)
    assert plain.manifest.build["prompt_text"] == "plain-1"
    assert plain.manifest.build["encoded"]["prompts"] == 1
    plain.close()
    # The same cache, by other rules: a vector is known by the text that was embedded.
    other = prompts_of(items, encoders, tmp_path, "verbatim")
    np.testing.assert_allclose(other.vector("prompts", 0), verbatim, atol=1e-3)
    np.testing.assert_allclose(other.vector("prompts", 1), meant, atol=1e-3)
    assert other.manifest.build["prompt_text"] == "verbatim"
    assert (other.manifest.build["encoded"]["prompts"], other.manifest.build["from_cache"]["prompts"]) == (1, 1)
    other.close()


def test_prompts_that_the_model_truncates_are_counted_and_marked(encoders: Encoders, tmp_path: Path) -> None:
    most = encoders.bundle.text.context_length - 2
    vectors, _ = random_vectors(2, encoders.bundle.embedding_dim)
    items: list[Item | Rejected | None] = [
        Item("long", "long", "fox " * (most + 1), extra={"style": "ink"}),
        Item("full", "full", "fox " * most),
        Item("short", "short", "fox"),
        Item("tags", "tags", "<lora:fox:1> " * (most + 1) + "fox, fox"),
        Item("brings", "brings", "cat " * (most + 1), prompt_vector=vectors),
    ]
    collection = prompts_of(items, encoders, tmp_path, "plain")
    assert collection.manifest.build["prompts_truncated"] == 1
    extras = {image.source: image.extra for image in collection.items.images(range(5)).values()}
    nothing: dict[str, object] = {}
    assert extras == {
        "long": {"style": "ink", "prompt_truncated": True},
        "full": nothing,
        "short": nothing,
        "tags": nothing,
        "brings": nothing,
    }
    marked = Options(filter=Filter.parse({"prompt_truncated": True}))
    assert collection.search("prompts", None, 5, marked).rows == [0]
    collection.close()
    # A cache remembers it; one of an earlier release does not know.
    for known in (True, False):
        if not known:
            with contextlib.closing(sqlite3.connect(next((tmp_path / ".cache").glob("*.sqlite")))) as cache:
                cache.execute("UPDATE texts SET truncated = NULL")
                cache.commit()
        again = prompts_of(items, encoders, tmp_path, "plain")
        assert again.manifest.build["encoded"]["prompts"] == 0
        assert again.manifest.build["prompts_truncated"] == 1
        again.close()
