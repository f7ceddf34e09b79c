"""The original of an export: a checkpoint's two towers in PyTorch, and the description of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenizers import Tokenizer
from torch import Tensor, nn

from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec


class Towers(Protocol):
    """A model of clip's or open_clip's, in fp32 on the CPU, for inference: the reference of everything we export."""

    def encode_text(self, text: Tensor, /) -> Tensor:
        """Encode int64 [n, context_length] to float32 [n, embedding_dim], not normalised."""
        ...

    def encode_image(self, image: Tensor, /) -> Tensor:
        """Encode float32 [n, 3, size, size] to float32 [n, embedding_dim], not normalised."""
        ...


@dataclass(frozen=True)
class Original:
    """A PyTorch model in the form that is exported, and what a bundle records of it."""

    source: Source
    architecture: str  # in words
    model: Towers
    tokenize: Callable[[Sequence[str]], Tensor]  # the model's own, never ours: int64 [n, context_length]
    text_tower: nn.Module  # what becomes the text graph: int64 [batch, length] -> float32 [batch, embedding_dim]
    image_tower: nn.Module  # what becomes the image graph: float32 [batch, 3, size, size] -> the same
    embedding_dim: int
    logit_scale: float
    image: ImageSpec
    text: TextSpec
    tokenizer: Tokenizer  # what becomes the bundle's tokenizer file
    licences: Mapping[str, str]  # file name -> text: of what the tokenizer was taken from


class Exportable(Protocol):
    """A checkpoint of some architecture."""

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError if the weights do not fit."""
        ...
