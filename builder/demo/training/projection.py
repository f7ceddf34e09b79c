"""From the teacher's sentence vectors to the space that both towers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..emojis import Emoji
from ..pictures.pictures import prompt
from ..texts.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Projection:
    """Centring on the classes' mean, then the leading principal axes of the captions.

    `mean` is float32 [384], `axes` float32 [384, d].
    """

    mean: Tensor
    axes: Tensor

    def __call__(self, vectors: Tensor) -> Tensor:
        """Project teacher vectors, float32 [n, 384], to unit vectors, float32 [n, d]."""
        return F.normalize((vectors - self.mean) @ self.axes, dim=1)


def fit_projection(captions: Tensor, classes: Tensor, dimension: int) -> Projection:
    """Fit the axes to the captions' vectors [n, 384] and the centre to the classes' [m, 384]."""
    mean = classes.mean(0)
    centred = captions - mean
    _, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    return Projection(mean, axes[:, -dimension:].flip(1).contiguous())


def class_vectors(emojis: Sequence[Emoji], teacher: Teacher) -> Tensor:
    """Return the teacher's vectors of each class: its prompt, its tags one by one, both as one text; unit, [n, 384]."""
    prompts = teacher.encode([prompt(emoji) for emoji in emojis])
    lists = teacher.encode([", ".join((prompt(emoji), *emoji.tags)) for emoji in emojis])
    tags = sorted({tag for emoji in emojis for tag in emoji.tags})
    rows = {tag: row for row, tag in enumerate(tags)}
    vectors = teacher.encode(tags)
    means = torch.stack([vectors[[rows[tag] for tag in emoji.tags] or [0]].mean(0) for emoji in emojis])
    return F.normalize(prompts + lists + F.normalize(means, dim=1), dim=1)
