from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.metadata.text_decoding import decode_comment, decode_loosely, decode_text

FOX = "a ceramic fox, Übung"


@pytest.mark.parametrize(
    "content",
    [
        FOX.encode(), FOX.encode("utf-8-sig"), FOX.encode("utf-16"), b"\xfe\xff" + FOX.encode("utf-16-be"),
        FOX.encode("utf-16-le"), FOX.encode("utf-16-be"), FOX.encode("utf-32"), FOX.encode("cp1252"),
    ],
)  # fmt: skip
def test_texts_of_windows_and_others(content: bytes) -> None:
    assert decode_text(content) == FOX


@pytest.mark.parametrize("text", ["a “quoted” café – naïve…", "10 € für’s Öl", "señor, ¿dónde?", "fox"])
def test_western_letters_are_windows_1252(text: str) -> None:
    assert decode_text(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    "content",
    ["рыжая лиса".encode("cp1251"), "黒い猫と銀河".encode("shift_jis"), "黑色的猫".encode("gbk"),
     "검은 고양이".encode("euc-kr"),
     b"\x89PNG\r\n\x1a\n", bytes(range(128, 160)), b"a\x01b", b"\xff\xfea", b"\0\0\0"],
)  # fmt: skip
def test_undecodable_texts_raise_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="text"):
        decode_text(content)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200))
def test_utf_8_is_decoded_unchanged(text: str) -> None:
    assert decode_text(text.encode("utf-8-sig")) == text


@given(st.binary(max_size=200))
def test_any_bytes_are_a_text_or_a_value_error(content: bytes) -> None:
    try:
        decode_text(content).encode()
    except ValueError:
        return
    assert isinstance(decode_loosely(content), str)


TEXTS = ("a tin robot, 夜\nSteps: 5", "plain", "黒い猫と銀河、夜の東京", "лиса в снегу", "🦊 fox 🦊")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("big_endian", [True, False])
@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: b"UNICODE\0" + text.encode("utf-16-be"), lambda text: b"UNICODE\0" + text.encode("utf-16-le"),
        lambda text: b"UNICODE\0" + text.encode("utf-16"), lambda text: b"UNICODE\0\xfe\xff" + text.encode("utf-16-be"),
        lambda text: b"UNICODE\0" + text.encode(), lambda text: b"ASCII\0\0\0" + text.encode(),
        lambda text: b"\0" * 8 + text.encode(), lambda text: text.encode(), lambda text: text.encode("utf-16-le"),
        lambda text: b"UNICODE\0" + (text + "\0\0").encode("utf-16-be"),
    ],
)  # fmt: skip
def test_comments_of_exif_are_read_in_every_order(text: str, big_endian: bool, encoded: object) -> None:
    assert callable(encoded)
    assert decode_comment(encoded(text), big_endian=big_endian) == text


@given(st.binary(max_size=100), st.booleans())
def test_any_comment_is_some_text(content: bytes, big_endian: bool) -> None:
    assert isinstance(decode_comment(content, big_endian=big_endian), str)
