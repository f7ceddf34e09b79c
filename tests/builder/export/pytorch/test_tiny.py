"""The committed bundle and reference, which tests without PyTorch use, equal PyTorch's current results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from tests.builder.export.pytorch.write_tiny import reference
from tests.support import tiny

REWRITE = "it has changed: write it with `python -m tests.builder.export.pytorch.write_tiny`"


def test_the_committed_bundle_equals_a_new_export(vit_bundle: Bundle, tmp_path: Path) -> None:
    committed = tiny.write(tmp_path / "tiny")
    assert committed.files == vit_bundle.files, REWRITE
    assert committed.identity == vit_bundle.identity, REWRITE
    assert (committed.image, committed.text) == (vit_bundle.image, vit_bundle.text), REWRITE


def test_the_committed_reference_equals_pytorchs_vectors(encoders: Encoders) -> None:
    committed, now = json.loads(tiny.REFERENCE.read_text(encoding="utf-8")), reference(encoders)
    assert committed["tokens"] == now["tokens"], REWRITE
    for kind in ("texts", "pictures"):
        np.testing.assert_allclose(committed[kind], now[kind], atol=1e-5, err_msg=REWRITE)
