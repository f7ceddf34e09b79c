"""Full-text search of prompts in `words.sqlite`, an FTS5 index without a copy of the texts.

Scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), and Korean, whose words have
endings, are indexed as overlapping pairs of characters, so that any part of a run is found.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.storage.manifest import FILES
from promptsearch.storage.sqlite import Database

SCHEMA = "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')"
FORM = 1  # of the index, in its `user_version`: 0 lacks pairs of characters
_RUN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]+"
)
_PLURAL = re.compile("[a-z]{2,}[^aius]s", re.ASCII)  # not the endings of canvas, iris, virus, glass
# A phrase in quotes, or a word.
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


def to_index(text: str) -> str:
    """Return a text as it is indexed: of each run of characters its pairs and its last character."""
    return text if text.isascii() else _RUN.sub(lambda run: f" {_pairs(run[0])} {run[0][-1]} ", text)


def _pairs(run: str) -> str:
    return " ".join(run[place : place + 2] for place in range(len(run) - 1))


def _singular(word: str) -> str | None:
    """Return the singular of an English word that looks like a plural, else None."""
    lower = word.lower()
    if not _PLURAL.fullmatch(lower):
        return None
    if lower.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if lower.endswith(("xes", "zes", "ches", "shes", "sses")) else word[:-1]


def _to_query(term: str) -> str:
    """Return FTS5's phrase for a term, which ends anywhere in a run: with a pair, or with the first of one."""
    runs = [*_RUN.finditer(term)]
    if not runs or runs[-1].end() < len(term):
        return f'"{to_index(term)}"'
    before, run = to_index(term[: runs[-1].start()]), runs[-1][0]
    return f'"{before} {run}" *' if len(run) == 1 else f'"{before} {_pairs(run)}"'


class FullTextIndex:
    """Searches prompts by their words; safe to use from several threads.

    It has a connection of its own, because ranking common words may take long.
    """

    def __init__(self, folder: Path) -> None:
        """Open the index of a version's folder. Raises CollectionError if it is damaged."""
        self._database = Database(folder / FILES.words, "SELECT rowid FROM words LIMIT 1")
        ((form,),) = self._database.rows("PRAGMA user_version")
        self._has_pairs = form >= FORM

    def search(self, text: str) -> NDArray[np.int64]:
        """Return the rows of the prompts with all words and quoted phrases of `text`, best first by BM25: int64 [n].

        A word in the plural also finds its singular.
        """
        parts = [self._part(*found) for found in _TERMS.findall(text.replace("\0", " "))]
        query = " AND ".join(part for part in parts if part)
        if not query:
            return np.empty(0, dtype=np.int64)
        # Equal ranks are ordered by row, so that the same query always has the same results.
        rows = self._database.rows("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid", (query,))
        return np.fromiter((row for (row,) in rows), dtype=np.int64, count=len(rows))

    def _part(self, phrase: str, word: str) -> str:
        """Return FTS5's expression for a phrase or a word, empty for one without letters and digits."""
        term = phrase or word.replace('"', "")
        if not any(letter.isalnum() for letter in term):
            return ""
        singular = None if phrase else _singular(term)
        spellings = [term] if singular is None else [term, singular]
        expressions = [_to_query(spelling) if self._has_pairs else f'"{spelling}"' for spelling in spellings]
        return f"({' OR '.join(expressions)})"

    def close(self) -> None:
        """Close the index."""
        self._database.close()
