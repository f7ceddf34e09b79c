"""What a task hands over: vectors, and what else was made of some pictures or texts, in one `.npz` without pickles."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..cache import CachedPicture, Vector
from ..decoding import Decoded, Outcome

_DIGEST = 16  # bytes


@dataclass(frozen=True)
class PictureShard:
    """What became of some pictures, in their order."""

    suffix: ClassVar = ".pictures.npz"

    outcomes: Sequence[Outcome]
    new: Mapping[bytes, CachedPicture]  # by digest: those that were not known before
    seconds: float  # of encoding

    def to_bytes(self) -> bytes:
        told = [{"reason": one} if isinstance(one, str) else {"digest": one.digest.hex()} for one in self.outcomes]
        thumbnails = [one.thumbnail for one in self.new.values()]
        return _bytes(
            told=_raw(json.dumps(told).encode()),
            seconds=np.float64(self.seconds),
            digests=_raw(b"".join(self.new)),
            vectors=_stacked([one.vector for one in self.new.values()]),
            sizes=np.array([one.size for one in self.new.values()], dtype="<i4").reshape(-1, 2),
            thumbnails=_raw(b"".join(thumbnails)),
            ends=np.cumsum([0, *map(len, thumbnails)], dtype="<i8"),
        )

    @classmethod
    def of_bytes(cls, content: bytes) -> PictureShard:
        arrays = _arrays(content)
        thumbnails = arrays["thumbnails"].tobytes()
        new = {
            digest: CachedPicture(vector, (int(width), int(height)), thumbnails[start:end])
            for digest, vector, (width, height), (start, end) in zip(
                _digests(arrays), arrays["vectors"], arrays["sizes"], pairwise(arrays["ends"]), strict=True
            )
        }
        told = json.loads(arrays["told"].tobytes())
        outcomes = [one.get("reason") or Decoded(bytes.fromhex(one["digest"])) for one in told]
        return cls(outcomes, new, float(arrays["seconds"]))


@dataclass(frozen=True)
class TextShard:
    """Unit vectors of some texts, float16 [embedding_dim] each, by the digest of their text, in their order."""

    suffix: ClassVar = ".texts.npz"

    vectors: Mapping[bytes, Vector]

    def to_bytes(self) -> bytes:
        return _bytes(digests=_raw(b"".join(self.vectors)), vectors=_stacked(list(self.vectors.values())))

    @classmethod
    def of_bytes(cls, content: bytes) -> TextShard:
        arrays = _arrays(content)
        return cls(dict(zip(_digests(arrays), arrays["vectors"], strict=True)))


def _bytes(**arrays: NDArray[np.generic] | np.generic) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)


def _raw(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)


def _stacked(vectors: Sequence[Vector]) -> NDArray[np.float16]:
    return np.stack(vectors).astype("<f2") if vectors else np.empty((0, 0), "<f2")


def _digests(arrays: Mapping[str, NDArray[np.generic]]) -> list[bytes]:
    raw = arrays["digests"].tobytes()
    return [raw[start : start + _DIGEST] for start in range(0, len(raw), _DIGEST)]
