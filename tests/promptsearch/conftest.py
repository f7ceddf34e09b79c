"""A collection for the library, the clients and the command line, and a service that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import promptsearch
from promptsearch.encoding.encoders import Encoders
from tests.service.support.serving import Service, serving
from tests.support import gallery


@dataclass(frozen=True)
class Gallery:
    collection: Path  # its folder, in a folder of collections
    models: Path
    files: Path


@pytest.fixture(scope="session")
def pictures(encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    files = gallery.write(tmp_path_factory.mktemp("gallery") / "pictures")
    collection = gallery.build(files, encoders, files.parent / "indices" / "gallery")
    return Gallery(collection, encoders.bundle.folder.parent, files)


@pytest.fixture(scope="session")
def searcher(pictures: Gallery) -> Iterator[promptsearch.Searcher]:
    with promptsearch.open(pictures.collection, models=pictures.models, files=pictures.files) as opened:
        yield opened


@pytest.fixture(scope="session")
def service(pictures: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    flags = ("--indices", str(pictures.collection.parent), "--models", str(pictures.models))
    files = ("--files", f"{pictures.collection.name}={pictures.files}")
    with serving(tmp_path_factory.mktemp("gallery-service"), [*flags, *files]) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[promptsearch.Client]:
    with promptsearch.Client(service.url) as client:
        yield client
