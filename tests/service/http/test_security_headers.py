"""The security headers of every answer, and the pages of other origins that may read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.support.serving import Service, serving

FRIEND, STRANGER = "https://example.org", "https://example.com"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}
DATA = ["/healthz", "/openapi.json", "/search/images?q=fox", "/search/images?limit=0", "/nothing", "/metrics"]
PAGES = ["/", "/docs", "/js/app.js", "/docs/docs.js", "/docs/swagger-ui.css"]


@pytest.fixture(scope="module")
def shared(indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service that a page at FRIEND may call."""
    flags = ("--indices", str(indices), "--models", str(models), "--cors-origins", FRIEND)
    with serving(tmp_path_factory.mktemp("shared"), flags) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


@pytest.mark.parametrize("path", [*DATA, *PAGES])
def test_every_response_has_strict_security_headers(server: Service, path: str) -> None:
    headers = server.get(path).headers
    assert {name: headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize("path", DATA)
def test_data_loads_nothing(server: Service, path: str) -> None:
    assert server.get(path).headers["content-security-policy"].startswith("default-src 'none'; ")


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_only_from_their_own_origin(server: Service, path: str) -> None:
    answer = server.get(path)
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    if answer.headers["content-type"].startswith("text/html"):
        assert "<script>" not in answer.text
        assert "://" not in answer.text


@pytest.mark.parametrize("origin", [FRIEND, STRANGER, "null"])
def test_other_origins_are_closed_out_by_default(server: Service, origin: str) -> None:
    answer = httpx.get(f"{server.url}/search/images?q=fox", headers={"Origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{server.url}/search/images", headers=headers).status_code == 405


def test_origins_that_are_named_may_read_and_no_others(shared: Service) -> None:
    for origin, allowed in ((FRIEND, FRIEND), (STRANGER, None)):
        answer = httpx.get(f"{shared.url}/search/images?q=fox", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-request-id",
        }
        assert httpx.options(f"{shared.url}/search/images", headers=headers).is_success == (origin == FRIEND)


def test_problems_allow_configured_origins(shared: Service) -> None:
    answer = httpx.get(f"{shared.url}/search/images?limit=0", headers={"Origin": FRIEND})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (400, FRIEND)
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
