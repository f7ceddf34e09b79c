"""The first five answers of the demo to thirty queries, as a page: `python -m bench.demo.answers`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.search.collection import Collection

PICTURES = Path("builder/demo/emoji/images")
TEXTS = (
    "happy dog", "angry cat", "red fruit", "flag of japan", "time is running out", "birthday cake", "a broken heart",
    "rainy day", "king", "fast car", "man with a beard", "woman dancing", "sleepy face", "party", "music",
    "green vegetable", "snow", "space travel", "scary monster", "money", "medicine", "football", "thumbs up",
    "brazilian flag",
)  # fmt: skip
UPLOADS = ("twemoji/1f436.webp", "noto/1f34e.webp", "fluent-emoji/1f680.webp", "twemoji/1f1ef-1f1f5.webp",
           "noto/1f622.webp", "twemoji/1f3b8.webp")  # fmt: skip
FIRST = 5


def rows(collection: Collection, encoders: Encoders) -> Iterable[str]:
    """Yield a table row for each query: its first images (emoji, prompt, style) and its first prompts."""
    for text in TEXTS:
        yield _row(text, encoders.encode_texts([text])[0], collection)
    for upload in UPLOADS:
        vector = encoders.encode_images([open_picture(PICTURES / upload)])[0]
        yield _row(f"picture `{upload}`", vector, collection)


def _row(query: str, vector: NDArray[np.float32], collection: Collection) -> str:
    images, prompts = collection.search("images", vector, FIRST), collection.search("prompts", vector, FIRST)
    items = collection.items.images(images.rows)
    named = collection.prompts_of(list(items.values()))
    texts = collection.items.prompts(prompts.rows)
    shown = []
    for row in images.rows:
        prompt = items[row].prompt
        name = named[prompt].text if prompt is not None else ""
        shown.append(f"{items[row].extra['emoji']} {name} ({items[row].extra['style']})")
    answers = [texts[row].text for row in prompts.rows]
    return f"| {query} | {'<br>'.join(shown)} | {'<br>'.join(answers)} |"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/demo-answers.md"))
    arguments = parser.parse_args()
    collection = Collection.open(Path("indices/emoji"))
    encoders = Encoders(collection.require_model(Bundle.open(Path("models/emoji"))))
    lines = [
        "# What the demo answers",
        "",
        f"The first {FIRST} images and prompts of the collection that `make demo` builds, for {len(TEXTS)} texts and "
        f"{len(UPLOADS)} uploaded pictures.",
        f"Written by `python -m bench.demo.answers` with checkpoint "
        f"{encoders.bundle.source.sha256[:12]}; nothing was left out.",
        "",
        "| query | images | prompts |",
        "|---|---|---|",
        *rows(collection, encoders),
        "",
    ]
    arguments.out.write_text("\n".join(lines), encoding="utf-8")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
