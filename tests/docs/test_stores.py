"""The uploads of the documentation, to an S3 server on this machine, and a service over what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.docs.checkout import succeed
from tests.docs.pages import of_kind
from tests.support import source
from tests.support.workspace import running

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

pytestmark = pytest.mark.slow

BUILD = ".venv/bin/python -m builder build manifest my-pictures --model models/ViT-B-32 --collection mine"


def test_a_collection_is_uploaded_and_served(
    checkout: Path, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPT_SEARCH_CACHE", str(tmp_path / "cache"))
    succeed(BUILD, checkout)
    *uploads, serve = of_kind("stores")
    for command in uploads:
        succeed(command, checkout)
    assert "indices/mine/current" in store.objects()
    with running(["bash", "-c", f"exec {serve} --port 0"], checkout, tmp_path / "service.log") as service:
        url = service.wait_for(r"serving at (http://\S+)")
        answer = httpx.get(f"{url}/search/prompts", params={"q": "fox"}).raise_for_status().json()
        assert {result["text"] for result in answer["results"]} == set(source.PROMPTS)
        assert service.interrupt() == 0
