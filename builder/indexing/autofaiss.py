"""The steps of autofaiss that the builder calls, imported here alone.

autofaiss is no dependency of the package: its pins are years old, and pip cannot override them.
"""

from __future__ import annotations

from promptsearch.system.faiss_blas import faiss  # noqa: F401 - before autofaiss, which loads it, too

# isort: split
import pandas  # noqa: F401 - autofaiss imports it, from the extra `builder`: without the extra, that is the first error

from promptsearch.errors import NotInstalled

INSTALL = "pip install --no-deps autofaiss==2.18.0 embedding-reader==1.8.1"

try:
    from autofaiss.indices.build import add_embeddings_to_index_local
    from autofaiss.indices.distributed import add_embeddings_to_index_distributed
    from autofaiss.indices.training import create_empty_index
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in ("autofaiss", "embedding_reader"):
        raise
    raise NotInstalled(f"building indices needs {missing}, which is not installed: run `{INSTALL}`") from error

__all__ = ["INSTALL", "add_embeddings_to_index_distributed", "add_embeddings_to_index_local", "create_empty_index"]
