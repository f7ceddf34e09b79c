from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from builder.sources import Item, Rejected
from builder.versions.staging import Staging, staged_manifest, staging_folder
from promptsearch.errors import BuildError
from promptsearch.storage.items import ItemStore, item_id
from promptsearch.storage.raw_metadata import RawMetadata
from tests.support.vectors import random_vectors, stage


def test_rows_number_vectors_first_and_in_order(tmp_path: Path) -> None:
    vectors = random_vectors(3, 4)
    with Staging(tmp_path / "c", 4) as staging:
        for number, here in enumerate([False, True, True, False, True]):
            item = Item(f"{number}", f"{number}", None)
            if here:
                staging.add(item, vectors[staging.images.rows], (1, 1), b"%d" % number)
            else:
                staging.add(item, None)
        assert staging.counts() == {"prompts": 0, "images": 5, "image_vectors": 3, "quarantined": 0}
    store = ItemStore(staging.folder / "items.sqlite")
    assert [store.images([row])[row].source for row in range(5)] == ["1", "2", "4", "0", "3"]
    np.testing.assert_array_equal(np.load(staging.folder / "images.f16.npy").astype(np.float32), vectors)
    store.close()


def test_raw_texts_belong_to_their_images_rows(tmp_path: Path) -> None:
    vectors = random_vectors(1, 4)
    parameters = "a fox, 夜 \ud83e" * 1000
    with Staging(tmp_path / "c", 4) as staging:
        staging.add(Item("a", "a", None, raw={"parameters": parameters, "workflow": "{}"}), None)
        staging.add(Item("b", "b", None, raw={"prompt": "{}"}), vectors[0])
        staging.add(Item("c", "c", None), None)
    raw = RawMetadata(staging.folder / "raw.sqlite")
    assert [raw.get(row) for row in range(3)] == [
        {"prompt": "{}"}, {"parameters": parameters, "workflow": "{}"}, {},
    ]  # fmt: skip
    assert (staging.folder / "raw.sqlite").stat().st_size < len(parameters)
    raw.close()


def test_equal_texts_are_one_prompt(tmp_path: Path) -> None:
    with Staging(tmp_path / "c", 4) as staging:
        for number, text in enumerate(["one", "two", "one", "One", "", "one", None]):
            staging.add(Item(f"{number}", f"{number}", text), None)
        assert [text for batch in staging.texts(2) for text, _ in batch] == ["one", "two", "One", ""]
        assert [len(batch) for batch in staging.texts(3)] == [3, 1]
        staging.prompts.append(random_vectors(4, 4))
    store = ItemStore(staging.folder / "items.sqlite")
    assert [store.prompts([row])[row].image_count for row in range(4)] == [3, 1, 1, 1]
    store.close()


def test_vectors_that_a_source_brings_are_kept(tmp_path: Path) -> None:
    picture, first, second = random_vectors(3, 4)
    with Staging(tmp_path / "c", 4) as staging:
        staging.add(Item("a", "a", "one", vector=picture, prompt_vector=first), picture)
        staging.add(Item("b", "b", "one", prompt_vector=second), None)
        staging.add(Item("c", "c", "two"), None)
        [(_, vector), (_, none)] = next(staging.texts(2))
        assert vector is not None
        np.testing.assert_array_equal(vector.astype(np.float32), first)
        assert none is None
        with pytest.raises(BuildError, match="vectors have 3 dimensions, the model's 4"):
            staging.add(Item("d", "d", None, vector=picture[:3]), picture[:3])


def test_reasons_are_counted_by_kind(tmp_path: Path) -> None:
    with Staging(tmp_path / "c", 4) as staging:
        for reason in ("seed: 'x' is no number", "seed: 'y' is no number", "neither image nor prompt"):
            staging.reject(Rejected("a.csv:1", reason))
    assert staging.reasons == {"seed": 2, "neither image nor prompt": 1}


def test_repeated_keys_become_items_of_their_own(tmp_path: Path) -> None:
    keys = ["a#2", "a", "b", "a", "a", "a#2"]
    with Staging(tmp_path / "c", 4) as staging:
        for number, key in enumerate(keys):
            staging.add(Item(key, f"{number}", None), None)
    store = ItemStore(staging.folder / "items.sqlite")
    sources = [store.image(item_id("image", key)).source for key in ("a#2", "a", "b", "a#3", "a#4", "a#2#2")]
    assert sources == ["0", "1", "2", "3", "4", "5"]
    store.close()


def test_a_key_may_repeat_many_times(tmp_path: Path) -> None:
    with Staging(tmp_path / "c", 4) as staging:
        for number in range(20_000):
            staging.add(Item("same", f"{number}", None), None)
        assert staging.counts()["images"] == 20_000


def test_rejections_are_written_to_a_csv(tmp_path: Path) -> None:
    with Staging(tmp_path / "c", 4) as staging:
        staging.reject(Rejected('a "b", c.csv:1', "ü\nnot good"))
        assert staging.counts()["quarantined"] == 1
    with (staging.folder / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["where", "reason"], ['a "b", c.csv:1', "ü\nnot good"]]


def test_kinds_without_vectors_leave_no_files(tmp_path: Path) -> None:
    with Staging(tmp_path / "c", 4) as staging:
        staging.add(Item("a", "a", None), None)
    assert sorted(path.name for path in staging.folder.iterdir()) == ["items.sqlite", "quarantine.csv"]


def test_staging_removes_earlier_files(tmp_path: Path) -> None:
    stage(tmp_path / "c", random_vectors(2, 4), None)
    (staging_folder(tmp_path / "c") / "images.faiss").touch()
    with Staging(tmp_path / "c", 4):
        pass
    assert not (staging_folder(tmp_path / "c") / "images.faiss").exists()
    with pytest.raises(BuildError, match="nothing is staged for c: run `python -m builder embed` first"):
        staged_manifest(tmp_path / "c")


def test_an_interrupted_staging_is_nothing_staged(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Staging(tmp_path / "c", 4) as staging:
            staging.add(Item("a", "a", "a prompt"), None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(BuildError, match="nothing is staged for c"):
        staged_manifest(tmp_path / "c")
