"""What is exported: a checkpoint's two towers, and all that has to be known to feed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec


class Towers(Protocol):
    """A model in fp32 on the CPU that is not ours to export: the reference of the encoders that are."""

    @property
    def name(self) -> Literal["pytorch", "numpy"]:
        """Return the implementation, as `model.json` records it."""
        ...

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return padded tokens, int64 [len(texts), context_length], of the reference's own tokenizer."""
        ...

    def encode_text(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode int64 [n, context_length] to float32 [n, embedding_dim], not normalised."""
        ...

    def encode_image(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode float32 [n, 3, size, size] to float32 [n, embedding_dim], not normalised."""
        ...


@dataclass(frozen=True)
class Original:
    """A model in the form that is exported, and what a bundle records of it."""

    source: Source
    architecture: str  # in words
    reference: Towers
    write_text: Callable[[Path], None]  # writes the text graph: int64 [batch, length] -> float32 [batch, embedding_dim]
    write_image: Callable[[Path], None]  # the image graph: float32 [batch, 3, size, size] -> the same
    is_convolutional: bool  # whether the image tower is made of convolutions
    embedding_dim: int
    logit_scale: float
    image: ImageSpec
    text: TextSpec
    tokenizer: Tokenizer  # what becomes the bundle's tokenizer file
    licences: Mapping[str, str]  # file name -> text: of what the tokenizer was taken from
    logit_bias: float | None = None  # SigLIP's; None: the model has none


class Exportable(Protocol):
    """A checkpoint of some architecture."""

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError if the weights do not fit."""
        ...


def in_batches(
    encode: Callable[[NDArray[Any]], NDArray[np.float32]], rows: NDArray[Any], batch: int
) -> NDArray[np.float32]:
    """Return what `encode` makes of so many rows at a time."""
    return np.concatenate([encode(rows[start : start + batch]) for start in range(0, len(rows), batch)])
