"""Write the files of tests/support/tiny.py: `python -m tests.builder.export.pytorch.write_tiny`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import clip
import torch

from builder.export.pytorch.checkpoint import Checkpoint
from promptsearch.encoding.bundle import FILES
from promptsearch.encoding.encoders import Encoders, unit
from tests.builder.export.pytorch import checkpoints
from tests.support import tiny
from tests.support.texts import NASTY, TEXTS


def reference(encoders: Encoders) -> dict[str, Any]:
    """Return the content of tests/data/clip.json; of `encoders` only the pictures' pixels are used."""
    model = Checkpoint("tiny", "", checkpoints.tiny_state()).model()
    texts = [*TEXTS, *NASTY]
    tokens = clip.tokenize(texts)
    pixels = torch.stack([torch.from_numpy(encoders.preprocessing(picture)) for picture in tiny.pictures()])
    with torch.inference_mode():
        text_vectors = unit(model.encode_text(tokens[: len(TEXTS)]).numpy())
        picture_vectors = unit(model.encode_image(pixels).numpy())
    return {
        "tokens": {text: row[: row.nonzero().max() + 1].tolist() for text, row in zip(texts, tokens, strict=True)},
        "texts": text_vectors.tolist(),
        "pictures": picture_vectors.tolist(),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bundle = checkpoints.export_tiny(Path(scratch) / "tiny")
        tiny.REFERENCE.write_text(json.dumps(reference(Encoders(bundle))) + "\n", encoding="utf-8")
        for derived in (FILES.text_data, FILES.tokenizer):
            bundle.path(derived).unlink()
        shutil.rmtree(tiny.COMMITTED, ignore_errors=True)
        shutil.copytree(bundle.folder, tiny.COMMITTED)


if __name__ == "__main__":
    main()
