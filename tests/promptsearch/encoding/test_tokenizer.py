"""The reference is `clip.tokenize`."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import clip
import clip.clip
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.tokenizer import Tokenizer, clean
from promptsearch.errors import BundleError
from tests.support.parity import TEXTS, check_tokens

NASTY = (
    "   leading,  inner\t\n and trailing \r\n",
    "don’t can't CAN'T 'S 'll''ve 're'",
    "<|endoftext|>",
    "before <|endoftext|> after <|startoftext|> again <|ENDOFTEXT|>",
    "!<|endoftext|>! <|end of text|>",
    "\x00\x01\x7f\x80\x9f control \u200b\u200d\u2060\ufeff zero width",
    "\u2028\u2029\u0085 separators \u3000 ideographic space",
    "&amp;amp;lt; &#x1F600; &#0; &#xD800; &nbsp; &notanentity;",
    "<br> &amp;amp;lt; &amp;quot;",  # where there is a <, ftfy leaves entities to CLIP, which resolves them twice
    "mojibake: âœ” No problems, schÃ¶n",
    "İstanbul ǅ ſ ß ﬁ Å K Ω ⅷ ① ² ½ ٣ ७",  # odd lower-casing, compatibility letters, digits that are no ASCII
    "\U0001e900\U0001e943 \U00010400 \U00016e40 ᲀ Ა \U0001df00 ꟊ Ꟶ 𞤢",  # scripts of recent Unicode versions
    "a\u0301e\u0308 combining \u0e01\u0e33 \u1100\u1161 नमस्ते",
    "日本語テキスト 한국어 中文 العربية עברית",
    "🇩🇪🇯🇵 👍🏽 ❤️ ☃ \U0001faf6",
    "x=1+2*3/4^5_6-7%8 #tag @user http://example.com/?a=b&c=d",
    "\ufffd\ufffe\U0010ffff",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "0123456789 1,000.50 ½⅓",
)


@pytest.fixture(scope="module")
def tokenizer(encoders: Encoders) -> Tokenizer:
    return encoders.tokenizer


@pytest.mark.parametrize("text", [*TEXTS, *NASTY])
def test_tokens_are_clips(tokenizer: Tokenizer, text: str) -> None:
    check_tokens(tokenizer, text)


@given(text=st.text(max_size=60) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_any_text_has_clips_tokens(tokenizer: Tokenizer, text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:  # too long for 77 tokens
        assume(False)
    check_tokens(tokenizer, text)


@given(
    text=st.lists(st.sampled_from([*"aZ'sé½🦊<|> ", "endoftext", "'ll", "<|endoftext|>", "&lt;", "Ã©"])).map("".join)
)
def test_any_mix_of_what_is_hard_has_clips_tokens(tokenizer: Tokenizer, text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:
        assume(False)
    check_tokens(tokenizer, text)


@pytest.mark.skipif("OPEN_PROMPTS_CSV" not in os.environ, reason="OPEN_PROMPTS_CSV names no open-prompts sample")
def test_every_prompt_of_open_prompts_has_clips_tokens(tokenizer: Tokenizer) -> None:
    with Path(os.environ["OPEN_PROMPTS_CSV"]).open(newline="", encoding="utf-8") as file:
        prompts = {row["prompt"] for row in csv.DictReader(file)}
    fitting = 0
    for prompt in prompts:
        try:
            clip.tokenize(prompt)
        except RuntimeError:  # over 77 tokens, which clip 1.1 refuses: cut before the end token
            start, *middle, end = tokenizer.ids(prompt)
            assert middle == clip.clip._tokenizer.encode(prompt)[:75]
            assert (start, end) == (49406, 49407)
        else:
            check_tokens(tokenizer, prompt)
            fitting += 1
    assert fitting > 0.5 * len(prompts) > 0


def test_a_batch_is_padded_to_its_longest_text(tokenizer: Tokenizer) -> None:
    texts = ["a", "a photo of a dog", ""]
    batch = tokenizer.batch(texts)
    assert batch.dtype == np.int64
    assert batch.shape == (3, 7)
    np.testing.assert_array_equal(batch, clip.tokenize(texts).numpy()[:, :7])


def test_a_batch_can_be_padded_to_the_whole_context(vit_bundle: Bundle) -> None:
    whole = Tokenizer.load(replace(vit_bundle, text=replace(vit_bundle.text, padding="context")))
    np.testing.assert_array_equal(whole.batch(["a", "happy dog"]), clip.tokenize(["a", "happy dog"]).numpy())


def test_no_texts_are_an_empty_batch(tokenizer: Tokenizer) -> None:
    assert tokenizer.batch([]).shape == (0, 0)


@pytest.mark.parametrize("words", [75, 76, 500])
def test_long_texts_are_cut_before_the_end_token(tokenizer: Tokenizer, words: int) -> None:
    fits = clip.tokenize("dog " * 75)[0].tolist()
    assert tokenizer.ids("dog " * words) == fits


def test_half_a_surrogate_pair_is_text_like_any_other(tokenizer: Tokenizer) -> None:
    assert tokenizer.ids("dog \ud800 cat") == tokenizer.ids("dog \ufffd cat")


def test_cleaning_is_done_before_words_are_split() -> None:
    assert clean("  Schön &amp;amp; GUT\n\n ") == "schön & gut"


@pytest.mark.parametrize(("field", "value"), [("cleaning", "sentencepiece"), ("padding", "shortest")])
def test_what_a_bundle_asks_for_and_is_not_known_is_refused(vit_bundle: Bundle, field: str, value: str) -> None:
    unknown = replace(vit_bundle, text=replace(vit_bundle.text, **{field: value}))  # type: ignore[arg-type]  # str fields
    with pytest.raises(BundleError, match=f"{field} '{value}' is not known"):
        Tokenizer.load(unknown)


def test_a_damaged_vocabulary_is_refused(vit_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="is no tokenizer"):
        Tokenizer.load(replace(vit_bundle, folder=tmp_path))
