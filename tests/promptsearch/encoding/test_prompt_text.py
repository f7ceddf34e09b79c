from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.encoding.prompt_text import CHOICES, plain, rules, text_to_embed

MARKUP = "()[]{}<>\\,:|"
WORDS = st.text(st.characters(exclude_characters=MARKUP, exclude_categories=["Cs"])).filter(
    lambda text: "BREAK" not in text
)


@pytest.mark.parametrize(
    ("prompt", "embedded"),
    [
        ("a red fox", "a red fox"),
        ("<lora:detail:0.8> <lora:style v2:1:0.5> a red fox, ink", "a red fox, ink"),
        ("a fox<LYCO:x:1><hypernet:y:.5>, ink <locon: z >", "a fox, ink"),
        ("a fox < b > c <i>", "a fox < b > c <i>"),
        ("a fox BREAK, ink, BREAK a hill", "a fox, ink, a hill"),
        ("a break, BREAKING, _BREAK", "a break, BREAKING, _BREAK"),
        ("cats AND dogs", "cats AND dogs"),
        ("(a fox:1.2), ((ink)), [hill], {{sky}}", "a fox, ink, hill, sky"),
        ("(masterpiece)(best quality:1.3)", "masterpiece best quality"),
        ("(a fox:-.5) (b : 1.) (c:+2)", "a fox b c"),
        ("((a fox:1.1) in ink:1.2)", "a fox in ink"),
        ("[cat:dog:0.5], [cat::10], [:dog:0.3]", "cat dog, cat, dog"),
        ("[cat|dog]", "cat dog"),
        ("(time: noon), a:b, [a:b]", "time: noon, a:b, a:b"),
        (r"miku \(vocaloid\), \[x\], \{y\}", "miku (vocaloid), [x], {y}"),
        (r"(miku \(vocaloid\):1.2)", "miku (vocaloid)"),
        (r"a \ b \n", r"a \ b \n"),
        ("smile :) and :(, (a]", "smile :) and :(, (a]"),
        ("a,, b , ,c,\n\n d  e,", "a, b,c, d e"),
        ("<lora:x:1>", "<lora:x:1>"),
        ("()", "()"),
        ("", ""),
    ],
)
def test_steering_syntax_is_removed(prompt: str, embedded: str) -> None:
    assert plain(prompt) == embedded


def test_the_choice_is_the_callers() -> None:
    assert [text_to_embed("(a:1.2)", choice) for choice in CHOICES] == ["a", "(a:1.2)"]
    assert [rules(choice) for choice in CHOICES] == ["plain-1", "verbatim"]


@given(WORDS)
def test_a_text_without_markup_keeps_its_words(text: str) -> None:
    assert plain(text).split() == text.split()


@given(WORDS.filter(str.strip), st.decimals(-9, 9, places=2))
def test_weights_and_tags_change_nothing(text: str, weight: object) -> None:
    expected = plain(text)
    for steered in (f"({text}:{weight})", f"(({text}))", f"[{text}]", f"<lora:x:{weight}>{text}<lora:y:1>"):
        assert plain(steered) == expected


@given(st.lists(st.sampled_from([*MARKUP, "a", " ", "1", ".", "\n", "<lora:x:1>", "BREAK"]), max_size=80).map("".join))
def test_plain_adds_no_text(prompt: str) -> None:
    embedded = plain(prompt)
    assert len(embedded) <= len(prompt)
    assert not prompt.strip(" ,\n") or embedded
    left = iter(prompt)
    assert all(character == " " or character in left for character in embedded)


def test_a_long_prompt_is_read_once() -> None:
    """Code that scans again what is in brackets or between commas would take hours for these."""
    many = 100_000
    assert plain("(" * many + "a" + ")" * many) == "a"
    assert plain("[a:" * many + "b" + ":1]" * many).split() == ["a"] * many + ["b"]
    assert plain(" " * many + "a" + " , " * many) == "a"
    assert plain("<lora:" * many) == "<lora:" * many
