"""Uploads that are small as files and large as pictures: the service keeps within its memory, and searches go on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.promptsearch.encoding.test_pixels import SIDE, scans_of
from tests.service.http.test_body_limit import peak_memory
from tests.service.support.load import counter
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

MEMORY = 256 * 2**20  # bytes for decoding, and what is beside it
BESIDE = 80 * 2**20


@pytest.fixture
def target(indices: Path, models: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a separate service, whose memory depends on one test's uploads."""
    flags = ("--indices", str(indices), "--models", str(models), "--deadline", str(START))
    with serving(tmp_path, flags) as service:
        check_answer(upload(service, as_bytes(picture())), "images")
        yield service
        assert service.end() == 0
        assert service.errors() == []


def upload(service: Service, content: bytes) -> httpx.Response:
    return httpx.post(f"{service.url}/search/images", files={"image": content}, timeout=2 * START)


LARGE = {
    "palette": as_bytes(Image.new("P", (SIDE, SIDE)), transparency=0),
    "RGBA": as_bytes(Image.new("RGBA", (SIDE, SIDE)), compress_level=9),
    "16 bits": as_bytes(Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint16)), compress_level=9),
    "GIF": as_bytes(Image.new("P", (SIDE, SIDE)), "GIF"),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LARGE)
def test_four_large_pictures_at_once_keep_within_the_memory(target: Service, name: str) -> None:
    before = peak_memory(target)
    with ThreadPoolExecutor(4) as clients:
        responses = list(clients.map(lambda _: upload(target, LARGE[name]), range(4)))
    for response in responses:
        check_answer(response, "images")
    assert peak_memory(target) < before + MEMORY + BESIDE


def test_searches_do_not_wait_for_large_pictures(target: Service) -> None:
    """All searches are answered while the pictures are still being decoded."""
    with ThreadPoolExecutor(4) as clients:
        uploads = [clients.submit(upload, target, LARGE["palette"]) for _ in range(4)]
        answered = 0
        while not all(one.done() for one in uploads):
            check_answer(target.get("/search/images", q=f"fox {answered}"), "images")
            answered += 1
        for one in uploads:
            check_answer(one.result(), "images")
    assert answered > 4
    assert counter(target, "prompt_search_rejected_total", reason="deadline") == 0


def test_slow_pictures_are_refused_as_too_large(indices: Path, models: Path, tmp_path: Path) -> None:
    flags = ("--indices", str(indices), "--models", str(models), "--decode-memory", str(2**20))
    with serving(tmp_path, flags) as service:
        check_answer(upload(service, as_bytes(picture())), "images")
        check_problem(upload(service, as_bytes(picture(1, 1000, 1000))), 413, "picture-too-large")
        jpeg = as_bytes(picture(0, 64, 64), "JPEG", progressive=True)
        start, end = scans_of(jpeg)
        many = jpeg[:end] + jpeg[start:end] * 100 + jpeg[end:]
        check_problem(upload(service, many), 413, "picture-too-large")
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.info["progressive"]
