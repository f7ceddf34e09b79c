"""Read the weights in a checkpoint file, whatever it is called: .safetensors, or an archive of PyTorch's."""

from __future__ import annotations

import zipfile
from pathlib import Path

from promptsearch.errors import ExportError

from .archive import Arrays, read_archive
from .pickles import Refused
from .safetensors_file import read_safetensors

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch/serialization.py: MAGIC_NUMBER, pickled


def read_weights(path: Path) -> Arrays:
    """Return the tensors in a file by name, as arrays that map it: .safetensors, a state dict or TorchScript.

    Nothing in the file is run. Raises ExportError.
    """
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise ExportError(f"{path} {problem}: pass a checkpoint file")
    try:
        if path.suffix == ".safetensors":
            return read_safetensors(path)
        if zipfile.is_zipfile(path):
            return read_archive(path)
        with path.open("rb") as file:
            start = file.read(len(_LEGACY))
        if start == _LEGACY:
            raise Refused("it has the format of PyTorch before 1.6: save it again with `torch.save`")
        raise Refused("it is neither .safetensors nor an archive of PyTorch's")
    except (Refused, OSError) as error:
        raise ExportError(f"{path} cannot be read as a checkpoint: {error}") from None
