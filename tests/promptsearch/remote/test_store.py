"""Objects by key; and the errors of a store, or of its library, that is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptsearch.errors import NotInstalled, StoreError
from promptsearch.remote.store import Store, is_url
from promptsearch.system.files import sha256_of
from tests.support.object_store import ObjectStore, object_store
from tests.support.workspace import ROOT, free_port


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(params=["s3", "file"])
def store(
    request: pytest.FixtureRequest, server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Return an empty store: a place in an object store, or a folder that is reached by URL."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Store(f"{server.url}/{tmp_path.name}/" if request.param == "s3" else f"file://{tmp_path}/store")


def test_written_objects_are_read_and_listed(store: Store, tmp_path: Path) -> None:
    store.write("a/current", b"1\n")
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    store.upload(tmp_path / "file", "a/versions/1/file", sha256_of(tmp_path / "file"))
    assert store.read("a/current") == b"1\n"
    assert list(store.entries()) == ["a"]
    entries = store.entries("a")
    assert {name: entry.fingerprint is None for name, entry in entries.items()} == {"current": False, "versions": True}
    assert entries["current"].modified is not None
    assert store.entries("a")["current"] == entries["current"]
    store.write("a/current", b"12\n")
    assert store.entries("a")["current"].fingerprint != entries["current"].fingerprint
    store.download("a/versions/1/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x" * 100_000


def test_missing_objects_are_errors(store: Store, tmp_path: Path) -> None:
    store.write("a/current", b"1\n")
    for ask in (lambda: store.read("a/hidden"), lambda: store.entries("b"),
                lambda: store.download("a/x", tmp_path / "x")):  # fmt: skip
        with pytest.raises(FileNotFoundError):
            ask()


def test_has_recognises_uploaded_files_only(server: ObjectStore, store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sha256 = sha256_of(tmp_path / "file")
    assert not store.has("file", 1, sha256)
    store.upload(tmp_path / "file", "file", sha256)
    knows = store.url.startswith("s3:")  # a folder has no place for a hash, so what is there proves nothing
    assert store.has("file", 1, sha256) == knows
    assert not store.has("file", 2, sha256)
    assert not store.has("file", 1, "0" * 64)
    store.write("file", b"y")
    assert not store.has("file", 1, sha256)


def test_unreachable_store_is_an_error(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match=r"^s3://bucket/a cannot be reached: Could not connect to the endpoint URL"):
        Store("s3://bucket").read("a")


def test_urls_are_distinguished_from_paths() -> None:
    assert [is_url(place) for place in ("s3://a/b", "file:///a", "a", Path("/a/b"))] == [True, True, False, False]
    with pytest.raises(StoreError, match=r"^nothing://a is not the URL of an object store: Protocol not known"):
        Store("nothing://a")
    with pytest.raises(NotInstalled, match=r"prompt-search\[stores\].*gcsfs"):
        Store("gs://a")


def test_missing_extra_is_reported() -> None:
    code = (
        "import sys, promptsearch; assert 'fsspec' not in sys.modules; sys.modules['fsspec'] = None\n"
        "import promptsearch.searcher, service.__main__\n"
        "service.__main__.main(['--indices', 's3://bucket/indices'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: s3://bucket/indices: object stores need the extra `stores`: pip install 'prompt-search[stores]'"
    )
