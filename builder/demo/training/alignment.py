"""Alignment of the text tower: the vectors of a finished image tower are the goals of the texts."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..pictures.gallery import Gallery
from ..texts.texts import Texts
from .schedule import rate
from .text_tower import TextResult, TextTower, class_targets

log = logging.getLogger(__name__)

PEAK_RATE = 1e-3
SHARES = {"label": 160, "tag": 64, "composed": 96, "defined": 96, "phrase": 256}  # texts of each kind in a batch
FIRST_SCALE = 3.2  # log of the sharpness of the softmax over pictures, which is learned
BACKWARD = 0.5  # weight of picture to label
DISTANCE = 5.0  # weight of the distance to the mean of the pictures that a text is true of
DISTILLATION = 1.0  # weight of the distance to the teacher's vector, which keeps what words no emoji has mean


class Seen:
    """Pictures as the image tower sees them, to be drawn one of each class.

    `means` are the classes' unit mean vectors, float32 [classes, 256]. A class without a picture has its prototype
    for one.
    """

    def __init__(
        self, vectors: Tensor, gallery: Gallery, style_weights: Mapping[str, float], prototypes: Tensor
    ) -> None:
        classes = gallery.classes.repeat(len(vectors) // len(gallery.classes))
        styles = gallery.styles.repeat(len(vectors) // len(gallery.classes))
        missing = torch.bincount(classes, minlength=len(prototypes)) == 0
        vectors = torch.cat([vectors, prototypes[missing]])
        classes = torch.cat([classes, missing.nonzero().flatten()])
        # A style weighs the same in a class however many variants it has there.
        weights = torch.tensor([style_weights.get(name, 1.0) for name in gallery.names])[styles]
        of_style = classes[: len(styles)] * len(gallery.names) + styles
        weights = torch.cat([weights / torch.bincount(of_style)[of_style], torch.ones(int(missing.sum()))])
        order = classes.argsort()
        self._vectors, self._ends = vectors[order], weights[order].double().cumsum(0)
        last = torch.bincount(classes).cumsum(0) - 1
        self._above = self._ends[last]
        self._below = torch.cat([torch.zeros(1, dtype=torch.float64), self._above[:-1]])
        sums = torch.zeros_like(prototypes).index_add_(0, classes, vectors * weights[:, None])
        self.means = F.normalize(sums, dim=1)

    def draw(self) -> Tensor:
        """Return a picture of each class, float32 [classes, 256]."""
        place = self._below + torch.rand(len(self._below), dtype=torch.float64) * (self._above - self._below)
        return self._vectors[torch.searchsorted(self._ends, place).clamp(max=len(self._ends) - 1)]


def align_text_tower(
    state: dict[str, Tensor], texts: Texts, vectors: Tensor, classes: Tensor, seen: Seen, *, seconds: float, seed: int
) -> TextResult:
    """Train a tower on for `seconds` of wall time, against pictures that do not move (locked-image tuning).

    `vectors` are the teacher's unit vectors of the texts, float32 [n, 384], `classes` those of the classes [m, 384]:
    a text without a known class gets the teacher's opinion.
    """
    torch.manual_seed(seed)
    tower = TextTower.of_state(state, texts.tokens.unique())
    scale = nn.Parameter(torch.tensor(FIRST_SCALE))
    student = nn.Linear(state["ln_final.weight"].shape[0], vectors.shape[1])
    decayed = {"params": [*tower.parameters(), *student.parameters()], "weight_decay": 0.01}
    free = {"params": [scale], "weight_decay": 0.0}
    optimiser = torch.optim.AdamW([decayed, free], PEAK_RATE, (0.9, 0.98), fused=True)
    curve: list[dict[str, float]] = []
    started, step = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = rate(PEAK_RATE, elapsed / seconds)
        batch = texts.draw(SHARES)
        captions = [texts.known[row] for row in batch.tolist()]
        features = tower.features(texts.tokens[batch])
        encoded = tower.project(features)
        target = class_targets(captions, vectors[batch] @ classes.T)
        pictures, sharp = seen.draw(), scale.exp().clamp(max=100)
        forth = F.cross_entropy(sharp * encoded @ pictures.T, target)
        labels = torch.tensor([caption.classes[0] for caption in captions[: SHARES["label"]]])
        back = named(sharp * pictures[labels] @ encoded[: SHARES["label"]].T, labels)
        away = (1 - (encoded * F.normalize(target @ seen.means, dim=1)).sum(1)).mean()
        apart = (1 - F.cosine_similarity(student(features), vectors[batch])).mean()
        optimiser.zero_grad()
        (forth + BACKWARD * back + DISTANCE * away + DISTILLATION * apart).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 100 == 0:
            losses = {"forth": forth.item(), "back": back.item(), "distance": away.item(), "teacher": apart.item()}
            curve.append({"step": step, "seconds": round(elapsed), **losses})
            log.info("align %s", curve[-1])
        step += 1
    return TextResult(tower.eval(), step, curve)


def named(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of pictures [n] over their labels [n]; a repeated label is right each time."""
    same = (labels[:, None] == labels[None, :]).float()
    return F.cross_entropy(scores, same / same.sum(1, keepdim=True))
