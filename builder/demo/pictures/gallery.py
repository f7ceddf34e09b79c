"""The training pictures in memory: every style's drawings, their skin tones and restyled variants."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..emojis import Emoji
from ..styles import Art, load_style
from .render import Pixels, pixels
from .restyle import restyle

log = logging.getLogger(__name__)

SIZE = 80  # pixels a side; the towers see 64, augmentation crops and shrinks
SKIN_TONES = 2  # variants kept of each emoji and style
RESTYLED = 2  # variants drawn of each SVG that shows no skin tone
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures with what they show.

    `pixels` is uint8 [n, size, size, 4] (straight alpha); `classes` (rows of the emoji list), `styles` (rows of
    `names`) and `own` (drawn as the artist did) are [n].
    """

    pixels: Tensor
    classes: Tensor
    styles: Tensor
    own: Tensor
    names: tuple[str, ...]


def make_gallery(styles: Sequence[str], emojis: Sequence[Emoji], work: Path, seed: int) -> Gallery:
    """Draw every picture of the styles; one style's drawings are kept in `work` for the next run."""
    rows = {emoji.key: row for row, emoji in enumerate(emojis)}
    parts = [_style(style, emojis, rows, work, seed) for style in styles]
    return Gallery(
        pixels=torch.cat([part["pixels"] for part in parts]),
        classes=torch.cat([part["classes"] for part in parts]),
        styles=torch.cat([torch.full((len(part["classes"]),), row) for row, part in enumerate(parts)]),
        own=torch.cat([part["own"] for part in parts]),
        names=tuple(styles),
    )


def _style(style: str, emojis: Sequence[Emoji], rows: dict[str, int], work: Path, seed: int) -> dict[str, Tensor]:
    path = work / "drawings" / f"{style}-{SIZE}-{seed}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        arts = _chosen(load_style(style, emojis, work), seed)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            drawn = list(pool.map(partial(_draw, seed=seed), arts, chunksize=_BATCH))
        part = {
            "pixels": torch.from_numpy(np.stack([picture for group in drawn for picture in group])),
            "classes": torch.tensor([rows[art.key] for art, group in zip(arts, drawn, strict=True) for _ in group]),
            "own": torch.tensor([place == 0 for group in drawn for place in range(len(group))]),
        }
        torch.save(part, path)
        log.info("%s: %d pictures drawn", style, len(part["classes"]))
    loaded: dict[str, Tensor] = torch.load(path, weights_only=True)
    return loaded


def _chosen(arts: Sequence[Art], seed: int) -> list[Art]:
    """Return every emoji's own picture, and a few of its skin tones."""
    rng = random.Random(seed)
    tones: dict[str, list[Art]] = {}
    for art in arts:
        if art.variant != art.key:
            tones.setdefault(art.key, []).append(art)
    kept = [art for group in tones.values() for art in rng.sample(group, min(SKIN_TONES, len(group)))]
    return [art for art in arts if art.variant == art.key] + kept


def _draw(art: Art, seed: int) -> list[Pixels]:
    """Yield the picture itself, then its restyled variants."""
    drawn = [pixels(art, SIZE)]
    if isinstance(art.drawing, str) and art.variant == art.key:
        rng = random.Random(f"{seed} {art.style} {art.key}")
        variants = (restyle(art.drawing, rng) for _ in range(RESTYLED))
        drawn += [pixels(Art(art.style, art.key, art.variant, document), SIZE) for document in variants]
    return drawn
