"""API keys, sent as `Authorization: Bearer` or as the cookie that the page gets for a key."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from pathlib import Path

from promptsearch.errors import KeyNeeded, StartError

COOKIE = "prompt_search_session"
SESSION = 12 * 3600  # seconds that a cookie is valid
MIN_LENGTH = 16  # characters; shorter keys can be guessed


def read_keys(keys: Sequence[str], file: Path | None) -> list[str]:
    """Return the keys of the settings and of the file: one per line, without empty lines and `#` comments.

    Raises StartError if the file cannot be read or has none, or if a key cannot be sent or is too short.
    """
    all_keys = list(keys)
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the API keys: {error}") from error
        from_file = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not from_file:
            raise StartError(f"{file} has no API keys: write one per line")
        all_keys += from_file
    for number, key in enumerate(all_keys, 1):  # the message must not contain the key: it is logged
        if len(key) < MIN_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            raise StartError(
                f"API key {number} is not valid: use {MIN_LENGTH} or more printable ASCII characters without spaces"
            )
    return all_keys


class ApiKeys:
    """The valid keys. With several, one can be replaced while clients still send the other."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def holder(self, authorization: str | None, cookie: str | None) -> str:
        """Return a name for the client that does not reveal its key; raises KeyNeeded."""
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise KeyNeeded("only `Authorization: Bearer KEY` is supported")
            return self._name(self._digest_of_key(key.strip()))
        if cookie is not None:
            return self._name(self._digest_of_cookie(cookie))
        raise KeyNeeded("API key required: send it as `Authorization: Bearer KEY`")

    def session(self, authorization: str | None) -> str:
        """Return the value of a cookie that replaces the key for SESSION seconds; raises KeyNeeded.

        It is valid on every replica that has the key, and does not reveal the key.
        """
        self.holder(authorization, None)
        assert authorization is not None
        digest = self._digest_of_key(authorization.partition(" ")[2].strip())
        expires = int(time.time()) + SESSION
        return f"{expires}.{_signature(digest, expires)}"

    def _digest_of_key(self, key: str) -> bytes:
        digest = hashlib.sha256(key.encode()).digest()
        # All are compared, each in constant time: the time reveals nothing about any.
        equal = [known for known in self._digests if hmac.compare_digest(known, digest)]
        if not equal:
            raise KeyNeeded("unknown API key: it may have been replaced")
        return equal[0]

    def _digest_of_cookie(self, cookie: str) -> bytes:
        expires, _, signature = cookie.partition(".")
        if expires.isascii() and expires.isdigit() and len(expires) < 15 and int(expires) >= time.time():
            sent = signature.encode()
            for digest in self._digests:
                if hmac.compare_digest(_signature(digest, int(expires)).encode(), sent):
                    return digest
        raise KeyNeeded("the session has expired: POST the API key to /session again, or send it with each request")

    @staticmethod
    def _name(digest: bytes) -> str:
        return f"key {digest.hex()[:12]}"


def _signature(digest: bytes, expires: int) -> str:
    return hmac.new(digest, f"session until {expires}".encode(), hashlib.sha256).hexdigest()
