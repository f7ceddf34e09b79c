"""The published weights that have a name here: OpenAI's by OpenAI's names, others by open_clip's.

`models.json` is the table. `sha256` is what is published beside the weights: all of it by OpenAI, its first eight
digits by open_clip's releases, none by repositories of the Hugging Face hub. There, the hub says it with each download.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from promptsearch.errors import ExportError

from ..clip.architectures import QUICK_GELU
from ..clip.checkpoint import MEAN, STD

HALF = (0.5, 0.5, 0.5)  # mean and deviation of the normalisation "inception"


@dataclass(frozen=True)
class Published:
    """Weights that are published: at a URL, or in a repository of the Hugging Face hub."""

    name: str
    licence: str
    url: str | None = None
    repository: str | None = None
    sha256: str | None = None  # or the beginning of it
    normalisation: str = "openai"

    @property
    def open_clip(self) -> str | None:
        """Return open_clip's name of the architecture, or None for OpenAI's own weights."""
        return None if self.tag is None else self.name.partition("/")[0]

    @property
    def tag(self) -> str | None:
        """Return open_clip's name of the weights, or None for OpenAI's own."""
        return None if self.name in OPENAI else self.name.partition("/")[2]

    @property
    def quick_gelu(self) -> bool:
        """Return whether the activation is OpenAI's approximation of GELU."""
        return self.open_clip is None or self.open_clip.endswith(QUICK_GELU)

    @property
    def mean(self) -> tuple[float, float, float]:
        """Return the mean of RGB that is subtracted from pictures."""
        return HALF if self.normalisation == "inception" else MEAN

    @property
    def std(self) -> tuple[float, float, float]:
        """Return the deviation of RGB that pictures are divided by."""
        return HALF if self.normalisation == "inception" else STD


OPENAI = ("RN50", "ViT-B/32", "ViT-B/16", "ViT-L/14", "ViT-L/14@336px")


@cache
def table() -> dict[str, Published]:
    """Return all published weights by name."""
    rows = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
    return {name: Published(name, **row) for name, row in rows.items()}


def published(name: str) -> Published:
    """Return the weights of a name. Raises ExportError, which says what there is."""
    if name in table():
        return table()[name]
    near = difflib.get_close_matches(name, table(), n=4, cutoff=0.5)
    known = f"did you mean {', '.join(near)}" if near else f"known ones are {', '.join(table())}"
    raise ExportError(
        f"expected a file, hf://ORG/REPO or a published model, got {name}: {known}. "
        "Pass the file or the repository of any other"
    )


def of_architecture(architecture: str) -> dict[str, Published]:
    """Return the published weights of one of open_clip's architectures, by tag."""
    return {row.tag: row for row in table().values() if row.open_clip == architecture and row.tag is not None}
