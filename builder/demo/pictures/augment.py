"""Variation at training time: from RGBA pictures to the image tower's input, a batch at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# CLIP, clip/clip.py: _transform
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment(pictures: Tensor, mirror: Tensor, size: int, strength: float) -> Tensor:
    """Vary pictures, uint8 [n, s, s, 4]; return them normalised, float32 [n, 3, size, size], channels last.

    `mirror` marks the pictures that may be flipped, which excludes an arrow pointing left. `strength` from 0 to 1
    determines how many pictures change their colours (from half to all), lose detail or are painted over (from none
    to a quarter): at full strength from the start, a tower does not learn enough in the time.
    """
    x = pictures.permute(0, 3, 1, 2).float().div_(255)
    colours, alpha = x[:, :3], x[:, 3:]
    recoloured = torch.rand(len(x), 1, 1, 1) < 0.5 + 0.5 * strength
    premultiplied = torch.cat([torch.where(recoloured, vary_colours(colours), colours) * alpha, alpha], 1)
    moved = F.grid_sample(premultiplied, placements(len(x), mirror, size), align_corners=False)
    x = moved[:, :3] + (1 - moved[:, 3:]) * backgrounds(len(x), size)
    x = erase(coarsen(x, 0.25 * strength), 0.25 * strength)
    return normalise(x).contiguous(memory_format=torch.channels_last)


def normalise(x: Tensor) -> Tensor:
    """Normalise RGB from 0 to 1 to CLIP's mean and spread."""
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def vary_colours(x: Tensor) -> Tensor:
    """Vary hue, saturation, contrast, brightness and gamma of each picture; one in twenty turns grey."""
    n = len(x)
    saturation = _uniform(n, 0.5, 1.5) * (torch.rand(n) > 0.05)
    x = (x.flatten(2).transpose(1, 2) @ _colour_matrices(_normal(n, 0.12), saturation)).transpose(1, 2).view_as(x)
    contrast, brightness = _uniform(n, 0.75, 1.25), _uniform(n, -0.1, 0.1)
    x = (x - 0.5) * contrast.view(-1, 1, 1, 1) + 0.5 + brightness.view(-1, 1, 1, 1)
    return x.clamp(1e-4, 1) ** _uniform(n, 0.7, 1.4).view(-1, 1, 1, 1)


def placements(n: int, mirror: Tensor, size: int) -> Tensor:
    """Return sampling grids, turned by up to 20 degrees, scaled, sheared and moved; float32 [n, size, size, 2]."""
    angle = _uniform(n, -1, 1) ** 3 * math.radians(20)
    zoom = _uniform(n, 0.88, 1.3)  # the part of the scene that is visible: above 1 the picture shrinks
    stretch = torch.exp(_normal(n, 0.07))
    shear = _normal(n, 0.06)
    flip = torch.where(mirror & (torch.rand(n) < 0.5), -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.stack(
        [zoom * stretch * flip * cos, zoom * (shear - sin), _uniform(n, -0.12, 0.12),
         zoom * flip * sin, zoom / stretch * cos, _uniform(n, -0.12, 0.12)], 1,
    ).view(n, 2, 3)  # fmt: skip
    return F.affine_grid(matrix, [n, 1, size, size], align_corners=False)


def backgrounds(n: int, size: int) -> Tensor:
    """Return backgrounds, float32 [n, 3, size, size]: half of them white, the others plain or a gradient."""
    first, second = torch.rand(n, 3, 1, 1), torch.rand(n, 3, 1, 1)
    ramp = torch.linspace(0, 1, size).view(1, 1, 1, size)
    ramp = torch.where(torch.rand(n, 1, 1, 1) < 0.5, ramp, ramp.transpose(2, 3))
    choice = torch.rand(n, 1, 1, 1)
    plain = torch.where(choice < 0.8, first, first + (second - first) * ramp)
    return torch.where(choice < 0.5, torch.ones(n, 3, 1, 1), plain).expand(n, 3, size, size)


def coarsen(x: Tensor, share: float) -> Tensor:
    """Blur a share of the pictures: drawn at 40 to 75 % of their size and enlarged again."""
    chosen = torch.rand(len(x)) < share
    if not chosen.any():
        return x
    small = F.interpolate(x[chosen], scale_factor=float(_uniform(1, 0.4, 0.75)), mode="area")
    x[chosen] = F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)
    return x


def erase(x: Tensor, share: float) -> Tensor:
    """Paint a rectangle of 10 to 40 % of each side in one colour over a share of the pictures."""
    n, size = len(x), x.shape[-1]
    place = torch.arange(size).view(1, size)
    spans = []
    for _ in range(2):
        length = _uniform(n, 0.1, 0.4).view(n, 1) * size
        start = torch.rand(n, 1) * (size - length)
        spans.append((place >= start) & (place < start + length))
    hit = spans[0][:, None, :, None] & spans[1][:, None, None, :] & (torch.rand(n, 1, 1, 1) < share)
    return torch.where(hit, torch.rand(n, 3, 1, 1), x)


def _colour_matrices(hue: Tensor, saturation: Tensor) -> Tensor:
    """Return rotations about the grey axis by `hue` radians, scaled away from luma: [n, 3, 3], for row vectors."""
    n = len(hue)
    cos, sin = torch.cos(hue).view(n, 1, 1), torch.sin(hue).view(n, 1, 1)
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / math.sqrt(3)
    turned = cos * torch.eye(3) + (1 - cos) * third + sin * cross  # Rodrigues
    luma = torch.tensor(_LUMA).view(3, 1).expand(3, 3)
    s = saturation.view(n, 1, 1)
    return turned @ (s * torch.eye(3) + (1 - s) * luma)


def _uniform(n: int, low: float, high: float) -> Tensor:
    return torch.rand(n) * (high - low) + low


def _normal(n: int, spread: float) -> Tensor:
    return torch.randn(n) * spread
