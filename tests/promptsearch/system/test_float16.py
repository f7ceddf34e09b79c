"""Every half against NumPy's own conversion."""

from __future__ import annotations

import numpy as np

from promptsearch.system.float16 import to_float32


def test_every_finite_half_converts_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    np.testing.assert_array_equal(to_float32(halves).view(np.int32), halves.astype(np.float32).view(np.int32))


def test_any_shape_and_memory_order_is_converted_without_changing_the_input() -> None:
    halves = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float16)
    before = halves.copy()
    for view in (halves, halves[::2, :, ::-1].copy(), halves[:, 1], np.empty((0, 4), np.float16)):
        converted = to_float32(view)
        assert converted.dtype == np.float32
        np.testing.assert_array_equal(converted, view.astype(np.float32))
    np.testing.assert_array_equal(halves, before)
