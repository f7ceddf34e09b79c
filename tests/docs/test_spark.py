"""The Spark build of the documentation, which needs pyspark and Java."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptsearch.storage.manifest import Manifest, current_version
from tests.docs.checkout import succeed
from tests.docs.pages import of_kind
from tests.support import source

pytestmark = pytest.mark.spark


def test_a_cluster_builds(checkout: Path) -> None:
    for command in of_kind("spark"):
        succeed(command, checkout)
    assert Manifest.read(current_version(checkout / "indices" / "mine")).counts == source.COUNTS
