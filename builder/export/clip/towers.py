"""CLIP in NumPy, as its paper has it: the reference of exports where PyTorch is not installed.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision": a vision transformer
(Dosovitskiy et al. 2020) and a causal transformer (Radford et al. 2019), both projected to one space. Plain, in
float32, and compared with `clip` and open_clip by the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.tokenizer import Tokenizer

from .weights import HEAD, Sizes, Weights

Array = NDArray[np.float32]

EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's
_ERF = np.array([0, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429], dtype=np.float32)


class NumpyTowers:
    """Both towers of a CLIP with two transformers."""

    name: Literal["pytorch", "numpy"] = "numpy"

    def __init__(self, weights: Weights, tokenizer: Tokenizer, *, quick_gelu: bool) -> None:
        self._weights = weights
        self._sizes = Sizes.of(weights)
        self._tokenizer = tokenizer
        self._activation = quick_gelu_of if quick_gelu else gelu

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return padded tokens, int64 [len(texts), context_length]."""
        tokens = np.full((len(texts), self._sizes.context_length), self._tokenizer.spec.padding_id, dtype=np.int64)
        for row, text in zip(tokens, texts, strict=True):
            ids = self._tokenizer.ids(text)
            row[: len(ids)] = ids
        return tokens

    def encode_text(self, tokens: NDArray[np.int64]) -> Array:
        """Encode int64 [n, context_length] to float32 [n, embedding_dim], not normalised."""
        w, length = self._weights, int(tokens.argmax(axis=1).max()) + 1
        tokens = tokens[:, :length]  # the mask hides from each token what follows it, so what pads is never seen
        x = w["token_embedding.weight"][tokens] + w["positional_embedding"][:length]
        mask = np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)  # no token sees a later one
        for layer in range(self._sizes.text_layers):
            x = self._block(x, f"transformer.resblocks.{layer}.", mask)
        ends = self._norm(x[np.arange(len(x)), tokens.argmax(axis=1)], "ln_final")
        return ends @ w["text_projection"]

    def encode_image(self, pixels: Array) -> Array:
        """Encode float32 [n, 3, size, size] to float32 [n, embedding_dim], not normalised."""
        w, width = self._weights, self._sizes.vision_width
        patches = self._patches(pixels) @ w["visual.conv1.weight"].reshape(width, -1).T
        first = np.broadcast_to(w["visual.class_embedding"], (len(pixels), 1, width))
        x = np.concatenate([first, patches], axis=1) + w["visual.positional_embedding"]
        x = self._norm(x, "visual.ln_pre")
        for layer in range(self._sizes.vision_layers):
            x = self._block(x, f"visual.transformer.resblocks.{layer}.", None)
        return self._norm(x[:, 0], "visual.ln_post") @ w["visual.proj"]

    def _patches(self, pixels: Array) -> Array:
        """Return the pixels of each patch, row by row: float32 [n, patches, 3 * patch * patch]."""
        count, _, size, _ = pixels.shape
        patch, side = self._sizes.patch, size // self._sizes.patch
        split = pixels.reshape(count, 3, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5)
        return split.reshape(count, side * side, -1)

    def _block(self, x: Array, name: str, mask: Array | None) -> Array:
        x = x + self._attention(self._norm(x, f"{name}ln_1"), f"{name}attn.", mask)
        hidden = self._activation(self._linear(self._norm(x, f"{name}ln_2"), f"{name}mlp.c_fc.weight"))
        return x + self._linear(hidden, f"{name}mlp.c_proj.weight")

    def _attention(self, x: Array, name: str, mask: Array | None) -> Array:
        count, length, width = x.shape
        projected = self._linear(x, f"{name}in_proj_weight").reshape(count, length, 3, width // HEAD, HEAD)
        query, key, value = projected.transpose(2, 0, 3, 1, 4)  # each [n, heads, length, HEAD]
        scores = query @ key.swapaxes(-1, -2) / np.float32(HEAD**0.5)
        mixed = softmax(scores if mask is None else scores + mask) @ value
        return self._linear(mixed.swapaxes(1, 2).reshape(count, length, width), f"{name}out_proj.weight")

    def _linear(self, x: Array, name: str) -> Array:
        bias = name.removesuffix("weight") + "bias"
        return x @ self._weights[name].T + self._weights[bias]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
        normed: Array = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def softmax(x: Array) -> Array:
    """Return the softmax of the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def quick_gelu_of(x: Array) -> Array:
    """Return OpenAI's approximation of GELU: x * sigmoid(1.702 x)."""
    active: Array = x / (1 + np.exp(np.float32(-1.702) * x))
    return active


def gelu(x: Array) -> Array:
    """Return GELU: x times the normal distribution's function at x (Hendrycks and Gimpel 2016).

    Its error function is Abramowitz and Stegun's 7.1.26, which is within 1.5e-7 of the true one.
    """
    size = np.abs(x) / np.float32(2**0.5)
    t = 1 / (1 + np.float32(0.3275911) * size)
    powers = np.polynomial.polynomial.polyval(t, _ERF)
    erf = np.copysign(1 - powers * np.exp(-size * size), x)
    result: Array = x * (1 + erf) / 2
    return result
