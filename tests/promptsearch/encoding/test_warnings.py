"""Warnings about answers."""

from __future__ import annotations

import pytest

from promptsearch.encoding.warnings import truncation_warning


@pytest.mark.parametrize(
    ("text", "quoted"), [("fox", "'fox'"), ("a" * 40, f"'{'a' * 40}'"), ("b" * 41, f"'{'b' * 40}…'")]
)
def test_a_truncated_text_is_named_by_its_beginning(text: str, quoted: str) -> None:
    assert truncation_warning(text, 77).startswith("the model reads 77 tokens at most")
    assert quoted in truncation_warning(text, 77)
