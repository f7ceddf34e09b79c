"""What computes embeddings: ONNX Runtime on the CPU, or PyTorch where there is a GPU. Both read the same bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptsearch.bundle import Bundle
from promptsearch.encoders import TEXT_BATCH, Encoders, unit
from promptsearch.errors import BuildError
from promptsearch.preprocessing import Preprocessing
from promptsearch.tokenizer import Tokenizer

NAMES = ("onnx", "torch")


class Engine(Protocol):
    @property
    def preprocessing(self) -> Preprocessing: ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 [len(texts), embedding_dim]."""
        ...

    def encode_pixels(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, 3, size, size] -> unit vectors, float32 [n, embedding_dim]."""
        ...


class TorchEngine:
    """PyTorch with the bundle's own weights: CUDA with half-precision autocast where there is a GPU, else the CPU.

    `threads` (of the CPU) holds for the whole process; `gpu` is a CUDA device's number, None the first.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, gpu: str | None = None) -> None:
        try:
            import torch

            from builder.checkpoint import Checkpoint
            from builder.open_clip import OpenClipCheckpoint
        except ImportError as error:
            raise BuildError("the torch engine needs torch: run `make setup-all`, or use --engine onnx") from error
        self._torch = torch
        self._on_gpu = torch.cuda.is_available()
        self._device = f"cuda:{gpu or 0}" if self._on_gpu else "cpu"
        if threads is not None:
            torch.set_num_threads(threads)
        kind = Checkpoint if bundle.source.open_clip is None else OpenClipCheckpoint
        self._model = kind.of_bundle(bundle).model().to(self._device)
        self.preprocessing = Preprocessing(bundle.image)
        self._tokenizer = Tokenizer.load(bundle)
        self._context, self._padding = bundle.text.context_length, bundle.text.padding_id
        self._dim = bundle.embedding_dim

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for start in range(0, len(texts), TEXT_BATCH):
            batch = texts[start : start + TEXT_BATCH]
            tokens = np.full((len(batch), self._context), self._padding, dtype=np.int64)
            for target, text in zip(tokens, batch, strict=True):
                ids = self._tokenizer.ids(text)
                target[: len(ids)] = ids
            vectors[start : start + len(batch)] = self._encode(self._model.encode_text, tokens)
        return vectors

    def encode_pixels(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._encode(self._model.encode_image, pixels)

    def _encode(self, tower: object, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        torch = self._torch
        assert callable(tower)
        kind = "cuda" if self._on_gpu else "cpu"
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.float16, enabled=self._on_gpu):
            vectors = tower(torch.from_numpy(batch).to(self._device))
        return unit(vectors.float().cpu().numpy())


def open_engine(name: str, bundle: Bundle, *, threads: int | None = None, gpu: str | None = None) -> Engine:
    """`threads` is how many to compute with (None: all cores), `gpu` the number of the one to use (None: the first)."""
    if name == "onnx":
        return Encoders(bundle, threads=threads)
    if name == "torch":
        return TorchEngine(bundle, threads=threads, gpu=gpu)
    raise BuildError(f"{name!r} is no engine; there are {', '.join(NAMES)}")
