"""Full-text search of prompts in `words.sqlite`, an FTS5 index without a copy of the texts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.storage.manifest import FILES
from promptsearch.storage.sqlite import Database

SCHEMA = "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')"
# A phrase in quotes, or a word.
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


class FullTextIndex:
    """Searches prompts by their words; safe to use from several threads.

    It has a connection of its own, because ranking common words may take long.
    """

    def __init__(self, folder: Path) -> None:
        """Open the index of a version's folder. Raises CollectionError if it is damaged."""
        self._database = Database(folder / FILES.words, "SELECT rowid FROM words LIMIT 1")

    def search(self, text: str) -> NDArray[np.int64]:
        """Return the rows of the prompts with all words and quoted phrases of `text`, best first by BM25: int64 [n]."""
        terms = [phrase or word.replace('"', "") for phrase, word in _TERMS.findall(text.replace("\0", " "))]
        query = " ".join(f'"{term}"' for term in terms if any(letter.isalnum() for letter in term))
        if not query:
            return np.empty(0, dtype=np.int64)
        # Equal ranks are ordered by row, so that the same query always has the same results.
        rows = self._database.rows("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid", (query,))
        return np.fromiter((row for (row,) in rows), dtype=np.int64, count=len(rows))

    def close(self) -> None:
        """Close the index."""
        self._database.close()
