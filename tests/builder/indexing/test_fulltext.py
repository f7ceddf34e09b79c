"""Test the full-text index of prompts."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from builder.indexing.fulltext import write_words
from promptsearch.storage.manifest import FILES


def test_words_are_found_by_the_rows_of_their_prompts(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILES.items)) as items:
        items.execute("CREATE TABLE prompts (row INTEGER PRIMARY KEY, text TEXT)")
        items.executemany("INSERT INTO prompts VALUES (?, ?)", [(0, "a red fox"), (1, "Café at night"), (2, "red")])
        items.commit()
    for _ in range(2):  # the second time replaces the first
        write_words(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILES.words)) as words:
        rows = {
            word: [row for (row,) in words.execute("SELECT rowid FROM words WHERE words MATCH ?", (word,))]
            for word in ("red", "cafe", "dog")
        }
    assert rows == {"red": [0, 2], "cafe": [1], "dog": []}
