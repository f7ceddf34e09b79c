"""Tokens against recorded ones of `clip.tokenize`; tests/builder/export/pytorch/test_parity.py calls it anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.tokenizer import Tokenizer, clean
from promptsearch.errors import BundleError
from tests.support.texts import NASTY, TEXTS
from tests.support.tiny import Reference


@pytest.fixture(scope="module")
def tokenizer(encoders: Encoders) -> Tokenizer:
    return encoders.tokenizer


@pytest.mark.parametrize("text", [*TEXTS, *NASTY])
def test_tokens_are_clips(tokenizer: Tokenizer, text: str) -> None:
    assert list(tokenizer.ids(text)) == Reference.read().tokens[text]


def test_a_batch_is_padded_to_its_longest_text(tokenizer: Tokenizer) -> None:
    texts = ["a", "a photo of a dog", ""]
    batch = tokenizer.batch(texts)
    assert batch.dtype == np.int64
    assert batch.shape == (3, 7)
    for row, text in zip(batch, texts, strict=True):
        ids = tokenizer.ids(text)
        np.testing.assert_array_equal(row, [*ids, *[0] * (7 - len(ids))])


def test_a_batch_can_be_padded_to_the_whole_context(vit_bundle: Bundle, tokenizer: Tokenizer) -> None:
    whole = Tokenizer.load(replace(vit_bundle, text=replace(vit_bundle.text, padding="context")))
    batch = whole.batch(["a", "happy dog"])
    assert batch.shape == (2, 77)
    np.testing.assert_array_equal(batch[:, :4], tokenizer.batch(["a", "happy dog"]))
    assert not batch[:, 4:].any()


def test_no_texts_are_an_empty_batch(tokenizer: Tokenizer) -> None:
    assert tokenizer.batch([]).shape == (0, 0)


@pytest.mark.parametrize("words", [75, 76, 500])
def test_long_texts_are_truncated_before_the_end_token(tokenizer: Tokenizer, words: int) -> None:
    start, dog, end = tokenizer.ids("dog")
    assert list(tokenizer.ids("dog " * words)) == [start, *[dog] * 75, end]


def test_half_a_surrogate_pair_is_text_like_any_other(tokenizer: Tokenizer) -> None:
    assert tokenizer.ids("dog \ud800 cat") == tokenizer.ids("dog \ufffd cat")


def test_cleaning_is_done_before_words_are_split() -> None:
    assert clean("  Schön &amp;amp; GUT\n\n ") == "schön & gut"


@pytest.mark.parametrize(("field", "value"), [("cleaning", "sentencepiece"), ("padding", "shortest")])
def test_unknown_settings_of_a_bundle_are_refused(vit_bundle: Bundle, field: str, value: str) -> None:
    unknown = replace(vit_bundle, text=replace(vit_bundle.text, **{field: value}))  # type: ignore[arg-type]  # str fields
    with pytest.raises(BundleError, match=f"{field} must be one of .*, got '{value}'"):
        Tokenizer.load(unknown)


def test_a_damaged_vocabulary_is_refused(vit_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="is not a valid tokenizer"):
        Tokenizer.load(replace(vit_bundle, folder=tmp_path))
