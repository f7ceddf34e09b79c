"""The text and image encoder of a bundle on ONNX Runtime: texts and pictures to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.errors import BundleError, ModelFault, one_line
from promptsearch.system.cpus import available_cores
from promptsearch.system.malloc import trim_heap

onnxruntime.disable_telemetry_events()  # enabled by default; searches are private

# Microseconds that an idle thread spins before it sleeps. Without spinning it wakes too late for most operations, which
# adds a fifth to a short text's time; with long spinning it takes a core from everything else.
SPIN = "20"
TEXT_BATCH = 64
IMAGE_BATCH = 32


# What an encoder may return: shorter is a zero vector, which has no direction.
_SHORTEST = 1e-12


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows scaled to length 1, float32 [n, d]. A zero row, which no encoder returns, stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(lengths, np.float32(_SHORTEST))).astype(np.float32, copy=False)
    return scaled


def unit_of_output(output: NDArray[np.float32], bundle: Bundle) -> NDArray[np.float32]:
    """Return what an encoder computed as unit vectors, float32 [n, embedding_dim]. Raises ModelFault for anything else.

    A damaged model computes NaN, infinity or nothing, which no later check could tell from a wrong query.
    """
    with np.errstate(all="ignore"):  # the result is checked
        vectors = unit(output)
        lengths = np.linalg.norm(vectors, axis=-1)
    if output.ndim != 2 or output.shape[1] != bundle.embedding_dim:
        raise ModelFault(
            f"model {bundle.name} returned vectors of the shape {list(output.shape)}, expected "
            f"[n, {bundle.embedding_dim}]: export it again"
        )
    if not (np.abs(lengths - 1) < 1e-3).all():  # also false for NaN
        raise ModelFault(
            f"model {bundle.name} returned a vector that is not finite or zero: its files are damaged; export it again"
        )
    return vectors


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of an ONNX file. Raises BundleError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN)
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        raise BundleError(f"{path} cannot be loaded: {one_line(error)}") from error


def _require_shapes(session: onnxruntime.InferenceSession, path: Path, name: str, tail: list[int], dim: int) -> None:
    """Raise BundleError unless an encoder takes `name`, [n, *tail], and returns [n, dim]; sizes may be dynamic."""
    inputs = {each.name: each.shape for each in session.get_inputs()}
    if list(inputs) != [name]:
        raise BundleError(
            f"{path} takes {', '.join(inputs)}, expected {name}: the files of the two encoders may be swapped; "
            "export the model again"
        )
    output = session.get_outputs()[0].shape
    for what, actual, expected in (("takes", inputs[name][1:], tail), ("returns", output[1:], [dim])):
        if any(isinstance(size, int) and size != wanted for size, wanted in zip(actual, expected, strict=False)):
            raise BundleError(
                f"{path} {what} {actual}, model.json says {expected}: the file belongs to another model; "
                "export the model again"
            )


class Encoders:
    """The text and image encoder of one bundle; safe to use from several threads.

    `threads`: of each encoder (default: one for each available core). Raises BundleError.
    """

    image_batch = IMAGE_BATCH

    def __init__(self, bundle: Bundle, *, precision: str = "fp32", threads: int | None = None) -> None:
        if precision not in bundle.precisions:
            raise BundleError(
                f"model {bundle.name} has no {precision} encoders, only {', '.join(bundle.precisions)}; "
                f"export them with --precision {precision} (python -m builder export --help)"
            )
        self.bundle = bundle
        self.precision = precision
        files = bundle.precisions[precision]
        self._text = _session(bundle.path(files.text), threads or available_cores())
        self._image = _session(bundle.path(files.image), threads or available_cores())
        dim, size = bundle.embedding_dim, bundle.image.size
        _require_shapes(self._text, bundle.path(files.text), "tokens", [], dim)
        _require_shapes(self._image, bundle.path(files.image), "pixels", [3, size, size], dim)
        trim_heap()  # loading reads each weight twice: half a gigabyte for ViT-B/32
        self.tokenizer = Tokenizer.load(bundle)
        self.preprocessing = Preprocessing(bundle.image)

    def check(self, text: str) -> NDArray[np.float32]:
        """Encode a text and a grey picture, to see whether both encoders work; return the text's unit vector.

        float32 [embedding_dim]. Raises ModelFault.
        """
        size = self.bundle.image.size
        self.encode_crops(np.full((1, size, size, 3), 128, dtype=np.uint8))
        vector: NDArray[np.float32] = self.encode_texts([text])[0]
        return vector

    def encode_tokens(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode tokens, int64 [n, length], as unit vectors, float32 [n, embedding_dim]. Raises ModelFault."""
        return self._run(self._text, {"tokens": tokens})

    def encode_pixels(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode pixels, float32 [n, 3, size, size], as unit vectors, float32 [n, embedding_dim]. Raises ModelFault."""
        return self._run(self._image, {"pixels": pixels})

    def encode_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode crops of `preprocessing`, uint8 [n, size, size, 3], as unit vectors, float32 [n, embedding_dim]."""
        return self.encode_pixels(self.preprocessing.normalise(crops))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts as unit vectors, float32 [len(texts), embedding_dim].

        Texts of similar length are encoded together, because a batch takes the time of its longest text for each text.
        """
        return self.encode_and_check(texts)[0]

    def encode_and_check(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode texts as `encode_texts` does; also return which of them were truncated, bool [len(texts)]."""
        vectors = np.empty((len(texts), self.bundle.embedding_dim), dtype=np.float32)
        read = [self.tokenizer.read(text) for text in texts]
        rows = [ids for ids, _ in read]
        by_length = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        for start in range(0, len(by_length), TEXT_BATCH):
            batch = by_length[start : start + TEXT_BATCH]
            vectors[batch] = self.encode_tokens(self.tokenizer.pad([rows[row] for row in batch]))
        return vectors, np.array([truncated for _, truncated in read], dtype=np.bool_)

    def encode_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Encode RGB pictures as unit vectors, float32 [len(pictures), embedding_dim]."""
        vectors = np.empty((len(pictures), self.bundle.embedding_dim), dtype=np.float32)
        for start in range(0, len(pictures), IMAGE_BATCH):
            batch = pictures[start : start + IMAGE_BATCH]
            vectors[start : start + len(batch)] = self.encode_pixels(np.stack([self.preprocessing(p) for p in batch]))
        return vectors

    def _run(self, session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            output = session.run(None, inputs)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise ModelFault(f"model {self.bundle.name} failed: {one_line(error)}") from error
        return unit_of_output(output, self.bundle)
