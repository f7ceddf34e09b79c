"""Names, captions and phrases: the text tower's training texts."""

from __future__ import annotations

import doctest

import pytest
import torch

from builder.demo import emojis, styles
from builder.demo.pictures.pictures import prompt
from builder.demo.texts import wordnet
from builder.demo.texts.captions import Caption, make_captions, word_index
from builder.demo.texts.senses import Sense, defined, flag_names, with_definitions
from builder.demo.texts.texts import LONGEST, Texts
from builder.demo.texts.wordnet import Synset, phrases
from tests.builder.demo.emojis import CAT, DOG, EMOJIS, JAPAN, emoji

NOWHERE = torch.zeros(4)


@pytest.mark.parametrize("module", [emojis, styles, wordnet], ids=lambda module: module.__name__)
def test_the_docstrings_examples_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("label", "expected"),
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
def test_prompts_are_natural_words(label: str, expected: str) -> None:
    assert prompt(emoji("1f600", label)) == expected


def test_a_tag_is_true_of_every_class_that_carries_it() -> None:
    captions = {caption.text: caption for caption in make_captions(EMOJIS, frozenset({"happy"}), seed=0)}
    assert captions["pet"].classes == (0, 1)
    assert captions["pet"].kind == "tag"
    assert captions["happy"].classes == (0,)
    assert captions["flag of Japan"].classes == (EMOJIS.index(JAPAN),)
    assert captions["the flag of Japan"].kind == "label"


def test_composed_captions_apply_to_emojis_with_both_words_or_else_the_noun() -> None:
    captions = make_captions(EMOJIS, frozenset({"happy"}), seed=0)
    index = word_index(EMOJIS)
    composed = {caption.text: caption for caption in captions if caption.kind == "composed"}
    assert composed["happy pet"].classes == (EMOJIS.index(DOG),)
    assert composed["happy cat"].classes == (EMOJIS.index(CAT),), "no cat is happy: the noun decides"
    assert index["animal"] == {0, 1}


def test_captions_are_the_same_for_the_same_seed() -> None:
    once, again, other = (make_captions(EMOJIS, frozenset({"happy"}), seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert [caption.text for caption in once] != [caption.text for caption in other]


def test_a_sense_captions_its_classes_with_all_that_the_dictionary_says() -> None:
    synset = Synset(("dog", "hound"), ("a tame animal", "it barks"), ("the dog barked",))
    captions = {caption.text: caption for caption in defined([Sense("dog", (0,), synset, True, NOWHERE)])}
    assert captions.keys() == {"a tame animal; it barks", "a tame animal", "it barks", "the dog barked", "dog", "hound",
                               "dog, a tame animal; it barks"}  # fmt: skip
    assert {caption.classes for caption in captions.values()} == {(0,)}


def test_a_flag_is_known_by_its_countrys_other_names_and_adjective() -> None:
    row = EMOJIS.index(JAPAN)
    country = Synset(("Japan", "Nippon"), ("a country in Asia",), ())
    adjectives = [
        Synset(("Japanese", "Nipponese"), ("of or relating to or characteristic of Japan or its people",), ()),
        Synset(("Danish",), ("of or relating to or characteristic of Denmark or the Danes",), ()),
    ]
    texts = {
        caption.text for caption in flag_names(EMOJIS, [Sense("japan", (row,), country, True, NOWHERE)], adjectives)
    }
    assert {"Nippon flag", "the flag of Japan", "Japanese flag", "the Nipponese flag"} <= texts
    assert not any("Danish" in text for text in texts)


def test_flag_names_exclude_names_of_other_flags() -> None:
    china, taiwan = emoji("1f1e8-1f1f3", "flag: China"), emoji("1f1f9-1f1fc", "flag: Taiwan")
    island = Synset(("Taiwan", "China"), ("a government on an island",), ())
    texts = {
        caption.text for caption in flag_names([china, taiwan], [Sense("taiwan", (1,), island, True, NOWHERE)], [])
    }
    assert texts == {"flag of Taiwan", "Taiwan flag", "the flag of Taiwan"}


def test_definitions_of_names_move_a_class_and_those_of_tags_do_not() -> None:
    classes, definition = torch.eye(4), torch.tensor([0.0, 0.0, 0.0, 1.0])
    synset = Synset(("pet",), ("an animal",), ())
    moved = with_definitions(classes, [Sense("dog", (0,), synset, True, definition)])
    assert moved[0] @ definition > 0.4
    torch.testing.assert_close(moved[1:], classes[1:])
    left = with_definitions(classes, [Sense("pet", (0, 1), synset, False, definition)])
    torch.testing.assert_close(left, classes)


def test_phrases_are_each_there_once_and_without_lists_of_names() -> None:
    once = Synset(("paw",), ("a foot", "genus of Alpha Beta Gamma and Delta"), ("a foot",))
    assert phrases([once, once]) == ["paw", "a foot"]


def test_long_texts_are_excluded_and_batches_have_their_shares() -> None:
    captions = [Caption("dog", (0,), "label"), Caption("word " * LONGEST, (1,), "label"), Caption("pet", (0, 1), "tag")]
    texts = Texts(captions, ["pet", "a phrase"])
    assert [caption.text for caption in texts.known] == ["dog", "pet", "a phrase"], "a caption is not a phrase as well"
    drawn = [texts.known[row].kind for row in texts.draw({"label": 2, "phrase": 3}).tolist()]
    assert drawn == ["label"] * 2 + ["phrase"] * 3
