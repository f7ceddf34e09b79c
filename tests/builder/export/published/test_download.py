from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from builder.export.published.download import download
from promptsearch.errors import ExportError
from tests.support.hub import Hub, hub

CONTENT = bytes(range(256)) * 8192  # two megabytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/store/me/tiny/a.pt"


@pytest.fixture
def served() -> Iterator[Hub]:
    with hub({"me/tiny/a.pt": CONTENT}) as hub_:
        yield hub_


def test_a_file_is_downloaded_once(served: Hub, tmp_path: Path) -> None:
    for sha256 in (SHA256, SHA256[:8], None):
        download(served.store + FILE, tmp_path / "models" / "a.pt", sha256)
    assert (tmp_path / "models" / "a.pt").read_bytes() == CONTENT
    assert served.gets() == [(FILE, None)]


def test_a_partial_download_is_resumed(served: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".a.pt.partial").write_bytes(CONTENT[:1_500_000])
    download(served.store + FILE, tmp_path / "a.pt", SHA256)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert served.gets() == [(FILE, "bytes=1500000-")]
    assert "a.pt: resuming at 1 MB" in caplog.text
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("begun", [CONTENT, CONTENT + b"more"])
def test_a_partial_file_may_be_complete_or_too_long(served: Hub, tmp_path: Path, begun: bytes) -> None:
    (tmp_path / ".a.pt.partial").write_bytes(begun)
    download(served.store + FILE, tmp_path / "a.pt", SHA256)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT


def test_a_download_without_progress_fails_after_five_attempts(served: Hub, tmp_path: Path) -> None:
    served.cut = [0] * 20
    with pytest.raises(httpx.TransportError):
        download(served.store + FILE, tmp_path / "a.pt", SHA256)
    assert len(served.gets()) == 5
    assert not (tmp_path / "a.pt").exists()


def test_another_file_is_refused_and_not_continued(served: Hub, tmp_path: Path) -> None:
    (tmp_path / ".a.pt.partial").write_bytes(b"x" * 1000)
    for _ in range(2):
        with pytest.raises(ExportError, match="is not what was published: expected SHA-256 0000, found"):
            download(served.store + FILE, tmp_path / "a.pt", "0000")
    assert [range_ for _, range_ in served.gets()] == ["bytes=1000-", None]
    assert not (tmp_path / "a.pt").exists()


def test_a_damaged_copy_is_replaced(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"damaged")
    download(served.store + FILE, tmp_path / "a.pt", SHA256)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
