"""`folder`: generated pictures in folders of any depth.

The prompt and settings come from each picture's own metadata (`promptsearch/metadata/`), else from a file beside it:

- `name.txt`, `name.caption` (or `name.png.txt`): the prompt, perhaps with AUTOMATIC1111's `Negative prompt:` and
  `Steps: …` lines;
- `name.json`: a ComfyUI graph, a sidecar of SwarmUI or Easy Diffusion, or an object with `prompt`, `negative_prompt`,
  `seed`, `steps`, `cfg_scale`, `sampler`, `model`, `created` (seconds since 1970 or ISO 8601), all optional; any
  other field is kept in the image's `extra`.

A picture without either is kept, without a prompt. `created` comes from the metadata and never from the file's
modification time, which changes with every copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from promptsearch.errors import SourceError
from promptsearch.metadata import Generation, read_generation

from . import Item, Rejected
from .inputs.picture import FilePicture
from .inputs.reading import read_item
from .inputs.sidecars import read_sidecar, sidecars_of
from .inputs.tree import pictures_below


class FolderSource:
    """Pictures below a folder, with the metadata that their generators wrote."""

    kind = "folder"

    def __init__(self, path: Path) -> None:
        """Open the folder. Raises SourceError if it is not one."""
        if not path.is_dir():
            raise SourceError(f"{path} is not a folder: name the folder that holds your pictures")
        self.root = path.resolve()

    def count(self) -> int:
        """Return the number of pictures and rejected files, which takes a walk over all folders."""
        return sum(1 for _ in pictures_below(self.root))

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the pictures by path, each after the rejections of its unreadable sidecars."""
        for picture in pictures_below(self.root):
            if isinstance(picture, Rejected):
                yield picture
            else:
                yield from self.read(picture)

    def read(self, file: str) -> Iterator[Item | Rejected]:
        """Yield the item of a picture, its path below the root with forward slashes, and its rejected sidecars."""
        yield from read_item(file, partial(self._item, file))

    def _item(self, file: str) -> Iterator[Item | Rejected]:
        path = self.root / file
        generation = read_generation(path) or Generation()
        if generation.prompt is None:
            for sidecar in sidecars_of(path):
                try:
                    beside = read_sidecar(sidecar)
                except ValueError as error:
                    yield Rejected(sidecar.relative_to(self.root).as_posix(), f"{error}; the picture is kept")
                    continue
                generation = generation.completed(beside)
                break
        yield Item(
            key=file,
            source=file,
            prompt=generation.prompt,
            picture=FilePicture(self.root, file),
            settings=generation.settings,
            extra=generation.described,
            raw=generation.raw,
        )
