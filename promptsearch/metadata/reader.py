"""How a picture was made: the one place to ask, whatever program wrote it and wherever it wrote."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from promptsearch.metadata import comfyui
from promptsearch.metadata.embedded.containers import is_png
from promptsearch.metadata.embedded.fields import read_fields
from promptsearch.metadata.embedded.stealth import read_stealth
from promptsearch.metadata.generation import RAW, Cells, Generation, generation
from promptsearch.metadata.generators import (
    a1111,
    any_json,
    draw_things,
    easy_diffusion,
    fooocus,
    invokeai,
    midjourney,
    novelai,
    swarmui,
)

log = logging.getLogger(__name__)

_Reader = Callable[[Mapping[str, str]], Cells | None]
# Those that say whose they are come first. ComfyUI's nodes can write A1111's text beside the graph, and mean it.
_READERS: tuple[_Reader, ...] = (
    swarmui.read,
    fooocus.read,
    invokeai.read,
    novelai.read,
    draw_things.read,
    a1111.read,
    comfyui.read,
    easy_diffusion.read,
    any_json.read,
    midjourney.read,
)


def read_generation(source: bytes | Path) -> Generation | None:
    """Read what a picture file says of its making; None if it says nothing, is no picture, or cannot be read.

    Never raises: what is damaged or unusual costs at most the metadata.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            return _read(file)
    except Exception as error:  # Pillow raises whatever damage leads to, and the decoder will tell of it
        log.debug("no metadata in %s: %r", source if isinstance(source, Path) else "an upload", error)
        return None


def _read(file: BinaryIO) -> Generation | None:
    fields = read_fields(file)
    if found := generation_of_fields(fields):
        return found
    if is_png(file) and (hidden := read_stealth(file)):
        return generation_of_fields({"parameters": hidden}) or from_text(hidden)
    return None


def generation_of_fields(fields: Mapping[str, str]) -> Generation | None:
    """Read the texts of a picture by name: the first program's that has a prompt, else the first that says anything."""
    first: Cells | None = None
    for reader in _READERS:
        cells = _cells(reader, fields)
        if cells and cells.get("prompt"):
            return _generation(cells, fields)
        first = first or cells
    # A1111 writes the prompt alone if it is told to leave out the settings; a comment may be about anything.
    alone = fields.get("parameters", "").strip()
    if first is None and alone and not alone.startswith("{"):
        first = a1111.read_text(alone)
    return _generation(first, fields) if first else None


def from_text(text: str) -> Generation:
    """Read a prompt as text, perhaps followed by A1111's `Negative prompt:` and `Steps: …` lines."""
    return generation(a1111.read_text(text), {"parameters": text})


def from_object(found: Mapping[str, object]) -> Generation | None:
    """Read a JSON object that is one program's own: a graph of ComfyUI, SwarmUI's parameters, Easy Diffusion's."""
    for reader in (comfyui.read_graph, swarmui.read_object, easy_diffusion.read_object):
        if cells := reader(found):
            return generation(cells)
    return None


def _cells(reader: _Reader, fields: Mapping[str, str]) -> Cells | None:
    try:
        return reader(fields)
    except Exception:  # whatever shape another program's fields have, they cost themselves alone
        log.warning("metadata that %s cannot read", reader.__module__, exc_info=True)
        return None


def _generation(cells: Cells, fields: Mapping[str, str]) -> Generation | None:
    raw = {name: fields[name] for name in RAW if fields.get(name)}
    if "UserComment" in fields:
        raw.setdefault("parameters", fields["UserComment"])
    return generation(cells, raw) or None
