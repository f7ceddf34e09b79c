"""Which pictures make a batch: classes evenly, and two styles of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..emojis import Emoji
from ..pictures.gallery import Gallery

OWN_SHARE = 0.7  # of a style's draws that show the original picture; the others are tones and restyled
# What a mirror would make false, by group, subgroup or label.
_HANDED_GROUPS = {"symbols", "flags"}
_HANDED_SUBGROUPS = {"time", "finger pointing", "hand signs"}
_HANDED_LABEL = re.compile(r"\b(left|right|leftwards|rightwards|tilted|moon|increasing|decreasing|input|calendar)\b")


class Sampler:
    """Draws batches of picture rows: `classes` classes at random, two pictures of each, of two styles if it has two.

    `mirror` is bool [classes of the list]: whether a class stays itself in a mirror.
    """

    def __init__(
        self, gallery: Gallery, emojis: Sequence[Emoji], style_weights: Mapping[str, float], classes: int
    ) -> None:
        weights = torch.tensor([style_weights.get(name, 1.0) for name in gallery.names])
        self.mirror = torch.tensor([may_mirror(emoji) for emoji in emojis])
        self._classes = classes
        self._pool: list[dict[int, tuple[Tensor, Tensor]]] = []
        self._weights = weights
        for row in range(len(emojis)):
            shown = (gallery.classes == row).nonzero().flatten()
            styles = gallery.styles[shown]
            self._pool.append(
                {style: _split(shown[styles == style], gallery.own) for style in sorted(set(styles.tolist()))}
            )
        self._drawable = torch.tensor([row for row, styles in enumerate(self._pool) if styles])

    def draw(self) -> Tensor:
        """Draw picture rows, int64 [2 * classes]."""
        chosen = self._drawable[torch.randperm(len(self._drawable))[: self._classes]]
        return torch.tensor([row for emoji in chosen.tolist() for row in self._pair(self._pool[emoji])])

    def _pair(self, styles: dict[int, tuple[Tensor, Tensor]]) -> list[int]:
        names = list(styles)
        picks = torch.multinomial(self._weights[names], min(2, len(names))).tolist()
        return [_pick(*styles[names[picks[place % len(picks)]]]) for place in range(2)]


def may_mirror(emoji: Emoji) -> bool:
    """Return whether the emoji's mirror image is still that emoji."""
    handed = emoji.group in _HANDED_GROUPS or emoji.subgroup in _HANDED_SUBGROUPS
    return not handed and not _HANDED_LABEL.search(emoji.label)


def _split(rows: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    return rows[own[rows]], rows[~own[rows]]


def _pick(own: Tensor, derived: Tensor) -> int:
    pool = own if not len(derived) or torch.rand(()) < OWN_SHARE else derived
    return int(pool[torch.randint(len(pool), ())])
