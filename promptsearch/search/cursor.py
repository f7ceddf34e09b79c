"""Cursors: where the next page begins, as text.

A cursor contains its version, the whole search (the query as a vector) and the place to continue from. So any replica
can answer it, and nothing is encoded twice.
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

_LENGTH_BYTES = 2  # of the length of the JSON


@dataclass(frozen=True)
class Cursor:
    """A place in the ranking of a search of one version."""

    version: str
    search: Search
    offset: int  # places of the ranking before this page, those of hidden items included

    def encode(self) -> str:
        """Return the cursor as URL-safe text: length, JSON, vector, checksum."""
        search = self.search
        values = {
            "kind": search.kind,
            "version": self.version,
            "offset": self.offset,
            "exclude": search.exclude or None,
            "words": search.words,
            "options": search.options.non_defaults() or None,
        }
        text = json.dumps({name: value for name, value in values.items() if value is not None}, separators=(",", ":"))
        vector = b"" if search.vector is None else search.vector.astype("<f4").tobytes()
        body = len(text).to_bytes(_LENGTH_BYTES, "little") + text.encode() + vector  # the JSON is ASCII
        return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "little")).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Return the cursor that `encode` wrote. Raises CursorError for any other text."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        body, check = data[:-4], data[-4:]
        try:
            if zlib.crc32(body).to_bytes(4, "little") != check:
                raise ValueError
            end = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
            vector = np.frombuffer(body, dtype="<f4", offset=min(end, len(body)))
            return cls._from_values(json.loads(body[_LENGTH_BYTES:end]), vector)
        # The checksum detects accidents, but not forged cursors.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, QueryError):
            raise CursorError("this is not a cursor: pass the `next` of an answer unchanged") from None

    @classmethod
    def _from_values(cls, values: dict[str, Any], vector: NDArray[np.float32]) -> Cursor:
        if values["kind"] not in KINDS or not np.isfinite(vector).all() or int(values["offset"]) < 0:
            raise ValueError
        search = Search(
            values["kind"],
            vector.astype(np.float32) if len(vector) else None,
            Options.from_non_defaults(values.get("options", {})),
            values.get("words"),
            tuple(int(row) for row in values.get("exclude", ())),
        )
        return cls(str(values["version"]), search, int(values["offset"]))
