"""The inputs of `bench.service_speed`, the same for both services: a model, collections, pictures, queries.

They are seeded. Inputs that take minutes are created once and kept in a folder, and created again if the current code
cannot read them.
"""

from __future__ import annotations

import csv
import logging
import random
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BundleError, CollectionError, UnknownCollection
from promptsearch.storage.manifest import FILES, Manifest, current_version

COUNTS = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}
PROMPTS = 20_000  # of a collection, at most
MODEL = "vit-b-32"
VOCABULARY = Path("builder/demo/emoji/manifest.csv")
WORDS = (2, 6)  # of a query, at least and at most

log = logging.getLogger(__name__)


class Material:
    """The files of one folder, created if they are missing.

    PyTorch is imported only to create them, so it is not in the measuring processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.models = folder / "models"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """Return the path of the weights, a state dict."""
        path = self._folder / "clip.pt"
        if not path.exists():
            from bench.support.making import make_checkpoint

            make_checkpoint(path)
        return path

    def bundle(self) -> Bundle:
        """Return the same weights as a bundle, in fp32 and int8."""
        path = self.models / MODEL
        try:
            return Bundle.open(path)
        except BundleError:
            from bench.support.making import make_bundle

            log.info("exporting the model")
            shutil.rmtree(path, ignore_errors=True)
            make_bundle(self.checkpoint, path)
        return Bundle.open(path)

    def collection(self, name: str) -> Path:
        """Return the folder of indices with the published collection of COUNTS[name] pictures alone."""
        indices = self._folder / "indices" / name
        if not self._is_current(indices / name):
            from bench.support.making import make_collection

            log.info("building the collection of %s pictures", name)
            count = COUNTS[name]
            texts = Queries(1).take(min(PROMPTS, count))
            make_collection(indices / name, self.bundle(), count, [f"{text}, many details" for text in texts])
        return indices

    def _is_current(self, collection: Path) -> bool:
        try:
            manifest = Manifest.read(current_version(collection))
        except (UnknownCollection, CollectionError):
            return False
        return manifest.model.identity == self.bundle().identity

    def version(self, name: str) -> Path:
        """Return the folder with the collection's files."""
        return current_version(self.collection(name) / name)

    def pictures(self) -> list[bytes]:
        """Return the contents of PNG files."""
        folder = self._folder / "pictures"
        if not folder.exists():
            from bench.support.making import make_pictures

            make_pictures(folder)
        return [path.read_bytes() for path in sorted(folder.iterdir())]


class Queries:
    """Different texts of a few words; a seed always leads to the same texts in the same order."""

    def __init__(self, seed: int) -> None:
        with VOCABULARY.open(encoding="utf-8", newline="") as file:
            self._words = sorted({word for row in csv.DictReader(file) for word in row["prompt"].split()})
        self._random = random.Random(seed)  # noqa: S311 - synthetic queries
        self._taken: set[str] = set()

    def take(self, count: int) -> list[str]:
        """Return the next `count` texts."""
        taken: list[str] = []
        while len(taken) < count:
            text = " ".join(self._random.choices(self._words, k=self._random.randint(*WORDS)))
            if text not in self._taken:
                self._taken.add(text)
                taken.append(text)
        return taken


def stored(version: Path) -> NDArray[np.float16]:
    """Return the vectors of all pictures, float16 [n, embedding_dim], mapped."""
    vectors: NDArray[np.float16] = np.load(version / FILES.vectors("images"), mmap_mode="r")
    return vectors
