"""Read the tensors of a zip archive that PyTorch wrote: a state dict of `torch.save`, or TorchScript as OpenAI's are.

The archive's pickle says which bytes are which tensor. Those are mapped, not copied, so an archive needs no more memory
than what is made of it.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pickles import LARGEST, Module, Refused, StoredTensor, load

Arrays = dict[str, NDArray[Any]]

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of an entry, before its name: signature, lengths of name and extra field
_DEEPEST = 32  # modules within modules
_MOST = 100_000  # names in a checkpoint


def read_archive(path: Path) -> Arrays:
    """Return the tensors by name; those in fp16 stay so, bfloat16 becomes float32. Raises Refused and OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) != len(archive.infolist()):
                raise Refused("two of its entries have the same name")
            root = _root(entries)
            pickled = entries[f"{root}/data.pkl"]
            _require_stored(pickled, path)
            if pickled.file_size > LARGEST:
                raise Refused(f"it describes its tensors in {pickled.file_size} bytes, more than {LARGEST}")
            described = _tensors(load(archive.read(pickled)))
            if f"{root}/byteorder" in entries and archive.read(entries[f"{root}/byteorder"]) != b"little":
                raise Refused("its numbers are big-endian")
        return {name: _array(tensor, entries, root, path) for name, tensor in described.items()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error) as error:
        raise Refused(f"it is damaged: {error}") from None


def _root(entries: Mapping[str, zipfile.ZipInfo]) -> str:
    roots = [name.removesuffix("/data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1 or not roots[0] or "/" in roots[0]:
        raise Refused("it is a zip archive, but not one of PyTorch: it has no data.pkl in its one folder")
    return roots[0]


def _require_stored(entry: zipfile.ZipInfo, path: Path) -> None:
    """Raise Refused for an entry that is compressed, as PyTorch's are not, or larger than the file."""
    size = path.stat().st_size
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.file_size > size:
        raise Refused(f"its entry {entry.filename} is compressed, or larger than the file")


def _tensors(content: object) -> dict[str, StoredTensor]:
    """Return the tensors of a state dict, of a training checkpoint with one, or of a module, by name."""
    if isinstance(content, Module):
        return dict(_of_module(content, "", 0, [0]))
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, StoredTensor) for name, value in content.items()
    ):
        raise Refused(f"expected a state dict, a mapping of names to tensors, found {_found(content)}")
    return content


def _found(content: object) -> str:
    """Return what a pickle has instead of a state dict: its type, or those of its keys and values."""
    if not isinstance(content, dict):
        return type(content).__name__
    types = sorted({f"{type(name).__name__}: {type(value).__name__}" for name, value in content.items()})
    return f"a mapping with {', '.join(types)}"


def _of_module(module: Module, prefix: str, depth: int, seen: list[int]) -> Iterator[tuple[str, StoredTensor]]:
    for name, value in module.attributes.items():
        seen[0] += 1
        if depth > _DEEPEST or seen[0] > _MOST or not isinstance(name, str):
            raise Refused("its modules are nested too deeply, or are too many")
        if isinstance(value, StoredTensor):
            yield prefix + name, value
        elif isinstance(value, Module):
            yield from _of_module(value, f"{prefix}{name}.", depth + 1, seen)


def _array(tensor: StoredTensor, entries: Mapping[str, zipfile.ZipInfo], root: str, path: Path) -> NDArray[Any]:
    entry = entries.get(f"{root}/data/{tensor.key}")
    if entry is None:
        raise Refused(f"a tensor's storage {tensor.key!r} is not in the archive")
    _require_stored(entry, path)
    stored = np.dtype("<u2" if tensor.dtype == "bfloat16" else tensor.dtype)
    if not 0 <= tensor.count <= entry.file_size // stored.itemsize:
        raise Refused(f"storage {tensor.key} is said to have {tensor.count} elements, and has {entry.file_size} bytes")
    _require_inside(tensor)
    start = _data_offset(entry, path) + tensor.offset * stored.itemsize
    if math.prod(tensor.shape) == 0:
        return np.empty(tensor.shape, stored)
    extent = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    flat = np.memmap(path, stored, mode="c", offset=start, shape=(extent,))
    steps = [stride * stored.itemsize for stride in tensor.strides]
    array: NDArray[Any] = np.ndarray(tensor.shape, stored, buffer=flat, strides=steps)
    return widened(array) if tensor.dtype == "bfloat16" else array


def _require_inside(tensor: StoredTensor) -> None:
    """Raise Refused for a tensor that reaches out of its storage, or repeats what is in there."""
    sizes, strides = tensor.shape, tensor.strides
    if len(sizes) != len(strides) or min((tensor.offset, *sizes, *strides), default=0) < 0:
        raise Refused(f"a tensor has the shape {sizes} with the strides {strides}, which is impossible")
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if math.prod(sizes) and (last >= tensor.count or math.prod(sizes) > tensor.count):
        raise Refused(f"a tensor of shape {sizes} is larger than its storage of {tensor.count} elements")


def _data_offset(entry: zipfile.ZipInfo, path: Path) -> int:
    """Return where the bytes of an entry that is not compressed begin in the file."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    start: int = entry.header_offset + _LOCAL_HEADER.size + name + extra
    if signature != b"PK\x03\x04" or start + entry.file_size > path.stat().st_size:
        raise Refused(f"it is damaged: its entry {entry.filename} is not where the archive says")
    return start


def widened(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16, passed as its bits, as float32: these are the upper half of that."""
    wide: NDArray[np.float32] = (bits.astype(np.uint32) << 16).view(np.float32)
    return wide
