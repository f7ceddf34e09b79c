"""The text tower: CLIP's causal transformer, distilled from the teacher, taught which emojis a caption is true of."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from clip.model import LayerNorm, Transformer
from clip.simple_tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from ..texts.captions import Caption
from ..texts.teacher import Teacher
from ..texts.texts import Texts
from .projection import Projection
from .schedule import rate

log = logging.getLogger(__name__)

WIDTH = 128
LAYERS = 4
DIMENSION = 256
CONTEXT = 77  # CLIP, clip/clip.py: tokenize
VOCABULARY = 49408
GROUPS = 4  # of a batch, by length: half the work of padding all texts to the longest
PEAK_RATE = 2e-3
SHARES = {"label": 160, "tag": 64, "composed": 96, "phrase": 192}  # texts of each kind in a batch
CLASS_SCALE = 30.0  # sharpness of the softmax over classes
TEACHER_SCALE = 25.0  # the same for the teacher's opinion
TRUTH = 0.8  # weight of what a caption is known to be true of, beside the teacher's opinion
DISTILLATION = 4.0  # weight of the distance to the teacher's vector


class TextTower(nn.Module):
    """CLIP's text half under CLIP's own parameter names.

    The causal mask makes a text's vector independent of what follows its end, so the padding is cut off. `trained` are
    the token ids whose rows are learned; all other rows stay unchanged.
    """

    table: Tensor
    mask: Tensor
    trained: Tensor
    place: Tensor

    def __init__(self, table: Tensor, trained: Tensor) -> None:
        super().__init__()
        self.transformer = Transformer(WIDTH, LAYERS, WIDTH // 64)
        self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, WIDTH) * 0.01)
        self.ln_final = LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, DIMENSION) * WIDTH**-0.5)
        self.rows = nn.Parameter(table[trained].clone())
        self.register_buffer("table", table)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -math.inf).triu(1))
        self.register_buffer("trained", trained)
        self.register_buffer("place", torch.full((len(table),), -1).scatter(0, trained, torch.arange(len(trained))))

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode token ids of trained rows, int64 [n, 77], to unit vectors, float32 [n, 256]."""
        return self.project(self.features(tokens))

    def features(self, tokens: Tensor) -> Tensor:
        """Return the input of the text projection, float32 [n, 128]. Texts of similar length are computed together."""
        lengths = (tokens != 0).sum(1)
        order = lengths.argsort()
        parts = [self._features(tokens[rows, : int(lengths[rows].max())]) for rows in order.chunk(GROUPS)]
        return torch.cat(parts)[order.argsort()]

    def project(self, features: Tensor) -> Tensor:
        """Return unit vectors of features, float32 [n, 256]."""
        return F.normalize(features @ self.text_projection, dim=1)

    def _features(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        for block in self.transformer.resblocks:
            block.attn_mask = self.mask[:length, :length]
        x = F.embedding(self.place[tokens], self.rows) + self.positional_embedding[:length]
        with torch.autocast("cpu", torch.bfloat16):
            x = self.transformer(x.transpose(0, 1)).transpose(0, 1)
        last = x[torch.arange(len(x)), tokens.argmax(1)]  # the end token has the highest id
        features: Tensor = self.ln_final(last.float())
        return features

    @torch.inference_mode()
    def encode(self, tokens: Tensor) -> Tensor:
        """Run `forward` in batches, without gradients."""
        return torch.cat([self(chunk) for chunk in torch.split(tokens, 1024)])

    @classmethod
    def of_state(cls, state: dict[str, Tensor], trained: Tensor) -> TextTower:
        """Return the tower with these parameters, as CLIP names them."""
        tower = cls(state["token_embedding.weight"], trained)
        tower.load_state_dict({name: state[name] for name in tower.state_dict() if name not in _OWN}, strict=False)
        return tower

    def clip_state(self) -> dict[str, Tensor]:
        """Return the parameters as CLIP names them, the learned token rows back in the full table."""
        state = {name: value for name, value in self.state_dict().items() if name not in _OWN}
        table = self.table.clone()
        table[self.trained] = self.rows.detach()
        return {**state, "token_embedding.weight": table}


_OWN = {"rows", "table", "mask", "trained", "place"}


@dataclass(frozen=True, slots=True)
class TextResult:
    """A trained text tower and its measurements."""

    tower: TextTower
    steps: int
    curve: list[dict[str, float]]


def train_text_tower(
    texts: Texts, classes: Tensor, projection: Projection, *, teacher: Teacher, seconds: float, seed: int
) -> tuple[TextResult, Tensor]:
    """Train for `seconds` of wall time; also returns each class's own unit vector, float32 [classes, 256].

    `classes` are the teacher's unit vectors of the classes, float32 [m, 384].
    """
    torch.manual_seed(seed)
    known, tokens = texts.known, texts.tokens
    started = time.monotonic()
    vectors = teacher.encode([caption.text for caption in known])
    log.info("teacher: %d texts in %.0f s", len(known), time.monotonic() - started)
    goals = projection(vectors)
    opinions = vectors @ classes.T
    tower = TextTower(token_table(teacher), tokens.unique())
    prototypes = nn.Parameter(projection(classes))
    optimiser = torch.optim.AdamW(
        [*tower.parameters(), prototypes], PEAK_RATE, (0.9, 0.98), weight_decay=0.01, fused=True
    )
    curve: list[dict[str, float]] = []
    started, step = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = rate(PEAK_RATE, elapsed / seconds)
        batch = texts.draw(SHARES)
        encoded = tower(tokens[batch])
        target = class_targets([known[row] for row in batch.tolist()], opinions[batch])
        scores = CLASS_SCALE * encoded @ F.normalize(prototypes, dim=1).T
        apart = F.cross_entropy(scores, target)
        away = (1 - (encoded * goals[batch]).sum(1)).mean()
        optimiser.zero_grad()
        (apart + DISTILLATION * away).backward()
        optimiser.step()
        if step % 100 == 0:
            curve.append({"step": step, "seconds": elapsed, "classes": apart.item(), "distance": away.item()})
            log.info("text step %d, %.0f s: classes %.3f, distance %.3f", step, elapsed, apart.item(), away.item())
        step += 1
    return TextResult(tower.eval(), step, curve), F.normalize(prototypes.detach(), dim=1)


def class_targets(captions: Sequence[Caption], opinions: Tensor) -> Tensor:
    """Return the target of each caption: its similarity to each class, rows summing to one: float32 [n, m].

    A caption with known classes gives `TRUTH` to them in equal parts and the rest to the teacher's opinion (its
    cosines [n, m], sharpened); one without is the teacher's opinion alone.
    """
    target = (TEACHER_SCALE * opinions).softmax(1)
    for row, caption in enumerate(captions):
        if caption.classes:
            target[row] *= 1 - TRUTH
            target[row, list(caption.classes)] += TRUTH / len(caption.classes)
    return target


def token_table(teacher: Teacher) -> Tensor:
    """Return the teacher's word vector of each BPE token, on its leading axes: float32 [49408, 128], CLIP's spread."""
    decoder = SimpleTokenizer().decoder
    texts = [decoder[token].replace("</w>", "") for token in range(VOCABULARY)]
    words = torch.stack([teacher.word_vector(text) for text in texts])
    words = words - words.mean(0)
    _, axes = torch.linalg.eigh(words.T @ words)
    table = words @ axes[:, -WIDTH:]
    scaled: Tensor = table / table.std() * 0.05
    return scaled
