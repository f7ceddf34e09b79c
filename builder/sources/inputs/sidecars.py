"""Files beside a picture that say how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from promptsearch.metadata import Generation, from_object, from_text
from promptsearch.metadata.generation import generation
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.metadata.values import json_object

# SwarmUI's, everyone's, and the captions of kohya's training scripts; the first that is there counts.
SUFFIXES = (".swarm.json", ".json", ".txt", ".caption")
_MAX_BYTES = 2**20  # more is no prompt
_MAX_GRAPH_BYTES = 2**25  # more is no graph of ComfyUI's


def sidecars_of(picture: Path) -> Iterator[Path]:
    """Yield `a.txt` and `a.png.txt` for `a.png`, in lower case or capitals."""
    for suffix in SUFFIXES:
        for spelling in (suffix, suffix.upper()):
            for path in (picture.with_suffix(spelling), picture.with_name(picture.name + spelling)):
                if path != picture and path.is_file():
                    yield path


def read_sidecar(path: Path) -> Generation:
    """Read a sidecar. Raises ValueError that says what is wrong with it."""
    is_json = path.suffix.lower() == ".json"
    content = decode_text(_bytes(path, _MAX_GRAPH_BYTES if is_json else _MAX_BYTES))
    if not is_json:
        return from_text(content)
    cells = json_object(content)
    # A prompt that is no text is kept among what else there is, and is no prompt.
    return from_object(cells) or generation(cells)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if len(raw) > limit:
        raise ValueError(f"more than {limit >> 20} MB is no prompt")
    return raw
