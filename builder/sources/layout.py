"""What kind of source a path looks like, for those who name another."""

from __future__ import annotations

import re
from pathlib import Path

from promptsearch.errors import SourceError

from .inputs.rows import columns_of_csv

# Names that nobody gives to their own pictures, and where they stand.
_PATTERNS = (
    ("embeddings", re.compile(r"(img_emb/img_emb|text_emb/text_emb)_\d+\.npy")),
    ("diffusiondb", re.compile(r"(.+/)?part-\d{6}(\.zip|/part-\d{6}\.json)|metadata(-large)?\.parquet")),
    ("img2dataset", re.compile(r"\d{5,}(_stats\.json|\.tar)")),
    ("manifest", re.compile(r"manifest\.csv")),
)
_GLOBS = {
    "embeddings": ("img_emb/img_emb_*.npy", "text_emb/text_emb_*.npy"),
    "diffusiondb": (
        "metadata*.parquet",
        *(
            f"{container}part-*{part}"
            for container in ("", "images/", "diffusiondb-large-part-*/")
            for part in (".zip", "/part-*.json")
        ),
    ),
    "img2dataset": ("*_stats.json", "*.tar"),
    "manifest": ("manifest.csv",),
}


def kind_of(path: Path) -> str | None:
    """The first kind whose files are there; None where it may be anything."""
    if path.is_file():
        return _kind_of_file(path)
    for kind, pattern in _PATTERNS:
        for glob in _GLOBS[kind]:
            if any(pattern.fullmatch(found.relative_to(path).as_posix()) for found in path.glob(glob)):
                return kind
    return None


def _kind_of_file(path: Path) -> str | None:
    if path.name.lower().endswith(".csv"):
        try:
            columns = columns_of_csv(path)
        except SourceError:
            return None
        if {"prompt", "raw_data"} <= columns:
            return "open-prompts"
        return "manifest" if columns & {"prompt", "image"} else None
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(path.name)), None)
