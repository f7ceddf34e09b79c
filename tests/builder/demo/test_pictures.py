"""Restyling and augmentation: the image tower's training pictures."""

from __future__ import annotations

import random
import re

import pytest
import torch

from builder.demo.pictures.augment import MEAN, STD, augment
from builder.demo.pictures.restyle import flatten, outline, recolour, restyle
from builder.demo.training.sampling import may_mirror
from tests.builder.demo.emojis import DOG, JAPAN, POINTING

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 32"><defs><linearGradient id="a">'
    '<stop stop-color="#ff0000"/><stop stop-color="#0000ff"/></linearGradient></defs>'
    '<path fill="url(#a)" d="M0 0h9v9z"/><path fill="#0f0" d="M9 9h9v9z"/><path fill="#0f0" d="M1 1h2v2z"/></svg>'
)


def test_flattening_gives_a_gradient_its_mean_colour() -> None:
    assert re.findall(r'stop-color="(.*?)"', flatten(DRAWING)) == ["#800080", "#800080"]


def test_an_outline_goes_round_everything() -> None:
    assert re.search(r'viewBox="0 0 32 32"><g stroke="#\w{6}".*</g></svg>$', outline(DRAWING, random.Random(0)))


def test_equal_colours_stay_equal_when_they_move() -> None:
    fills = re.findall(r'fill="(#.*?)"', recolour(DRAWING, random.Random(0)))
    assert len(set(fills)) == 1
    assert fills[0] != "#0f0"


def test_a_drawing_is_restyled_the_same_for_the_same_seed() -> None:
    assert (
        restyle(DRAWING, random.Random(3)) == restyle(DRAWING, random.Random(3)) != restyle(DRAWING, random.Random(4))
    )


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_augmented_pictures_are_pixels_as_clip_normalises_them(strength: float) -> None:
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (8, 80, 80, 4), dtype=torch.uint8)
    seen = augment(pictures, torch.ones(8, dtype=torch.bool), 64, strength)
    assert seen.shape == (8, 3, 64, 64)
    colours = seen * torch.tensor(STD).view(1, 3, 1, 1) + torch.tensor(MEAN).view(1, 3, 1, 1)
    assert colours.min() > -1e-5
    assert colours.max() < 1 + 1e-5


def test_emojis_with_a_left_and_a_right_are_never_mirrored() -> None:
    assert [may_mirror(emoji) for emoji in (DOG, JAPAN, POINTING)] == [True, False, False]
    torch.manual_seed(0)
    half = torch.zeros(200, 80, 80, 4, dtype=torch.uint8)
    half[..., 3] = 255
    half[:, :, :40, :3] = 255  # white on the left
    seen = augment(half, torch.arange(200) < 100, 64, 0.0).mean(1)
    mirrored = seen[:, :, 40:].mean((1, 2)) > seen[:, :, :24].mean((1, 2))
    assert not mirrored[100:].any()
    assert 30 < mirrored[:100].sum() < 70
