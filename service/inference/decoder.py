"""Uploaded pictures become the input of an encoder, within limits of pixels, memory and time."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.decode_memory import ThreadsMemory
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.engines.stages import Stage

from .search_threads import SearchThreads, threads_per_process

# Of a request's deadline: what computes longer is the picture's fault, and trying again would not help.
_SHARE = 0.6


class Decoder:
    """Decodes pictures in threads of its own: a search does not wait for a large one."""

    def __init__(self, max_pixels: int, memory: int, deadline: float, processes: int) -> None:
        """Decode pictures of up to `max_pixels`, together in `memory` bytes, each in a share of `deadline` seconds."""
        self._max_pixels = max_pixels
        self._memory = ThreadsMemory(memory)
        self._seconds = _SHARE * deadline
        self._threads = SearchThreads(threads_per_process(processes), "decode")

    async def pixels(self, picture: bytes, preprocessing: Preprocessing, stage: Stage) -> NDArray[np.float32]:
        """Return the image encoder's input, float32 [3, size, size]. Raises PictureError."""
        return await self._threads.run(partial(self._decode, picture, preprocessing, stage))

    def _decode(self, picture: bytes, preprocessing: Preprocessing, stage: Stage) -> NDArray[np.float32]:
        spec = preprocessing.spec
        with stage("decode"):
            opened = open_picture(
                picture,
                max_pixels=self._max_pixels,
                background=spec.background,
                shorter_side=spec.size,
                memory=self._memory,
                seconds=self._seconds,
            )
            return preprocessing(opened)
