"""The words of prompts: full-text search in `words.sqlite`, an FTS5 index that keeps no copy of the texts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.storage.manifest import FILES
from promptsearch.storage.sqlite import Database

SCHEMA = "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')"
# What stands in quotes is a phrase; whatever else has no blank in it is a word.
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


class FullTextIndex:
    """Read access, from any thread; on a connection of its own, for ranking common words may take a while."""

    def __init__(self, folder: Path) -> None:
        """Raises CollectionError."""
        self._database = Database(folder / FILES.words, "SELECT rowid FROM words LIMIT 1")

    def ranked(self, text: str) -> NDArray[np.int64]:
        """The rows of the prompts that have every word (and every phrase in quotes) of `text`, by BM25, best first."""
        terms = [phrase or word.replace('"', "") for phrase, word in _TERMS.findall(text.replace("\0", " "))]
        asked = " ".join(f'"{term}"' for term in terms if any(letter.isalnum() for letter in term))
        if not asked:
            return np.empty(0, dtype=np.int64)
        # Equal ranks by row, so that the same question always has the same answer.
        found = self._database.rows("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid", (asked,))
        return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))

    def close(self) -> None:
        self._database.close()
