"""Read the files beside a picture that describe how it was generated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from promptsearch.metadata import Generation, from_object, from_text
from promptsearch.metadata.generation import generation
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.metadata.values import json_object
from promptsearch.system.files import read_regular

from .picture import is_file

# SwarmUI's, the common ones, and the captions of kohya's training scripts; the first that exists wins.
SUFFIXES = (".swarm.json", ".json", ".txt", ".caption")
_MAX_BYTES = 2**20  # limit for a prompt
_MAX_GRAPH_BYTES = 2**25  # limit for a graph of ComfyUI


def sidecars_of(picture: Path) -> Iterator[Path]:
    """Yield the existing sidecars of a picture: `a.txt` and `a.png.txt` for `a.png`, suffixes in either case."""
    for suffix in SUFFIXES:
        for spelling in (suffix, suffix.upper()):
            for path in (picture.with_suffix(spelling), picture.with_name(picture.name + spelling)):
                if path != picture and is_file(path):
                    yield path


def read_sidecar(path: Path) -> Generation:
    """Read a sidecar. Raises ValueError if it cannot be read, is too large, or is not text or JSON."""
    is_json = path.suffix.lower() == ".json"
    content = decode_text(_bytes(path, _MAX_GRAPH_BYTES if is_json else _MAX_BYTES))
    if not is_json:
        return from_text(content)
    cells = json_object(content)
    # A prompt that is not text is kept in `extra`.
    return from_object(cells) or generation(cells)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        raw = read_regular(path, limit)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if len(raw) > limit:
        raise ValueError(f"larger than {limit >> 20} MB, too large for a prompt")
    return raw
