"""One running service for the whole session, and its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.encoding.bundle import Bundle
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import KINDS, Kind
from tests.service.support import several
from tests.service.support.serving import START, Service, serving


@pytest.fixture(scope="session")
def models(vit_bundle: Bundle) -> Path:
    """Return the folder of the one model bundle, `tiny`."""
    return vit_bundle.folder.parent


@pytest.fixture(scope="session")
def server(
    indices: Path, models: Path, source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Yield `python -m service` of `tiny` with its original pictures; end it as a process manager would."""
    flags = ("--indices", str(indices), "--models", str(models), "--files", f"tiny={source_folder}")
    with serving(tmp_path_factory.mktemp("server"), flags) as service:
        yield service
        assert service.end() == 0
        # Neither a traceback nor a warning in the whole session.
        assert service.stderr.read_text(encoding="utf-8") == ""


@pytest.fixture(scope="session")
def tiny(indices: Path) -> Iterator[Collection]:
    """Yield the collection that `server` serves, opened separately."""
    collection = Collection.open(indices / "tiny")
    yield collection
    collection.close()


@pytest.fixture(scope="session")
def several_indices(
    indices: Path, source_folder: Path, vit_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder of collections that are served and that are refused; see tests/service/support/several.py."""
    return several.write(tmp_path_factory.mktemp("several"), indices / "tiny", source_folder, vit_bundle)


@pytest.fixture(scope="session")
def several_server(several_indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service of several collections, none of them the default."""
    files = f"tiny={several_indices.parent / 'files'}"
    flags = ("--indices", str(several_indices), "--models", str(models), "--files", files)
    with serving(tmp_path_factory.mktemp("several-server"), flags) as service:
        yield service
        assert service.end() == 0
        refusals = service.errors()
        assert {(line["level"], line["logger"]) for line in refusals} == {("ERROR", "service.catalogue.catalogue")}
        assert [line["message"].partition(" is not served")[0] for line in refusals] == [
            f"collection {name}" for name in sorted(several.REFUSED)
        ]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return the kind that is searched for."""
    name: Kind = request.param
    return name


@pytest.fixture(scope="session")
def url(server: Service, kind: Kind) -> str:
    """Return the URL of `server` that searches for `kind`."""
    return f"{server.url}/search/{kind}"


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    """Yield a client that keeps its connections, for tests that send a hundred requests."""
    with httpx.Client(timeout=START) as client:
        yield client
