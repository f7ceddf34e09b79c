"""Sets of rows, and the selector that FAISS reads from them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.engines.row_set import RowSet
from promptsearch.system.faiss_blas import faiss
from tests.support.vectors import random_vectors


@given(mask=st.lists(st.booleans(), min_size=1, max_size=70))
def test_a_row_set_equals_its_mask(mask: list[bool]) -> None:
    rows = RowSet(np.array(mask))
    assert rows.mask.tolist() == mask
    assert rows.rows.tolist() == [row for row, chosen in enumerate(mask) if chosen]
    assert len(rows) == sum(mask)


def test_faiss_searches_only_the_chosen_rows() -> None:
    vectors = random_vectors(50, 8)
    index = faiss.IndexFlatIP(8)
    index.add(vectors)
    chosen = RowSet(np.arange(50) % 7 == 3)
    _, [nearest] = index.search(vectors[:1], 20, params=faiss.SearchParameters(sel=chosen.selector))
    assert sorted(row for row in nearest.tolist() if row >= 0) == chosen.rows.tolist()
