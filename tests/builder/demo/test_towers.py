"""The towers that are trained are CLIP's own, and their losses are what they are said to be."""

from __future__ import annotations

import math

import clip
import pytest
import torch
from torch.nn import functional as F

from builder.checkpoint import Checkpoint
from builder.demo import text_tower
from builder.demo.image_tower import class_targets, contrast, follow, new_tower
from builder.demo.schedule import rate
from builder.demo.text_tower import TextTower


def test_the_towers_together_are_a_clip_that_build_model_takes() -> None:
    torch.manual_seed(0)
    tokens = clip.tokenize(["happy dog", "a flag", ""]).long()
    text = TextTower(torch.randn(text_tower.VOCABULARY, text_tower.WIDTH) * 0.05, tokens.unique()).eval()
    state = {**text.clip_state(), **{f"visual.{name}": value for name, value in new_tower().state_dict().items()}}
    built = Checkpoint("demo", "0" * 64, {**state, "logit_scale": torch.tensor(3.0)}).model()
    assert built.visual.input_resolution == 64
    assert built.context_length == text_tower.CONTEXT
    with torch.inference_mode():
        reference, ours = F.normalize(built.encode_text(tokens), dim=1), text(tokens)
    assert F.cosine_similarity(reference, ours).min() > 0.999, "trained in bfloat16, so not to the last digit"


def test_the_contrast_is_the_published_sum() -> None:
    torch.manual_seed(0)
    found, classes = F.normalize(torch.randn(6, 4), dim=1), torch.tensor([0, 0, 1, 1, 2, 3])
    total = []
    for i in range(6):
        others = [k for k in range(6) if k != i]
        below = sum(math.exp(10 * float(found[i] @ found[k])) for k in others)
        shares = [math.exp(10 * float(found[i] @ found[j])) / below for j in others if classes[j] == classes[i]]
        if shares:
            total.append(-sum(map(math.log, shares)) / len(shares))
    assert float(contrast(found, classes)) == pytest.approx(sum(total) / len(total), rel=1e-4)


def test_targets_are_shares_and_mostly_the_class_itself() -> None:
    torch.manual_seed(0)
    targets = class_targets(F.normalize(torch.randn(20, 8), dim=1))
    torch.testing.assert_close(targets.sum(1), torch.ones(20))
    assert (targets.argmax(1) == torch.arange(20)).all()
    assert targets.diagonal().min() > 0.85


def test_the_average_follows_the_tower() -> None:
    slow, fast = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(fast.weight, 3.0)
    for _ in range(7):
        fast(torch.zeros(2, 2))
    follow(slow, fast, 0.75)
    torch.testing.assert_close(slow.weight, torch.full((2,), 1.5))
    assert slow.num_batches_tracked == 7


def test_the_rate_warms_up_and_falls() -> None:
    assert rate(1.0, 0.0) < 0.05
    assert rate(1.0, 0.03) == 1.0
    assert rate(1.0, 0.03) > rate(1.0, 0.5) > rate(1.0, 1.0) > 0
