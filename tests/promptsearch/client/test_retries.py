"""Waits before a request is repeated."""

from __future__ import annotations

from email.utils import formatdate

import httpx
import pytest

from promptsearch.client.retries import Retries, retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("", None), ("soon", None), ("-3", None), ("1e999", None), ("2 s", None),
     (formatdate(0, usegmt=True), 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(503, headers={"Retry-After": value})) == seconds


def test_waits_are_bounded() -> None:
    retries, refused = Retries(most=20, longest=3.0), httpx.Response(503)
    waits = [retries.wait(tries, refused) for tries in range(1, 22)]
    assert waits[-1] is None
    assert all(wait is not None and 0 < wait <= 3.0 for wait in waits[:-1])
    assert retries.wait(1, httpx.ReadTimeout("slow")) is None
