"""Pictures decoded in other processes: in order, once, and each by itself if one kills its process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builder.encode.decoding import CHUNK, Decoded, Decoders, chunks, to_decode
from builder.encode.vector_cache import Cache, CachedPicture
from builder.sources import Item, Rejected
from builder.sources.inputs.picture import FilePicture
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.digests import digest_of
from tests.support.drawing import as_bytes, picture


@dataclass(frozen=True)
class Deadly:
    """A picture that ends the process that reads it, as a decoder's crash does."""

    file: str | None = None

    def read(self) -> bytes:
        os._exit(9)


def pictures(folder: Path, count: int) -> list[Item | Rejected]:
    for number in range(count):
        (folder / f"{number}.png").write_bytes(as_bytes(picture(number, 80, 64)))
    return [Item(f"{n}", f"{n}", None, FilePicture(folder, f"{n}.png")) for n in range(count)]


def test_items_keep_their_order_and_known_pictures_are_not_decoded(vit_bundle: Bundle, tmp_path: Path) -> None:
    items = [*pictures(tmp_path, 2 * CHUNK + 3), Rejected("row 7", "no item"), Item("words", "words", "only words")]
    (tmp_path / "3.png").write_bytes(b"no picture")
    with Cache(tmp_path / "c", vit_bundle) as cache:
        known = digest_of((tmp_path / "5.png").read_bytes())
        cache.add_pictures([(known, CachedPicture(np.zeros(vit_bundle.embedding_dim, np.float16), (80, 64), b""))])
        with Decoders(vit_bundle.image, cache.path, 2) as decoders:
            outcomes = list(decoders.decode(items))
    assert [item for item, _ in outcomes] == items
    assert [outcome for _, outcome in outcomes[-2:]] == [None, None]
    assert (
        outcomes[3][1] == "this is not a picture that can be read; readable are " + str(outcomes[3][1]).split("are ")[1]
    )
    assert outcomes[5][1] == Decoded(known)
    decoded = outcomes[0][1]
    assert isinstance(decoded, Decoded)
    assert (decoded.size, decoded.digest) == ((80, 64), digest_of((tmp_path / "0.png").read_bytes()))
    assert decoded.crop is not None
    assert decoded.crop.shape == (64, 64, 3)


def test_a_picture_that_kills_its_process_is_the_only_one_lost(vit_bundle: Bundle, tmp_path: Path) -> None:
    items = pictures(tmp_path, CHUNK + 2)
    items[2:2] = [Item("deadly", "deadly", None, Deadly())]
    with Cache(tmp_path / "c", vit_bundle) as cache, Decoders(vit_bundle.image, cache.path, 1) as decoders:
        outcomes = [outcome for _, outcome in decoders.decode(items)]
    assert "the process that decoded it died" in str(outcomes.pop(2))
    assert all(isinstance(outcome, Decoded) for outcome in outcomes)


@given(
    with_picture=st.lists(st.booleans(), max_size=60), most_pictures=st.integers(1, 9), most_items=st.integers(1, 20)
)
def test_chunks_are_as_long_as_both_limits_allow(with_picture: list[bool], most_pictures: int, most_items: int) -> None:
    items: list[Item | Rejected] = [
        Item(f"{n}", f"{n}", None, Deadly() if has_picture else None) for n, has_picture in enumerate(with_picture)
    ]
    parts = list(chunks(items, most_pictures=most_pictures, most_items=most_items))
    assert [item for part in parts for item in part] == items
    for part in parts:
        count = sum(to_decode(item) is not None for item in part)
        assert 0 < len(part) <= most_items
        assert count <= most_pictures
        assert part is parts[-1] or len(part) == most_items or count == most_pictures
