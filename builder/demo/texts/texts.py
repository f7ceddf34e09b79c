"""The text tower's training texts: tokenised once, drawn in batches of fixed shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import clip
import torch
from torch import Tensor

from .captions import Caption

LONGEST = 24  # tokens of a training text, start and end included; longer texts are left out


class Texts:
    """Captions, and phrases without a known class, that have at most `LONGEST` tokens.

    `known` are the captions, a phrase being one of the kind "phrase" without classes; `tokens` is int64 [n, 77].
    """

    def __init__(self, captions: Sequence[Caption], phrases: Sequence[str]) -> None:
        texts = {caption.text for caption in captions}
        known = [*captions, *(Caption(phrase, (), "phrase") for phrase in phrases if phrase not in texts)]
        # A word has a token at least, and `tokenize` refuses what is longer than the context.
        known = [caption for caption in known if len(caption.text.split()) <= LONGEST - 2]
        tokens = clip.tokenize([caption.text for caption in known])
        fits = [row for row, length in enumerate((tokens != 0).sum(1).tolist()) if length <= LONGEST]
        self.known = [known[row] for row in fits]
        self.tokens = tokens[fits].long()
        kinds = {caption.kind for caption in self.known}
        self._groups = {
            kind: torch.tensor([row for row, caption in enumerate(self.known) if caption.kind == kind])
            for kind in kinds
        }

    def draw(self, shares: Mapping[str, int]) -> Tensor:
        """Return the rows of a batch: so many of each kind, at random."""
        return torch.cat(
            [self._groups[kind][torch.randint(len(self._groups[kind]), (count,))] for kind, count in shares.items()]
        )
