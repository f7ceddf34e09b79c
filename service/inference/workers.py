"""The threads of one process, sized together so that they do not fight over the cores.

ONNX Runtime may use every core for a batch, of which each encoder computes one at a time. As many workers decode,
search and read the store; each of those uses one core, so FAISS gets no OpenMP threads of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from promptsearch.system.cpus import available_cores
from promptsearch.system.faiss_blas import faiss

T = TypeVar("T")


def threads(processes: int) -> int:
    """Those of each of so many processes that share this machine's cores."""
    return max(1, available_cores() // processes)


def searching_threads(count: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads search with one core each."""
    # OpenMP keeps its number of threads for each thread that calls it.
    return ThreadPoolExecutor(count, name, initializer=faiss.omp_set_num_threads, initargs=(1,))


class Workers:
    """A bounded pool for what computes or reads files: Pillow, FAISS and SQLite all give up the GIL."""

    def __init__(self, threads: int) -> None:
        self._pool = searching_threads(threads, "search")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. A caller that is cancelled before it began takes it out of the queue."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def submit(self, work: Callable[[], None]) -> None:
        """For threads: have `work` done, which raises nothing."""
        self._pool.submit(work)

    def close(self) -> None:
        self._pool.shutdown()
