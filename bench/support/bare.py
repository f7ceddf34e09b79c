"""The work of a search and nothing else: `session.run`, an index search, a re-score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import SPIN, unit
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.search.ranking import TIERS
from promptsearch.storage.manifest import FILES, Manifest
from promptsearch.system.cpus import available_cores
from promptsearch.system.faiss_blas import faiss
from service.inference.batching import first_batch


class Bare:
    """A process with the text encoder, the pictures' index and their vectors."""

    def __init__(self, bundle: Bundle, version: Path) -> None:
        arguments = (bundle.folder, version)
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_open, initargs=arguments)
        self.one_by_one(["warm"])

    def one_by_one(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the milliseconds of each text's search."""
        return self._process.submit(_one_by_one, texts).result()

    def batched(self, texts: Sequence[str], together: int, seconds: float) -> Future[float]:
        """Return searches a second, `together` at a time, in batches of similar lengths as in the service."""
        return self._process.submit(_batched, texts, together, seconds)

    def __enter__(self) -> Bare:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.shutdown()


class _Opened:
    """Everything that a search needs, in the process's memory."""

    def __init__(self, folder: Path, version: Path) -> None:
        bundle = Bundle.open(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN)
        path = bundle.path(bundle.precisions["fp32"].text)
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.load(bundle)
        info = Manifest.read(version).images
        assert info is not None
        flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
        self._index = faiss.read_index(str(version / FILES.index("images")), flags)
        self._parameters = None if info.nprobe is None else faiss.SearchParametersIVF(nprobe=info.nprobe)
        if isinstance(self._index, faiss.IndexPreTransform):
            self._parameters = faiss.SearchParametersPreTransform(index_params=self._parameters)
        self._count = max(TIERS[0][0], info.candidates or 0)  # as in the service
        self._vectors = np.load(version / FILES.vectors("images"), mmap_mode="r")

    def search(self, tokens: NDArray[np.int64]) -> None:
        vectors = unit(self._session.run(None, {"tokens": tokens})[0])
        nearest = self._index.search(vectors, self._count, params=self._parameters)[1]
        for rows, vector in zip(nearest, vectors, strict=True):
            np.argsort(-(self._vectors[np.sort(rows)].astype(np.float32) @ vector))


_opened: _Opened


def _open(folder: Path, version: Path) -> None:
    global _opened
    _opened = _Opened(folder, version)


def _one_by_one(texts: Sequence[str]) -> NDArray[np.float64]:
    times = []
    for tokens in [_opened.tokenizer.pad([_opened.tokenizer.ids(text)]) for text in texts]:
        started = time.perf_counter()
        _opened.search(tokens)
        times.append(1000 * (time.perf_counter() - started))
    return np.array(times)


def _batched(texts: Sequence[str], together: int, seconds: float) -> float:
    rows = [_opened.tokenizer.ids(text) for text in texts]
    batches = []
    for start in range(0, len(rows), together):
        left = rows[start : start + together]
        while left:
            chosen = first_batch([len(row) for row in left])
            batches.append(_opened.tokenizer.pad([left[index] for index in chosen]))
            left = [row for index, row in enumerate(left) if index not in chosen]
    done, started = 0, time.perf_counter()
    for batch in batches:
        if time.perf_counter() - started > seconds:
            break
        _opened.search(batch)
        done += len(batch)
    return done / (time.perf_counter() - started)
