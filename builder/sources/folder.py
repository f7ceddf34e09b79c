"""`folder`: your own generations, in folders of any depth.

Prompt and settings are read from each picture's own metadata (`promptsearch/metadata/`), else from a file beside it:

- `name.txt`, `name.caption` (or `name.png.txt`): the prompt, perhaps with AUTOMATIC1111's `Negative prompt:` and
  `Steps: …` lines;
- `name.json`: a graph of ComfyUI, what SwarmUI or Easy Diffusion write, or an object with `prompt`, `negative_prompt`,
  `seed`, `steps`, `cfg_scale`, `sampler`, `model`, `created` (seconds since 1970 or ISO 8601), all optional; whatever
  else it has is kept among the image's `extra`.

A picture without either is still a picture. `created` is what the metadata says and never the file's own time, which
changes with every copy.
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
                yield from read_item(found, partial(self._item, found))

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
