"""The table of published weights. That it says what open_clip says: tests/builder/export/pytorch/test_clip.py."""

from __future__ import annotations

import pytest

from builder.export.clip.architectures import sizes_of
from builder.export.clip.checkpoint import MEAN
from builder.export.published.models import HALF, OPENAI, of_architecture, published, table
from promptsearch.errors import ExportError


@pytest.mark.parametrize("name", table())
def test_each_row_is_complete(name: str) -> None:
    row = published(name)
    assert (row.url is None) != (row.repository is None)
    assert row.url is None or row.url.startswith("https://")
    assert (row.sha256 is None) == (row.url is None)
    assert row.licence
    if name in OPENAI:
        assert (row.open_clip, row.tag, row.quick_gelu, len(str(row.sha256))) == (None, None, True, 64)
    else:
        assert row.open_clip is not None
        assert sizes_of(row.open_clip) is not None
        assert of_architecture(row.open_clip)[str(row.tag)] == row


def test_table_has_all_models_of_openai() -> None:
    assert [name for name in table() if published(name).open_clip is None] == list(OPENAI)


def test_pictures_are_prepared_as_the_weights_want_them() -> None:
    assert published("ViT-L-14/laion2b_s32b_b82k").mean == published("ViT-L-14/laion2b_s32b_b82k").std == HALF
    assert published("ViT-B-32/laion2b_s34b_b79k").mean == MEAN


def test_unknown_name_error_suggests_a_known_name() -> None:
    with pytest.raises(ExportError, match=r"got ViT-B-32/laion2b_s34b: did you mean ViT-B-32/laion2b_s34b_b79k"):
        published("ViT-B-32/laion2b_s34b")
