"""The threads of one process, sized together so that they do not compete for cores.

ONNX Runtime may use every core for a batch, and each encoder computes one batch at a time. As many search threads
search and read the store, and as many others decode pictures, so that no search waits for a large one. Each of them
uses one core, so FAISS gets no OpenMP threads of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from promptsearch.system.cpus import available_cores
from promptsearch.system.faiss_blas import faiss

T = TypeVar("T")


def threads_per_process(processes: int) -> int:
    """Return the number of threads for each of so many processes that share this machine's cores."""
    return max(1, available_cores() // processes)


def single_core_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool whose threads each search with one core."""
    # OpenMP keeps its number of threads per calling thread.
    return ThreadPoolExecutor(count, name, initializer=faiss.omp_set_num_threads, initargs=(1,))


class SearchThreads:
    """A bounded pool for what computes or reads files: Pillow, FAISS and SQLite all release the GIL."""

    def __init__(self, threads: int, name: str = "search") -> None:
        self._pool = single_core_threads(threads, name)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; raises what it raises. A caller that is cancelled in time leaves the queue."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def submit(self, work: Callable[[], None]) -> None:
        """Queue `work`, which raises nothing, from any thread."""
        self._pool.submit(work)

    def close(self) -> None:
        """Wait for the running work and end the threads."""
        self._pool.shutdown()
