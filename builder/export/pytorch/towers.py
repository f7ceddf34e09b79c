"""A PyTorch model as the reference of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray


class TorchTowers:
    """clip's or open_clip's model, in fp32 on the CPU, and its own tokenizer."""

    name: Literal["pytorch", "numpy"] = "pytorch"

    def __init__(self, model: Any, tokenize: Callable[[Sequence[str]], torch.Tensor]) -> None:
        self._model = model
        self._tokenize = tokenize

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return padded tokens, int64 [len(texts), context_length]."""
        tokens: NDArray[np.int64] = self._tokenize(texts).numpy().astype(np.int64)
        return tokens

    @torch.inference_mode()
    def encode_text(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode int64 [n, context_length] to float32 [n, embedding_dim], not normalised."""
        vectors: NDArray[np.float32] = self._model.encode_text(torch.from_numpy(tokens)).numpy()
        return vectors

    @torch.inference_mode()
    def encode_image(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode float32 [n, 3, size, size] to float32 [n, embedding_dim], not normalised."""
        vectors: NDArray[np.float32] = self._model.encode_image(torch.from_numpy(pixels)).numpy()
        return vectors
