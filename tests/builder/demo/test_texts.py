"""Names, captions and phrases: what the text tower is told about each class."""

from __future__ import annotations

import doctest

import pytest

from builder.demo import emojis, styles, wordnet
from builder.demo.captions import make_captions, word_index
from builder.demo.pictures import prompt
from tests.builder.demo.emojis import CAT, DOG, EMOJIS, JAPAN, emoji


@pytest.mark.parametrize("module", [emojis, styles, wordnet], ids=lambda module: module.__name__)
def test_the_docstrings_examples_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("dog face", "dog face"),
        ("flag: Japan", "flag of Japan"),
        ("keycap: 7", "keycap 7"),
        ("woman: bald", "bald woman"),
        ("woman: red hair", "woman with red hair"),
        ("family: man, woman, boy", "family of man, woman and boy"),
        ("kiss: woman, man", "kiss, woman and man"),
        ("man running: facing right", "man running, facing right"),
    ],
)
def test_prompts_are_natural_words(label: str, said: str) -> None:
    assert prompt(emoji("1f600", label)) == said


def test_a_tag_is_true_of_every_class_that_carries_it() -> None:
    captions = {caption.text: caption for caption in make_captions(EMOJIS, frozenset({"happy"}), seed=0)}
    assert captions["pet"].classes == (0, 1)
    assert captions["pet"].kind == "tag"
    assert captions["happy"].classes == (0,)
    assert captions["flag of Japan"].classes == (EMOJIS.index(JAPAN),)
    assert captions["the flag of Japan"].kind == "label"


def test_composed_captions_are_true_of_what_carries_both_words_or_else_the_noun() -> None:
    captions = make_captions(EMOJIS, frozenset({"happy"}), seed=0)
    index = word_index(EMOJIS)
    found = {caption.text: caption for caption in captions if caption.kind == "composed"}
    assert found["happy pet"].classes == (EMOJIS.index(DOG),)
    assert found["happy cat"].classes == (EMOJIS.index(CAT),), "no cat is happy: the noun decides"
    assert index["animal"] == {0, 1}


def test_captions_are_the_same_for_the_same_seed() -> None:
    once, again, other = (make_captions(EMOJIS, frozenset({"happy"}), seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert [caption.text for caption in once] != [caption.text for caption in other]
