"""The trained towers have CLIP's architecture, and their losses follow their published formulas."""

from __future__ import annotations

import math

import clip
import pytest
import torch
from torch.nn import functional as F

from builder.demo.pictures.gallery import Gallery
from builder.demo.training import text_tower
from builder.demo.training.alignment import Seen, named
from builder.demo.training.image_tower import CONTRAST_SCALE, class_targets, contrast, follow, new_tower
from builder.demo.training.schedule import rate
from builder.demo.training.text_tower import TextTower
from builder.export.pytorch.checkpoint import Checkpoint


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
    again = TextTower.of_state(text.clip_state(), tokens.unique()).eval()
    torch.testing.assert_close(again.encode(tokens), text.encode(tokens))


def test_the_contrast_is_the_published_sum() -> None:
    torch.manual_seed(0)
    vectors, classes = F.normalize(torch.randn(6, 4), dim=1), torch.tensor([0, 0, 1, 1, 2, 3])
    total = []
    for i in range(6):
        others = [k for k in range(6) if k != i]
        below = sum(math.exp(CONTRAST_SCALE * float(vectors[i] @ vectors[k])) for k in others)
        shares = [
            math.exp(CONTRAST_SCALE * float(vectors[i] @ vectors[j])) / below
            for j in others
            if classes[j] == classes[i]
        ]
        if shares:
            total.append(-sum(map(math.log, shares)) / len(shares))
    assert float(contrast(vectors, classes)) == pytest.approx(sum(total) / len(total), rel=1e-4)


def test_a_class_is_drawn_by_the_weights_of_its_styles_and_never_for_another() -> None:
    torch.manual_seed(0)
    gallery = Gallery(
        pixels=torch.empty(0),
        classes=torch.tensor([0, 0, 0, 2]),
        styles=torch.tensor([0, 0, 1, 1]),
        own=torch.ones(4, dtype=torch.bool),
        names=("plain", "rare"),
    )
    vectors, prototypes = torch.eye(6)[:4], torch.eye(6)[3:]
    seen = Seen(vectors, gallery, {"rare": 0.25}, prototypes)
    drawn = torch.stack([seen.draw() for _ in range(4000)]).mean(0)
    # Class 0: two pictures of a style that weighs 1 share four fifths, that of one that weighs a quarter has a fifth.
    torch.testing.assert_close(drawn[0, :3], torch.tensor([0.4, 0.4, 0.2]), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn[1], prototypes[1], msg="class 1 has no picture")
    torch.testing.assert_close(drawn[2], vectors[3])
    torch.testing.assert_close(seen.means[0], F.normalize(torch.tensor([0.5, 0.5, 0.25, 0, 0, 0]), dim=0))


def test_a_label_that_a_batch_has_twice_is_right_twice() -> None:
    scores, labels = torch.tensor([[9.0, 9.0, -9.0]] * 2 + [[-9.0, -9.0, 9.0]]), torch.tensor([4, 4, 7])
    assert float(named(scores, labels)) == pytest.approx((2 * math.log(2)) / 3, abs=1e-3)
    assert float(named(scores, torch.tensor([4, 7, 4]))) > 5


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
