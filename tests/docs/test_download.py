"""The download of the documentation, with img2dataset from `.venv-download` and a web server on this machine."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from promptsearch.storage.manifest import Manifest, current_version
from tests.docs.checkout import succeed
from tests.docs.pages import of_kind
from tests.support import web

pytestmark = pytest.mark.download


def test_links_are_fetched_and_built(checkout: Path) -> None:
    with web.serving() as server:
        links = [json.dumps({"raw_discord_data": {"image_uri": f"{server.url}/good/{n}.png"}}) for n in (1, 2)]
        with (checkout / "links.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("prompt", "raw_data"), ("a fox", links[0]), ("a cat", links[1])])
        for command in of_kind("download"):
            succeed(command, checkout)
    manifest = Manifest.read(current_version(checkout / "indices" / "fetched"))
    assert manifest.counts["image_vectors"] == 2
