"""Shards as bytes, and back."""

from __future__ import annotations

import numpy as np

from builder.encode.decoding import Decoded, Outcome
from builder.encode.runners.shard import PictureShard, TextShard
from builder.encode.vector_cache import CachedPicture
from tests.support.vectors import random_vectors

VECTORS = random_vectors(3, 8).astype(np.float16)
DIGESTS = [bytes([number]) * 16 for number in range(3)]


def test_pictures_come_back_as_they_were() -> None:
    new = {
        digest: CachedPicture(vector, (64 + number, 48), b"RIFF" * number)
        for number, (digest, vector) in enumerate(zip(DIGESTS, VECTORS, strict=True))
    }
    known = b"\x00known digest\x00\x00\x00"
    outcomes: list[Outcome] = [
        Decoded(DIGESTS[1]),
        "the picture is damaged: Zählerstand 夜",
        Decoded(known),
        Decoded(DIGESTS[0]),
    ]
    shard = PictureShard.of_bytes(PictureShard(outcomes, new, 1.5).to_bytes())
    assert shard.outcomes == outcomes
    assert shard.seconds == 1.5
    assert list(shard.new) == DIGESTS
    for digest, picture in new.items():
        assert (shard.new[digest].size, shard.new[digest].thumbnail) == (picture.size, picture.thumbnail)
        assert shard.new[digest].vector.dtype == np.float16
        np.testing.assert_array_equal(shard.new[digest].vector, picture.vector)


def test_a_shard_may_have_nothing_new() -> None:
    shard = PictureShard.of_bytes(PictureShard(["no such file"], {}, 0.0).to_bytes())
    assert (shard.outcomes, shard.new) == (["no such file"], {})


def test_texts_come_back_as_they_were() -> None:
    truncated = np.array([False, True, False])
    shard = TextShard.of_bytes(TextShard(dict(zip(DIGESTS, VECTORS, strict=True)), truncated).to_bytes())
    assert list(shard.vectors) == DIGESTS
    np.testing.assert_array_equal(list(shard.vectors.values()), VECTORS)
    np.testing.assert_array_equal(shard.truncated, truncated)
