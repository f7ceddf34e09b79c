"""Where the next page begins: stateless and self-contained, so any replica answers it and nothing is encoded twice.

A cursor carries the version it belongs to, the query vector itself and the place in its ranking to go on from.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import CursorError
from promptsearch.manifest import Kind

_KINDS: dict[Kind, bytes] = {"images": b"i", "prompts": b"p"}
_KIND_OF = {code: kind for kind, code in _KINDS.items()}
_HEADER = np.dtype([("kind", "S1"), ("offset", "<u4"), ("exclude", "<i8"), ("version", "<u1")])


@dataclass(frozen=True)
class Cursor:
    kind: Kind
    version: str
    query: NDArray[np.float32]  # unit vector [embedding_dim]
    offset: int  # places in the ranking that the pages before have used up, hidden items' included
    exclude: int  # row that is never an answer (what "similar" was asked about), -1 for none

    def encode(self) -> str:
        """URL-safe text: header, version, vector, checksum."""
        version = self.version.encode()
        header = np.array((_KINDS[self.kind], self.offset, self.exclude, len(version)), dtype=_HEADER).tobytes()
        body = header + version + self.query.astype("<f4").tobytes()
        return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "little")).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises CursorError for anything that `encode` did not write."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        body, check = data[:-4], data[-4:]
        try:
            if zlib.crc32(body).to_bytes(4, "little") != check:
                raise ValueError
            header = np.frombuffer(body, dtype=_HEADER, count=1)[0]
            start = _HEADER.itemsize + int(header["version"])
            kind = _KIND_OF[bytes(header["kind"])]
            version = body[_HEADER.itemsize : start].decode()
            query = np.frombuffer(body, dtype="<f4", offset=start).astype(np.float32)
            if not np.isfinite(query).all():
                raise ValueError
        except (ValueError, KeyError):  # a checksum keeps accidents out, not inventions
            raise CursorError("this is no cursor; pass the `next` of an answer unchanged") from None
        return cls(kind, version, query, int(header["offset"]), int(header["exclude"]))
