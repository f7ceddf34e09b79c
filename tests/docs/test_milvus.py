"""The publishing to Milvus of the documentation, on Milvus Lite."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptsearch.storage.manifest import Manifest, current_version
from tests.docs.checkout import succeed
from tests.docs.pages import of_kind

pytestmark = pytest.mark.milvus

BUILD = ".venv/bin/python -m builder build folder my-generations --model models/ViT-B-32 --collection generations"


def test_a_collection_is_published_to_milvus(checkout: Path) -> None:
    succeed(BUILD, checkout)
    for command in of_kind("milvus"):
        assert "to Milvus" in succeed(command, checkout)
    milvus = Manifest.read(current_version(checkout / "indices" / "generations")).milvus
    assert milvus is not None
    assert Path(milvus.address) == checkout / "milvus.db"
