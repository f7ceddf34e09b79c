"""Read how a picture was generated, whatever program wrote its metadata and in whatever form."""

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
from promptsearch.system.files import open_regular

log = logging.getLogger(__name__)

_Reader = Callable[[Mapping[str, str]], Cells | None]
# Formats that name their program come first. If ComfyUI's nodes write A1111's text beside the graph, the text wins.
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
    """Read the metadata of a picture file; None if it has none, is not a picture, or cannot be read.

    Never raises: for damaged or unusual files only the metadata is lost.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
            return _read(file)
    except Exception as error:  # Pillow raises many types for damaged files; the decoder reports them
        log.debug("no metadata in %s: %r", source if isinstance(source, Path) else "an upload", error)
        return None


def _read(file: BinaryIO) -> Generation | None:
    fields = read_fields(file)
    if described := generation_of_fields(fields):
        return described
    if is_png(file) and (hidden := read_stealth(file)):
        return generation_of_fields({"parameters": hidden}) or from_text(hidden)
    return None


def generation_of_fields(fields: Mapping[str, str]) -> Generation | None:
    """Read a picture's texts by name: the first reader's result with a prompt, else the first result."""
    first: Cells | None = None
    for reader in _READERS:
        cells = _cells(reader, fields)
        if cells and cells.get("prompt"):
            return _generation(cells, fields)
        first = first or cells
    # A1111 can be set to write only the prompt, in `parameters`; a comment could be anything.
    alone = fields.get("parameters", "").strip()
    if first is None and alone and not alone.startswith("{"):
        first = a1111.read_text(alone)
    return _generation(first, fields) if first else None


def from_text(text: str) -> Generation:
    """Read a prompt as text, with A1111's `Negative prompt:` and `Steps: …` lines if they follow it."""
    return generation(a1111.read_text(text), {"parameters": text})


def from_object(content: Mapping[str, object]) -> Generation | None:
    """Read a JSON object of ComfyUI (a graph), SwarmUI or Easy Diffusion; None if it is none of these."""
    for reader in (comfyui.read_graph, swarmui.read_object, easy_diffusion.read_object):
        if cells := reader(content):
            return generation(cells)
    return None


def _cells(reader: _Reader, fields: Mapping[str, str]) -> Cells | None:
    try:
        return reader(fields)
    except Exception:  # fields of an unexpected shape must not stop the other readers
        log.warning("metadata that %s cannot read", reader.__module__, exc_info=True)
        return None


def _generation(cells: Cells, fields: Mapping[str, str]) -> Generation | None:
    raw = {name: fields[name] for name in RAW if fields.get(name)}
    if "UserComment" in fields:
        raw.setdefault("parameters", fields["UserComment"])
    return generation(cells, raw) or None
