"""`folder`: your own generations, in folders of any depth.

Prompt and settings are read from each picture's own metadata (see `generation`), else from a file beside it:

- `name.txt` (or `name.png.txt`): the prompt, perhaps with AUTOMATIC1111's `Negative prompt:` and `Steps: …` lines;
- `name.json`: an object with `prompt`, `negative_prompt`, `seed`, `steps`, `cfg_scale`, `sampler`, `model`, `created`
  (seconds since 1970 or ISO 8601), all optional; whatever else it has is kept among the image's `extra`.

A picture without either is still a picture. `created` is what the metadata says and never the file's own time, which
changes with every copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from promptsearch.errors import SourceError
from promptsearch.metadata.values import json_object, text, told

from . import Item, Rejected
from .generation import Generation, from_text, read_generation
from .picture import FilePicture
from .tree import pictures_below

_SIDECAR_BYTES = 2**20  # more is no prompt


class FolderSource:
    kind = "folder"

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SourceError(f"{path} is no folder: name the one that your pictures lie in")
        self.root = path.resolve()

    def count(self) -> int:
        return sum(1 for _ in pictures_below(self.root))

    def items(self) -> Iterator[Item | Rejected]:
        for found in pictures_below(self.root):
            if isinstance(found, Rejected):
                yield found
            else:
                yield from self._item(found)

    def _item(self, file: str) -> Iterator[Item | Rejected]:
        path = self.root / file
        generation = read_generation(path) or Generation()
        if generation.prompt is None:
            for sidecar in _sidecars(path):
                try:
                    beside = _read_sidecar(sidecar)
                except ValueError as error:
                    yield Rejected(sidecar.relative_to(self.root).as_posix(), f"{error}; the picture is kept")
                    continue
                # What the picture says of itself is nearer to it.
                generation = Generation(
                    beside.prompt,
                    {**beside.settings, **generation.settings},
                    {**beside.extra, **generation.extra},
                )
                break
        yield Item(
            key=file,
            source=file,
            prompt=generation.prompt,
            picture=FilePicture(self.root, file),
            settings=generation.settings,
            extra=generation.extra,
        )


def _sidecars(picture: Path) -> Iterator[Path]:
    for suffix in (".json", ".txt"):
        for path in (picture.with_suffix(suffix), picture.with_name(picture.name + suffix)):
            if path.is_file():
                yield path


def _read_sidecar(path: Path) -> Generation:
    """Raises ValueError."""
    try:
        with path.open("rb") as file:
            raw = file.read(_SIDECAR_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if len(raw) > _SIDECAR_BYTES:
        raise ValueError("more than 1 MB is no prompt")
    content = raw.decode("utf-8-sig", "replace")
    return from_text(content) if path.suffix == ".txt" else _from_object(content)


def _from_object(content: str) -> Generation:
    cells = json_object(content)
    prompt = cells.pop("prompt", None)
    settings, extra = told(cells)
    return Generation((text(prompt).strip() or None) if prompt is not None else None, settings, extra)
