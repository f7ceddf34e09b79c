"""The full-text index of a version's prompts."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from promptsearch.storage.fulltext import FORM, SCHEMA, to_index
from promptsearch.storage.manifest import FILES


def write_words(folder: Path) -> None:
    """Index the words of the prompts in `folder`, a version that is being built."""
    (folder / FILES.words).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(folder / FILES.words, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
        database.execute(f"PRAGMA user_version = {FORM}")
        database.create_function("to_index", 1, to_index, deterministic=True)
        database.execute("ATTACH ? AS items", (str(folder / FILES.items),))
        database.execute("BEGIN")
        database.execute("INSERT INTO words (rowid, text) SELECT row, to_index(text) FROM items.prompts ORDER BY row")
        database.execute("INSERT INTO words (words) VALUES ('optimize')")
        database.execute("COMMIT")
