"""The result of a Spark task: vectors of pictures or texts in one `.npz` without pickles."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..decoding import Decoded, Outcome
from ..vector_cache import CachedPicture, Vector

_DIGEST = 16  # bytes


@dataclass(frozen=True)
class PictureShard:
    """The outcomes of some pictures, in order."""

    suffix: ClassVar = ".pictures.npz"

    outcomes: Sequence[Outcome]
    new: Mapping[bytes, CachedPicture]  # by digest: those that were not in the cache
    seconds: float  # of encoding

    def to_bytes(self) -> bytes:
        """Return the bytes of an `.npz`."""
        outcomes = [
            {"reason": outcome} if isinstance(outcome, str) else {"digest": outcome.digest.hex()}
            for outcome in self.outcomes
        ]
        thumbnails = [picture.thumbnail for picture in self.new.values()]
        return _bytes(
            outcomes=_raw(json.dumps(outcomes).encode()),
            seconds=np.float64(self.seconds),
            digests=_raw(b"".join(self.new)),
            vectors=_stacked([picture.vector for picture in self.new.values()]),
            sizes=np.array([picture.size for picture in self.new.values()], dtype="<i4").reshape(-1, 2),
            thumbnails=_raw(b"".join(thumbnails)),
            ends=np.cumsum([0, *map(len, thumbnails)], dtype="<i8"),
        )

    @classmethod
    def of_bytes(cls, content: bytes) -> PictureShard:
        """Read the bytes of `to_bytes`."""
        arrays = _arrays(content)
        thumbnails = arrays["thumbnails"].tobytes()
        new = {
            digest: CachedPicture(vector, (int(width), int(height)), thumbnails[start:end])
            for digest, vector, (width, height), (start, end) in zip(
                _digests(arrays), arrays["vectors"], arrays["sizes"], pairwise(arrays["ends"]), strict=True
            )
        }
        outcomes = [
            outcome.get("reason") or Decoded(bytes.fromhex(outcome["digest"]))
            for outcome in json.loads(arrays["outcomes"].tobytes())
        ]
        return cls(outcomes, new, float(arrays["seconds"]))


@dataclass(frozen=True)
class TextShard:
    """Unit vectors of some texts, float16 [embedding_dim] each, by the digest of their text, in their order.

    `truncated` says which texts the model truncated, bool [number of texts].
    """

    suffix: ClassVar = ".texts.npz"

    vectors: Mapping[bytes, Vector]
    truncated: NDArray[np.bool_]

    def to_bytes(self) -> bytes:
        """Return the bytes of an `.npz`."""
        return _bytes(
            digests=_raw(b"".join(self.vectors)),
            vectors=_stacked(list(self.vectors.values())),
            truncated=self.truncated,
        )

    @classmethod
    def of_bytes(cls, content: bytes) -> TextShard:
        """Read the bytes of `to_bytes`."""
        arrays = _arrays(content)
        return cls(dict(zip(_digests(arrays), arrays["vectors"], strict=True)), arrays["truncated"].astype(np.bool_))


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
