"""The image tower: CLIP's ModifiedResNet, taught to find each picture's class among the text tower's fixed vectors."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from clip.model import ModifiedResNet
from torch import Tensor, nn
from torch.nn import functional as F

from ..emojis import Emoji
from ..pictures.augment import augment
from ..pictures.gallery import Gallery
from .sampling import Sampler, may_mirror
from .schedule import rate

log = logging.getLogger(__name__)

SIZE = 64  # pixels a side
WIDTH = 32
LAYERS = (2, 2, 2, 2)
DIMENSION = 256
BATCH_CLASSES = 64  # each with two pictures, of different styles if possible
SOFTNESS = 0.15  # share of the target that goes to classes of like meaning
LIKENESS_SCALE = 30.0  # how fast that share falls with the cosine
CONTRAST = 0.6  # weight of picture against picture
CONTRAST_SCALE = 15.0
CLASSIFY = 1.0  # weight of a plain classifier on the last feature map, which learns shapes sooner than the vectors do
FEATURES = WIDTH * 32  # channels of that map
STRENGTH = 0.8  # of the augmentation at the end of a run
AVERAGE = 0.999  # of the weights, a step
DECAY = 0.05
SAVE_EVERY = 240.0  # seconds


@dataclass(frozen=True, slots=True)
class ImageRun:
    """How a run goes: wall time, seed, how often each style is drawn, peak learning rate, first strength."""

    seconds: float
    seed: int
    style_weights: dict[str, float]
    peak: float
    strength: float


def new_tower() -> ModifiedResNet:
    """Return a tower with CLIP's initialisation (clip/model.py: CLIP.initialize_parameters), channels last."""
    tower = ModifiedResNet(LAYERS, DIMENSION, WIDTH * 32 // 64, SIZE, WIDTH)
    spread = tower.attnpool.c_proj.in_features**-0.5
    for part in ("q_proj", "k_proj", "v_proj", "c_proj"):
        nn.init.normal_(getattr(tower.attnpool, part).weight, std=spread)
    for name, parameter in tower.named_parameters():
        if name.endswith("bn3.weight") and name.startswith("layer"):
            nn.init.zeros_(parameter)
    return tower.to(memory_format=torch.channels_last)


def train_image_tower(
    tower: ModifiedResNet, gallery: Gallery, emojis: Sequence[Emoji], prototypes: Tensor, run: ImageRun,
    save: Callable[[nn.Module, Tensor, list[dict[str, float]]], None],
) -> None:  # fmt: skip
    """Train `tower` in place and hand its running average to `save` every few minutes and at the end.

    `prototypes` are the classes' unit vectors, float32 [classes, 256]. `save` also gets the learned scale (its log, as
    CLIP keeps it) and the curve.
    """
    torch.manual_seed(run.seed)
    average = copy.deepcopy(tower).eval().requires_grad_(False)
    sampler = Sampler(gallery, emojis, run.style_weights, BATCH_CLASSES)
    targets = class_targets(prototypes)
    scale = nn.Parameter(torch.tensor(3.0))
    classifier = nn.Linear(FEATURES, len(emojis))
    maps: list[Tensor] = []
    hook = tower.layer4.register_forward_hook(lambda _layer, _inputs, output: maps.append(output))
    optimiser = torch.optim.AdamW(
        [{"params": [*classifier.parameters(), *(p for p in tower.parameters() if p.ndim > 1)], "weight_decay": DECAY},
         {"params": [scale, *(p for p in tower.parameters() if p.ndim < 2)], "weight_decay": 0.0}],
        run.peak, (0.9, 0.99), fused=True,
    )  # fmt: skip
    curve: list[dict[str, float]] = []
    started, saved, step = time.monotonic(), 0.0, 0
    tower.train()
    while (elapsed := time.monotonic() - started) < run.seconds:
        for group in optimiser.param_groups:
            group["lr"] = rate(run.peak, elapsed / run.seconds)
        rows = sampler.draw()
        classes = gallery.classes[rows]
        strength = run.strength + (STRENGTH - run.strength) * elapsed / run.seconds
        seen = augment(gallery.pixels[rows], sampler.mirror[classes], SIZE, strength)
        with torch.autocast("cpu", torch.bfloat16):
            features = tower(seen)
        vectors = F.normalize(features.float(), dim=1)
        named = F.cross_entropy(scale.exp().clamp(max=100) * vectors @ prototypes.T, targets[classes])
        alike = contrast(vectors, classes)
        classified = F.cross_entropy(classifier(maps.pop().float().mean((2, 3))), classes)
        optimiser.zero_grad()
        (named + CONTRAST * alike + CLASSIFY * classified).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        follow(average, tower, min(AVERAGE, (step + 1) / (step + 10)))
        if step % 100 == 0:
            losses = {"named": named.item(), "alike": alike.item(), "classified": classified.item()}
            curve.append({"step": step, "seconds": round(elapsed), **losses})
            log.info("image %s", curve[-1])
        if elapsed - saved > SAVE_EVERY:
            saved = elapsed
            save(average, scale.detach(), curve)
        step += 1
    hook.remove()
    save(average, scale.detach(), curve)


@torch.inference_mode()
def see(tower: ModifiedResNet, gallery: Gallery, emojis: Sequence[Emoji], strength: float) -> Tensor:
    """Return unit vectors of every picture of the gallery, each varied once; float32 [n, 256]."""
    mirror = torch.tensor([may_mirror(emoji) for emoji in emojis])
    vectors = []
    for rows in torch.split(torch.arange(len(gallery.classes)), 512):
        seen = augment(gallery.pixels[rows], mirror[gallery.classes[rows]], SIZE, strength)
        with torch.autocast("cpu", torch.bfloat16):
            features = tower(seen)
        vectors.append(F.normalize(features.float(), dim=1))
    return torch.cat(vectors)


def class_targets(prototypes: Tensor) -> Tensor:
    """Return targets [m, m]; row k: mostly class k, and a share of `SOFTNESS` for classes with similar vectors."""
    alike = (LIKENESS_SCALE * prototypes @ prototypes.T).softmax(1)
    return (1 - SOFTNESS) * torch.eye(len(prototypes)) + SOFTNESS * alike


def contrast(vectors: Tensor, classes: Tensor) -> Tensor:
    """Return the supervised contrastive loss (Khosla et al. 2020, equation 2) over the batch's unit vectors [n, d]."""
    scores = CONTRAST_SCALE * vectors @ vectors.T
    scores = scores.masked_fill(torch.eye(len(vectors), dtype=torch.bool), -1e4)
    same = (classes[:, None] == classes[None, :]) & ~torch.eye(len(vectors), dtype=torch.bool)
    log_share = scores.log_softmax(1)
    pairs = same.sum(1)
    return -((log_share * same).sum(1) / pairs.clamp(min=1))[pairs > 0].mean()


@torch.no_grad()
def follow(average: nn.Module, tower: nn.Module, keep: float) -> None:
    """Move the average towards the tower: parameters and batch-norm statistics alike."""
    for slow, fast in zip(average.state_dict().values(), tower.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)
