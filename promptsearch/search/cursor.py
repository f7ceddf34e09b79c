"""Where the next page begins: stateless and self-contained, so any replica answers it and nothing is encoded twice.

A cursor carries the version it belongs to, all that was asked (the query as its vector) and the place in its ranking to
go on from.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import CursorError, QueryError
from promptsearch.search.options import Options, Search
from promptsearch.storage.manifest import KINDS

_SIZE = 2  # bytes of the length of what is not the vector


@dataclass(frozen=True)
class Cursor:
    version: str
    search: Search
    offset: int  # places in the ranking that the pages before have used up, those of hidden items included

    def encode(self) -> str:
        """URL-safe text: length, JSON, vector, checksum."""
        search = self.search
        said = {"kind": search.kind, "version": self.version, "offset": self.offset, "exclude": search.exclude or None,
                "words": search.words, "options": search.options.changed() or None}  # fmt: skip
        text = json.dumps({name: value for name, value in said.items() if value is not None}, separators=(",", ":"))
        vector = b"" if search.vector is None else search.vector.astype("<f4").tobytes()
        body = len(text).to_bytes(_SIZE, "little") + text.encode() + vector  # JSON that is ASCII
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
            end = _SIZE + int.from_bytes(body[:_SIZE], "little")
            return cls._of(json.loads(body[_SIZE:end]), np.frombuffer(body, dtype="<f4", offset=min(end, len(body))))
        # a checksum keeps accidents out, not inventions
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, QueryError):
            raise CursorError("this is no cursor; pass the `next` of an answer unchanged") from None

    @classmethod
    def _of(cls, said: dict[str, Any], vector: NDArray[np.float32]) -> Cursor:
        if said["kind"] not in KINDS or not np.isfinite(vector).all() or int(said["offset"]) < 0:
            raise ValueError
        search = Search(
            said["kind"],
            vector.astype(np.float32) if len(vector) else None,
            Options.of(said.get("options", {})),
            said.get("words"),
            tuple(int(row) for row in said.get("exclude", ())),
        )
        return cls(str(said["version"]), search, int(said["offset"]))
