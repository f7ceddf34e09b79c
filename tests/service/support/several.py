"""An indices folder with collections to serve, and some that must be refused."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np

from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.manifest import Manifest, ModelReference, current_version
from tests.support.vectors import build, random_vectors

MANY, MANY_PROMPTS = 230, 60
SERVED = {"tiny", "many", "words", "renamed"}
REFUSED = {
    "another": "was built with another model called tiny",
    "damaged": "manifest.json cannot be read",
    "missing": "was built with the model random, which is not there",
    "unpublished": "has no file `current`",
}
# `file` of the pictures of `renamed`, by row. The last is a link to the outside file that the first names.
OUTSIDE = ("../secret.png", "{outside}", "a\0.png", "x" * 300 + ".png", "sub", "link.png")


def write(folder: Path, tiny: Path, source: Path, bundle: Bundle) -> Path:
    """Write `folder/indices`, and `folder/files` for the originals of the pictures in `tiny` and `renamed`."""
    indices = folder / "indices"
    shutil.copytree(tiny, indices / "tiny")
    shutil.copytree(source, folder / "files")
    (folder / "secret.png").write_bytes((source / "a.png").read_bytes())
    (folder / "files" / "link.png").symlink_to("../secret.png")
    model = ModelReference(bundle.name, bundle.identity, bundle.embedding_dim)

    pictures = random_vectors(MANY, bundle.embedding_dim)
    pictures[100:140] = np.tile(pictures[:10], (4, 1))  # pages must not lose any of several equal pictures
    many = build(indices / "many", pictures, random_vectors(MANY_PROMPTS, bundle.embedding_dim, seed=1))
    _of_model(many, model)
    _of_model(build(indices / "words", None, random_vectors(5, bundle.embedding_dim, seed=2)), model)

    renamed = current_version(shutil.copytree(tiny, indices / "renamed"))
    database = sqlite3.connect(renamed / "items.sqlite")
    for row, file in enumerate(OUTSIDE):
        named = file.format(outside=folder / "secret.png")
        database.execute("UPDATE images SET file = ? WHERE row = ?", (named, row))
    database.commit()
    database.close()
    Manifest.read(renamed).with_checksums(renamed).write(renamed)

    _of_model(shutil.copytree(tiny, indices / "another"), replace(model, identity="0" * 64))
    manifest = current_version(shutil.copytree(tiny, indices / "damaged")) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:200])
    build(indices / "missing", random_vectors(3, bundle.embedding_dim), None)
    (shutil.copytree(tiny, indices / "unpublished") / "current").unlink()
    (indices / "building" / "staging").mkdir(parents=True)
    (indices / "README.md").write_text("no collection")
    return indices


def _of_model(collection: Path, model: ModelReference) -> None:
    version = current_version(collection)
    replace(Manifest.read(version), model=model).write(version)
