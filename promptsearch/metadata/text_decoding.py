"""Decode text whose encoding is not declared."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Sequence

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")  # not found in texts
# Letters and punctuation of Western European languages that Windows-1252 adds to ASCII.
_WESTERN = re.compile(r"[ŠŒŽšœžŸ‚„…†‡‰‹›‘’“”•–—™€¡¢£§©ª«®°±²³´µ¶·¹º»¼½¾¿\xa0À-ÿ]")
# Three letters outside ASCII in a row suggest a double-byte encoding, decoded as a single-byte one.
_RUN = re.compile(r"[^\0-\x7f‘’“”–—…•«»°€\xa0]{3}")
_GUESSED_FROM = 4096  # characters from which the byte order is guessed
_ASCII = re.compile("[\t\n\r\x20-\x7e]")
# Common scripts: Latin, Greek, Cyrillic, general punctuation, kana, CJK, Hangul, full-width forms, emoji.
_COMMON = re.compile(
    "[\t\n\r\x20-\x7e\xa0-ɏͰ-ӿ\u2000-\u206f\u3000-ヿ\u4e00-\u9fff가-힯\uff00-\uffef\U0001f000-\U0001faff]"
)


def decode_text(content: bytes) -> str:
    """Decode a text file: UTF-8 or UTF-16 with or without a byte order mark, else Windows-1252.

    Raises ValueError if it is none of these, rather than return a wrong guess.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _checked(content[len(mark) :], encoding)
    if b"\0" in content:
        return _checked(content, _guess(content, ("utf-16-le", "utf-16-be")))
    try:
        return _checked(content, "utf-8")
    except UnicodeDecodeError:
        return _western(content)


def decode_loosely(content: bytes) -> str:
    """Decode UTF-8, or else Latin-1, which accepts any bytes; for fields whose readers check the content."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def decode_comment(content: bytes, *, big_endian: bool) -> str:
    """Decode an EXIF UserComment (Exif 2.32, 4.6.5): eight bytes that name the encoding, then the text.

    Programs write `UNICODE` as UTF-16 in either byte order, with or without a mark, or even as UTF-8. If both byte
    orders are equally likely, use that of the EXIF block, which is `big_endian` or not.
    """
    code, body = content[:8], content[8:]
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return _either(body, big_endian)
    if code == b"JIS\0\0\0\0\0":
        return body.decode("iso2022_jp", "replace").rstrip("\0")
    return _either(body if code.upper() == b"UNICODE\0" else content, big_endian)


def _either(content: bytes, big_endian: bool) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "ignore").strip("\0")
    orders = ("utf-16-be", "utf-16-le") if big_endian else ("utf-16-le", "utf-16-be")
    encoding = _guess(content, ("utf-8", *orders))
    if encoding == "utf-8":
        return decode_loosely(content.strip(b"\0"))
    return content[: len(content) & ~1].decode(encoding, "ignore").strip("\0")


def _guess(content: bytes, encodings: Sequence[str]) -> str:
    """Return the encoding with the greatest share of common characters; of equal ones the first.

    ASCII counts twice, because in the wrong byte order its letters become common Chinese ones.
    """
    start = content[: 2 * _GUESSED_FROM]

    def share(encoding: str) -> float:
        try:
            # The last character may be incomplete.
            decoded = getincrementaldecoder(encoding)("strict" if encoding == "utf-8" else "replace").decode(start)
        except UnicodeDecodeError:
            return 0.0
        decoded = decoded.rstrip("\0")
        common = len(_COMMON.findall(decoded)) + len(_ASCII.findall(decoded))
        return common / len(decoded) if decoded else 0.0

    return max(encodings, key=share)


def _checked(content: bytes, encoding: str) -> str:
    try:
        decoded = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8":
            raise
        raise ValueError(f"the text is not valid {encoding.upper()}: save it as UTF-8") from None
    if _CONTROL.search(decoded):
        raise ValueError("expected text, found control characters: save it as UTF-8")
    return decoded


def _western(content: bytes) -> str:
    """Decode Windows-1252. Raises ValueError for text that looks like another single-byte or double-byte encoding."""
    try:
        decoded = content.decode("cp1252")
    except UnicodeDecodeError:
        decoded = ""
    letters = [character for character in decoded if character.isalpha()]
    outside = [character for character in decoded if character > "\x7f"]
    odd = any(not _WESTERN.match(character) for character in outside) or _RUN.search(decoded)
    dense = 2 * sum(map(str.isalpha, outside)) > max(len(letters), 4) or 2 * len(outside) > max(len(decoded), 4)
    if not decoded or odd or dense or _CONTROL.search(decoded):
        raise ValueError("the text's encoding is unknown: expected UTF-8, UTF-16 or Windows-1252; save it as UTF-8")
    return decoded
