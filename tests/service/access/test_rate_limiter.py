"""A service that limits the requests of each client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.errors import RateExceeded
from service.access.rate_limiter import RateLimiter, parse_rate
from tests.service.support.serving import Service, serving
from tests.service.support.shapes import check_problem

KEYS = ["first-key-0123456789", "second-key-0123456789"]


@pytest.fixture(scope="module")
def limited(indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    flags = ["--indices", str(indices), "--models", str(models), "--rate-limit", "5/hour"]
    settings = {"PROMPT_SEARCH_API_KEYS": ",".join(KEYS)}
    with serving(tmp_path_factory.mktemp("limited"), flags, settings=settings) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


def test_each_key_has_its_own_limit_and_exceeding_it_returns_retry_after(limited: Service) -> None:
    for key in KEYS:
        headers = {"Authorization": f"Bearer {key}"}
        answers = [httpx.get(f"{limited.url}/search/images?q=fox", headers=headers) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        detail = check_problem(answers[-1], 429, "rate-exceeded")
        assert detail.startswith("rate limit of 5 per 1 hour reached: try again in ")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 3600


def test_guesses_of_a_key_are_limited_by_address(limited: Service) -> None:
    headers = {"Authorization": "Bearer a-guess-0123456789"}
    statuses = [httpx.post(f"{limited.url}/session", headers=headers).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2


def test_health_and_the_page_are_not_limited(limited: Service) -> None:
    for path in ("/healthz", "/readyz", "/", "/js/app.js"):
        assert {limited.get(path).status_code for _ in range(10)} == {200}


def test_openapi_describes_the_rate_limit(limited: Service, server: Service) -> None:
    for service, there in ((limited, True), (server, False)):
        responses = service.get("/openapi.json").json()["paths"]["/search/images"]["get"]["responses"]
        assert ("429" in responses) == there


def test_several_limits_hold_together() -> None:
    rates = RateLimiter("3/second; 4/day")
    for _ in range(3):
        rates.count("a")
    with pytest.raises(RateExceeded, match="3 per 1 second"):
        rates.count("a")
    rates.count("b")


@pytest.mark.parametrize("text", ["", "often", "5", "5/fortnight", "/minute"])
def test_an_invalid_rate_raises_an_error_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a rate such as 600/minute"):
        parse_rate(text)
