"""API keys: who may ask, by `Authorization: Bearer` or by the cookie that the page has been given for a key."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from pathlib import Path

from promptsearch.errors import KeyNeeded, StartError

COOKIE = "prompt_search_session"
SESSION = 12 * 3600  # seconds that a cookie holds
MIN_LENGTH = 16  # characters; shorter ones can be guessed


def read_keys(keys: Sequence[str], file: Path | None) -> list[str]:
    """Those of the settings and of the file (one a line; empty lines and `#` comments are left out).

    Raises StartError where the file cannot be read or has none, or where a key could not be sent or could be guessed.
    """
    found = list(keys)
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"the API keys cannot be read: {error}") from error
        of_file = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not of_file:
            raise StartError(f"{file} has no API key: write one a line")
        found += of_file
    for number, key in enumerate(found, 1):  # never the key itself: a log keeps what it is told
        if len(key) < MIN_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            raise StartError(
                f"API key {number} cannot be used: a key is {MIN_LENGTH} or more printable ASCII characters, no spaces"
            )
    return found


class Keys:
    """The keys that are good now. Several at once let one be replaced while clients still send the other."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def holder(self, authorization: str | None, cookie: str | None) -> str:
        """Who asks, as a name that tells nothing about the key; raises KeyNeeded."""
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise KeyNeeded("only `Authorization: Bearer KEY` is understood")
            return self._name(self._of_key(key.strip()))
        if cookie is not None:
            return self._name(self._of_cookie(cookie))
        raise KeyNeeded("this service asks for an API key: send it as `Authorization: Bearer KEY`")

    def session(self, authorization: str | None) -> str:
        """The value of a cookie that stands for the key for SESSION seconds; raises KeyNeeded.

        It holds on every replica, as long as the key is one of theirs, and does not tell the key.
        """
        self.holder(authorization, None)
        assert authorization is not None
        digest = self._of_key(authorization.partition(" ")[2].strip())
        ends = int(time.time()) + SESSION
        return f"{ends}.{_signature(digest, ends)}"

    def _of_key(self, key: str) -> bytes:
        given = hashlib.sha256(key.encode()).digest()
        # Every one is compared, in constant time: how long it takes says nothing about any.
        found = [digest for digest in self._digests if hmac.compare_digest(digest, given)]
        if not found:
            raise KeyNeeded("this API key is not known here; one that was replaced no longer counts")
        return found[0]

    def _of_cookie(self, cookie: str) -> bytes:
        ends, _, signature = cookie.partition(".")
        if ends.isascii() and ends.isdigit() and len(ends) < 15 and int(ends) >= time.time():
            given = signature.encode()
            found = [one for one in self._digests if hmac.compare_digest(_signature(one, int(ends)).encode(), given)]
            if found:
                return found[0]
        raise KeyNeeded("the session has ended: POST the API key to /session again, or send it with the request")

    @staticmethod
    def _name(digest: bytes) -> str:
        return f"key {digest.hex()[:12]}"


def _signature(digest: bytes, ends: int) -> str:
    return hmac.new(digest, f"session until {ends}".encode(), hashlib.sha256).hexdigest()
