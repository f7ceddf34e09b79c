"""Read the tensors of a .safetensors file: a JSON header that says which bytes are which tensor, then the bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import Arrays, widened
from .pickles import Refused

LARGEST_HEADER = 100_000_000  # bytes, as the format limits it
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_safetensors(path: Path) -> Arrays:
    """Return the tensors by name; those in fp16 stay so, bfloat16 becomes float32. Raises Refused and OSError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, path.stat().st_size - 8):
            raise Refused(f"it is damaged: its header is said to have {length} bytes")
        text = file.read(length)
    try:
        header = json.loads(text)
        described = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: _array(name, entry, path, 8 + length) for name, entry in described.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"its header is damaged: {error!r}") from None


def _array(name: str, entry: dict[str, Any], path: Path, start: int) -> NDArray[Any]:
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _DTYPES:
        raise Refused(f"its tensor {name!r} has the type {kind!r}; known ones are {', '.join(_DTYPES)}")
    dtype = np.dtype(_DTYPES[kind])
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)):
        raise Refused(f"its tensor {name!r} has an impossible size")
    if end - begin != math.prod(shape) * dtype.itemsize or start + end > path.stat().st_size:
        raise Refused(f"its tensor {name!r} does not fit the bytes that it is said to have")
    if begin == end:
        return np.empty(shape, dtype)
    array: NDArray[Any] = np.memmap(path, dtype, mode="c", offset=start + begin, shape=tuple(shape))
    return widened(array) if kind == "BF16" else array
