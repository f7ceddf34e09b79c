from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from builder.sources import Item, open_source
from builder.versions.hide import hide
from promptsearch.encoding.encoders import unit
from promptsearch.errors import SourceError
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import FILES, current_version
from tests.builder.sources.building import built, encoders, served_thumbnails, split_rejected
from tests.support.drawing import picture
from tests.support.vectors import random_vectors

DIM = 8


def write(
    root: Path,
    number: int | str,
    rows: Sequence[Mapping[str, Any]],
    images: NDArray[Any] | None = None,
    texts: NDArray[Any] | None = None,
) -> None:
    for folder, vectors in (("img_emb", images), ("text_emb", texts)):
        if vectors is not None:
            (root / folder).mkdir(parents=True, exist_ok=True)
            np.save(root / folder / f"{folder}_{number}.npy", vectors)
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist([dict(row) for row in rows])
    parquet.write_table(table, root / "metadata" / f"metadata_{number}.parquet")


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"image_path": f"/data/{first + number}.jpg", "caption": f"caption {first + number}"} for number in range(count)
    ]


def items(root: Path) -> list[Item]:
    read, rejected = split_rejected(open_source("embeddings", root, None).items())
    assert rejected == []
    return read


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_come_with_their_rows_as_unit_float32(tmp_path: Path, dtype: Any) -> None:
    images = (random_vectors(5000, DIM, 1) * 3).astype(dtype)
    texts = (random_vectors(5000, DIM, 2) * 0.01).astype(dtype)
    write(tmp_path, 0, rows(5000), images, texts)
    read = items(tmp_path)
    assert len(read) == 5000
    for number in (0, 1, 4095, 4096, 4999):
        item = read[number]
        assert (item.key, item.prompt, item.picture) == (f"/data/{number}.jpg", f"caption {number}", None)
        for vector, stored in ((item.vector, images[number]), (item.prompt_vector, texts[number])):
            assert vector is not None
            assert vector.dtype == np.float32
            np.testing.assert_allclose(vector, unit(stored.astype(np.float32)), atol=1e-6)


def test_images_alone_and_texts_alone_are_embeddings(tmp_path: Path) -> None:
    vectors = random_vectors(2, DIM)
    write(tmp_path / "images", 0, rows(2), vectors)
    write(tmp_path / "texts", 0, rows(2), None, vectors)
    for item in items(tmp_path / "images"):
        assert item.vector is not None
        assert item.prompt_vector is None
    for item in items(tmp_path / "texts"):
        assert item.vector is None
        assert item.prompt_vector is not None


def test_parts_come_by_number(tmp_path: Path) -> None:
    for number in ("10", "2", "1"):
        write(tmp_path, number, rows(1, int(number)), random_vectors(1, DIM, int(number)))
    assert [item.prompt for item in items(tmp_path)] == ["caption 1", "caption 2", "caption 10"]
    write(tmp_path / "padded", "00", rows(1), random_vectors(1, DIM))
    write(tmp_path / "padded", "01", rows(1, 1), random_vectors(1, DIM))
    assert [item.prompt for item in items(tmp_path / "padded")] == ["caption 0", "caption 1"]


def test_metadata_becomes_key_source_size_settings_and_extra(tmp_path: Path) -> None:
    expected = {
        "key": "000000001", "url": "https://example.org/1.png", "caption": " a cat 夜 ", "width": 64,
        "original_height": 128, "seed": 5, "steps": "many", "similarity": 0.25, "exif": "", "punsafe": float("nan"),
    }  # fmt: skip
    other = {**dict.fromkeys(expected), "caption": ""}
    write(tmp_path, 0, [expected, other], random_vectors(2, DIM), random_vectors(2, DIM))
    cat, nothing = items(tmp_path)
    assert (cat.key, cat.source, cat.prompt) == ("000000001", "https://example.org/1.png", "a cat 夜")
    assert (cat.width, cat.height, cat.settings) == (64, 128, {"seed": 5})
    assert cat.extra["similarity"] == 0.25
    assert cat.extra["steps"] == "many"
    assert not {"caption", "url", "exif", "punsafe"} & cat.extra.keys()
    assert (nothing.key, nothing.prompt, nothing.prompt_vector) == ("metadata/metadata_0.parquet row 1", None, None)
    assert nothing.vector is not None


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
def test_a_vector_without_direction_is_rejected_with_its_file_and_row(tmp_path: Path, bad: float) -> None:
    images, texts = random_vectors(3, DIM, 1), random_vectors(3, DIM, 2)
    images[1] = bad
    if bad:
        texts[2, 3] = bad
    else:
        texts[2] = bad
    write(tmp_path, 0, rows(3), images, texts)
    [item], [first, second] = split_rejected(open_source("embeddings", tmp_path, None).items())
    assert item.prompt == "caption 0"
    assert first.where == "metadata/metadata_0.parquet row 1"
    assert first.reason == "the vector in img_emb/img_emb_0.npy is zero or not finite"
    assert second.where == "metadata/metadata_0.parquet row 2"
    assert "text_emb/text_emb_0.npy" in second.reason


def test_large_and_tiny_vectors_have_a_direction(tmp_path: Path) -> None:
    vectors = np.array([[1e30] * DIM, [1e-30] * DIM], np.float32)
    write(tmp_path, 0, rows(2), vectors)
    for item in items(tmp_path):
        assert item.vector is not None
        np.testing.assert_allclose(item.vector, [DIM**-0.5] * DIM, rtol=1e-6)


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    write(tmp_path / "rows", 0, rows(3), random_vectors(2, DIM))
    with pytest.raises(SourceError, match=r"img_emb_0\.npy has 2 rows and .*metadata_0\.parquet has 3"):
        open_source("embeddings", tmp_path / "rows", None)
    write(tmp_path / "dim", 0, rows(2), random_vectors(2, DIM))
    write(tmp_path / "dim", 1, rows(2), random_vectors(2, 4))
    with pytest.raises(SourceError, match=r"img_emb_1\.npy has vectors of 4 dimensions and .*img_emb_0\.npy of 8"):
        open_source("embeddings", tmp_path / "dim", None)
    write(tmp_path / "part", 0, rows(2), random_vectors(2, DIM), random_vectors(2, DIM))
    write(tmp_path / "part", 1, rows(2), random_vectors(2, DIM))
    with pytest.raises(SourceError, match=r"img_emb_1\.npy has no text_emb of the same number beside it"):
        open_source("embeddings", tmp_path / "part", None)
    (tmp_path / "part" / "metadata" / "metadata_0.parquet").unlink()
    with pytest.raises(SourceError, match=r"img_emb_0\.npy has no metadata of the same number"):
        open_source("embeddings", tmp_path / "part", None)
    write(tmp_path / "twice", 0, rows(2), random_vectors(2, DIM))
    write(tmp_path / "twice", "00", rows(2), random_vectors(2, DIM))
    with pytest.raises(SourceError, match="have the same number"):
        open_source("embeddings", tmp_path / "twice", None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read as an array"),
        (b"no array", "cannot be read as an array"),
        (np.zeros(3), r"holds float64 \[3\], expected vectors"),
        (np.zeros((2, 3), int), r"holds int64 \[2, 3\], expected vectors"),
        (np.zeros((2, 0)), "expected vectors"),
        (np.array([[None], [{}]]), "cannot be read as an array"),
    ],
)
def test_invalid_vector_arrays_are_reported(tmp_path: Path, content: Any, reason: str) -> None:
    write(tmp_path, 0, rows(2), random_vectors(2, DIM))
    path = tmp_path / "img_emb" / "img_emb_0.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(SourceError, match=reason):
        open_source("embeddings", tmp_path, None)


def test_truncated_files_are_reported(tmp_path: Path) -> None:
    write(tmp_path, 0, rows(200), random_vectors(200, DIM))
    for path in (tmp_path / "img_emb" / "img_emb_0.npy", tmp_path / "metadata" / "metadata_0.parquet"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(SourceError, match=path.name):
            open_source("embeddings", tmp_path, None)
        path.write_bytes(whole)


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has neither img_emb/img_emb_0\.npy nor text_emb/text_emb_0\.npy"):
        open_source("embeddings", tmp_path, None)
    write(tmp_path, 0, rows(1), random_vectors(1, DIM))
    with pytest.raises(SourceError, match="is not a folder: name the folder that holds img_emb/"):
        open_source("embeddings", tmp_path / "img_emb" / "img_emb_0.npy", None)


def test_embeddings_are_searched_without_encoding_anything_again(tmp_path: Path) -> None:
    # Rows whose vectors are those of other texts and pictures: the search must find what was given.
    pictures, texts = [picture(number) for number in range(3)], ["a cat", "a dog", "a boat"]
    images, prompts = encoders().encode_images(pictures), encoders().encode_texts(texts)
    write(tmp_path / "data", 0, rows(3), images * 2, prompts * 5)
    with built(tmp_path / "indices", "embeddings", tmp_path / "data") as search:
        assert search.collection.manifest.counts == {
            "prompts": 3, "images": 3, "image_vectors": 3, "quarantined": 0,
        }  # fmt: skip
        assert search.prompt("a dog").text == "caption 1"
        assert search.image(pictures[2]).source == "/data/2.jpg"
    assert set(served_thumbnails(tmp_path / "indices").values()) == {None}  # no picture was seen
    write(tmp_path / "texts", 0, rows(3), None, prompts)
    with built(tmp_path / "second", "embeddings", tmp_path / "texts") as search:
        assert search.collection.kinds == ("prompts",)
        assert search.prompt("a boat").text == "caption 2"


def shown(indices: Path) -> set[str]:
    """Return the sources of the images that a search finds."""
    with contextlib.closing(Collection.open(indices / "c")) as collection:
        rows = collection.search("images", random_vectors(1, 256)[0], 10).rows
        return {image.source for image in collection.items.images(rows).values()}


@pytest.mark.parametrize("earlier_release", [False, True])
def test_a_hidden_item_stays_hidden_under_another_name(tmp_path: Path, earlier_release: bool) -> None:
    vectors = random_vectors(3, 256)
    write(tmp_path / "e", 0, rows(3), vectors)
    with built(tmp_path / "indices", "embeddings", tmp_path / "e") as before:
        [hidden] = [
            image for image in before.collection.items.images(range(3)).values() if image.source == "/data/1.jpg"
        ]
    collection = tmp_path / "indices" / "c"
    if earlier_release:  # without digests, and with ids alone
        (current_version(collection) / FILES.digests).unlink()
    hide(collection, [hidden.id])
    assert shown(tmp_path / "indices") == {"/data/0.jpg", "/data/2.jpg"}
    renamed = [{**row, "image_path": f"/other{row['image_path']}"} for row in rows(3)]
    write(tmp_path / "e", 0, renamed, vectors)
    with built(tmp_path / "indices", "embeddings", tmp_path / "e"):
        assert shown(tmp_path / "indices") == {"/other/data/0.jpg", "/other/data/2.jpg"}
    write(tmp_path / "e", 0, rows(3), vectors[[1, 0, 2]])  # another one took its name
    with built(tmp_path / "indices", "embeddings", tmp_path / "e"):
        assert shown(tmp_path / "indices") == {"/data/1.jpg", "/data/2.jpg"}


def test_a_hidden_prompt_stays_hidden_under_other_item_keys(tmp_path: Path) -> None:
    vectors = random_vectors(3, 256)
    write(tmp_path / "e", 0, rows(3), None, vectors)
    with built(tmp_path / "indices", "embeddings", tmp_path / "e") as before:
        prompt = before.collection.items.prompts([1])[1]
    hide(tmp_path / "indices" / "c", [prompt.id])
    write(tmp_path / "e", 0, [{**row, "image_path": f"/other{row['image_path']}"} for row in rows(3)], None, vectors)
    with built(tmp_path / "indices", "embeddings", tmp_path / "e") as after:
        assert prompt.text not in {each.text for each in after.collection.items.prompts(range(3)).values()}
