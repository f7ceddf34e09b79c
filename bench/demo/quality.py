"""How well the demo model finds emoji: `python -m bench.demo.quality --model models/emoji --out FILE`.

The queries in `queries.json` were written before the model was trained. Vectors come from the bundle's ONNX
encoders and pictures go through the ordinary preprocessing, as in the released demo.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.demo.styles import HELD_OUT
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture

PICTURES = Path("builder/demo/emoji")
QUERIES = Path(__file__).parent / "queries.json"
DEPTHS = (1, 5, 10)
CHUNK = 256  # pictures decoded at a time

Vectors = NDArray[np.float32]
Classes = NDArray[np.str_]


@dataclass(frozen=True)
class Set:
    """Vectors [n, d] with what each shows: the emoji's key and, for pictures, the style."""

    vectors: Vectors
    classes: Classes
    styles: Classes

    def where(self, chosen: NDArray[np.bool_]) -> Set:
        """Return the chosen pictures."""
        return Set(self.vectors[chosen], self.classes[chosen], self.styles[chosen])


@dataclass(frozen=True)
class Measure:
    """The shares of queries with a right answer among the first 1, 5 and 10, and their goals."""

    name: str
    shares: Sequence[float]
    goals: dict[int, float]  # by depth

    def row(self) -> str:
        """Return the row of the table."""
        cells = [
            f"{share:.3f}" + (f" (goal {self.goals[depth]:.2f})" if depth in self.goals else "")
            for depth, share in zip(DEPTHS, self.shares, strict=True)
        ]
        return f"| {self.name} | {' | '.join(cells)} |"


def pictures(encoders: Encoders) -> Set:
    """Return every picture of the demo, encoded."""
    with (PICTURES / "manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [Path(row["image"]) for row in csv.DictReader(file)]
    vectors = [
        encoders.encode_images([open_picture(PICTURES / path) for path in paths[start : start + CHUNK]])
        for start in range(0, len(paths), CHUNK)
    ]
    return Set(
        np.concatenate(vectors), np.array([path.stem for path in paths]), np.array([path.parent.name for path in paths])
    )


def labels(encoders: Encoders) -> Set:
    """Return every emoji's prompt, encoded once."""
    with (PICTURES / "manifest.csv").open(encoding="utf-8", newline="") as file:
        prompts = {Path(row["image"]).stem: row["prompt"] for row in csv.DictReader(file)}
    classes = np.array(list(prompts))
    return Set(encoders.encode_texts(list(prompts.values())), classes, np.full(len(classes), "text"))


def shares_of(queries: Vectors, right: Iterable[set[str]], among: Set) -> list[float]:
    """Return the share of queries with a right class among the first `DEPTHS` of an exact scan."""
    best = np.argsort(-(queries @ among.vectors.T), axis=1, kind="stable")[:, : max(DEPTHS)]
    hits = [[name in wanted for name in among.classes[row]] for row, wanted in zip(best, right, strict=True)]
    return [float(np.mean([any(row[:depth]) for row in hits])) for depth in DEPTHS]


def measure(encoders: Encoders) -> list[Measure]:
    """Measure all kinds of queries."""
    shown, named = pictures(encoders), labels(encoders)
    own, others = shown.where(shown.styles == HELD_OUT), shown.where(shown.styles != HELD_OUT)
    shared = own.where(np.isin(own.classes, others.classes))
    entries = json.loads(QUERIES.read_text(encoding="utf-8"))["queries"]
    phrases = encoders.encode_texts([entry["query"] for entry in entries])
    answers = [set(entry["answers"]) for entry in entries]

    def same(queries: Set) -> list[set[str]]:
        return [{name} for name in queries.classes.tolist()]

    return [
        Measure(
            f"label → {HELD_OUT} picture", shares_of(named.vectors, same(named), own), {1: 0.35, 5: 0.62, 10: 0.74}
        ),
        Measure(f"{HELD_OUT} picture → label", shares_of(own.vectors, same(own), named), {5: 0.70}),
        Measure(
            f"{HELD_OUT} picture → picture of another style",
            shares_of(shared.vectors, same(shared), others),
            {1: 0.65},
        ),
        Measure(
            f"{len(entries)} paraphrases → {HELD_OUT} picture", shares_of(phrases, answers, own), {5: 0.62, 10: 0.78}
        ),
        Measure("label → any picture of the demo", shares_of(named.vectors, same(named), shown), {5: 0.92}),
        Measure(f"{len(entries)} paraphrases → any picture of the demo", shares_of(phrases, answers, shown), {5: 0.80}),
    ]


def page(bundle: Bundle, measures: Sequence[Measure]) -> str:
    """Return the page."""
    training = json.loads(bundle.path("training.json").read_text(encoding="utf-8"))["image"]
    seen = "saw" if HELD_OUT in training["styles"] else "never saw"
    lines = [
        "# Quality of the demo model",
        "",
        f"Written by `python -m bench.demo.quality` with checkpoint {bundle.source.sha256[:12]}.",
        f"The model {seen} the style {HELD_OUT} in training.",
        "Each figure is the share of queries that have a right answer among the first 1, 5 and 10 of an exact scan.",
        "",
        "| query → what is ranked | first 1 | first 5 | first 10 |",
        "|---|---|---|---|",
        *(measure.row() for measure in measures),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/emoji"))
    parser.add_argument("--out", type=Path, help="file to write (default: only print)")
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.model)
    text = page(bundle, measure(Encoders(bundle)))
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
