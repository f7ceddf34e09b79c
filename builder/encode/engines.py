"""The engines that compute embeddings: ONNX Runtime on the CPU, PyTorch on a GPU. Both read the same bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import IMAGE_BATCH, TEXT_BATCH, Encoders, unit_of_output
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.errors import BuildError

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("onnx", "torch")
# Enough to keep a large GPU busy, and little beside the memory of a small one.
GPU_IMAGE_BATCH = 256
GPU_TEXT_BATCH = 1024


class Engine(Protocol):
    """The encoders of one model."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Return the preprocessing that crops pictures for `encode_crops`."""
        ...

    @property
    def image_batch(self) -> int:
        """Return the number of pictures to encode at once."""
        ...

    def encode_and_check(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return unit vectors, float32 [len(texts), embedding_dim], and which were truncated, bool [len(texts)]."""
        ...

    def encode_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [n, embedding_dim], of cropped pictures, uint8 [n, size, size, 3]."""
        ...


class LazyEncoders:
    """ONNX Runtime, which opens the model when there is something to encode."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.preprocessing = Preprocessing(bundle.image)
        self.image_batch = IMAGE_BATCH

    def encode_and_check(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return unit vectors, float32 [len(texts), embedding_dim], and which were truncated, bool [len(texts)]."""
        return self._encoders.encode_and_check(texts)

    def encode_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [n, embedding_dim], of cropped pictures, uint8 [n, size, size, 3]."""
        return self._encoders.encode_crops(crops)

    @cached_property
    def _encoders(self) -> Encoders:
        return Encoders(self._bundle)


class TorchEngine:
    """PyTorch with the bundle's own weights: on CUDA with half-precision autocast if there is a GPU, else on the CPU.

    `threads` (of the CPU) applies to the whole process; `gpu` is the number of a CUDA device, None for the first.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, gpu: str | None = None) -> None:
        try:
            import torch

            from ..export.pytorch.checkpoint import Checkpoint
            from ..export.pytorch.open_clip import OpenClipCheckpoint
        except ImportError as error:
            raise BuildError(
                "the torch engine needs PyTorch: run `make setup-all` in a checkout, or use --engine onnx"
            ) from error
        self._torch = torch
        self._on_gpu = torch.cuda.is_available()
        self._device = f"cuda:{gpu or 0}" if self._on_gpu else "cpu"
        if threads is not None:
            torch.set_num_threads(threads)
        kind = Checkpoint if bundle.source.open_clip is None else OpenClipCheckpoint
        self._model = kind.of_bundle(bundle).model().to(self._device)
        self.preprocessing = Preprocessing(bundle.image)
        self.image_batch = GPU_IMAGE_BATCH if self._on_gpu else IMAGE_BATCH
        self._text_batch = GPU_TEXT_BATCH if self._on_gpu else TEXT_BATCH
        self._scale, self._shift = (
            torch.from_numpy(each).to(self._device).view(3, 1, 1)
            for each in (self.preprocessing.scale, self.preprocessing.shift)
        )
        self._tokenizer = Tokenizer.load(bundle)
        self._context, self._padding = bundle.text.context_length, bundle.text.padding_id
        self._dim, self._bundle = bundle.embedding_dim, bundle

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [len(texts), embedding_dim]."""
        return self.encode_and_check(texts)[0]

    def encode_and_check(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return unit vectors, float32 [len(texts), embedding_dim], and which were truncated, bool [len(texts)]."""
        truncated: list[bool] = []
        # The GPU computes one batch while the next is tokenised: the results are read at the end.
        encoded = [
            self._encode(self._model.encode_text, self._tokens(texts[start : start + self._text_batch], truncated))
            for start in range(0, len(texts), self._text_batch)
        ]
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for number, batch in enumerate(encoded):
            start = number * self._text_batch
            vectors[start : start + len(batch)] = batch.cpu().numpy()
        return unit_of_output(vectors, self._bundle), np.array(truncated, dtype=np.bool_)

    def encode_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [n, embedding_dim], of cropped pictures, uint8 [n, size, size, 3]."""
        # Bytes are a quarter of the size of floats: they are converted on the GPU.
        planes = self._torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)
        vectors = self._encode(self._model.encode_image, planes * self._scale + self._shift).cpu().numpy()
        return unit_of_output(vectors, self._bundle)

    def _tokens(self, texts: Sequence[str], truncated: list[bool]) -> Tensor:
        """Return padded tokens, int64 [len(texts), context_length], on the device; append which were truncated."""
        tokens = np.full((len(texts), self._context), self._padding, dtype=np.int64)
        for target, text in zip(tokens, texts, strict=True):
            ids, is_truncated = self._tokenizer.read(text)
            target[: len(ids)] = ids
            truncated.append(is_truncated)
        return self._torch.from_numpy(tokens).to(self._device)

    def _encode(self, tower: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """Return float32 vectors on the device, which a GPU may still be computing."""
        torch = self._torch
        kind = "cuda" if self._on_gpu else "cpu"
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.float16, enabled=self._on_gpu):
            return tower(batch).float()


def open_engine(name: str, bundle: Bundle, *, threads: int | None = None, gpu: str | None = None) -> Engine:
    """Open an engine with so many threads (None: all cores), on a GPU by its number (None: the first).

    Raises BuildError for other names than NAMES.
    """
    if name == "onnx":
        return Encoders(bundle, threads=threads)
    if name == "torch":
        return TorchEngine(bundle, threads=threads, gpu=gpu)
    raise BuildError(f"expected an engine of {', '.join(NAMES)}, got {name!r}")
