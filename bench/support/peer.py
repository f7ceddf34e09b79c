"""`clip-retrieval back`, the service that ours is compared with: its files, its process, its wire contract."""

from __future__ import annotations

import base64
import json
import math
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from bench.support.equations import EQUATIONS, solve
from promptsearch.storage.manifest import FILES, Manifest
from promptsearch.system.faiss_blas import faiss

PYTHON = Path(".venv-peer/bin/python")  # `make setup-peer`
START = 180.0  # seconds to listen in

# It would listen on every network. The flags turn off all features that need downloads.
_START = """
import json, sys
from flask import Flask
run = Flask.run
Flask.run = lambda self, host, **options: run(self, host="127.0.0.1", **options)
from clip_retrieval.clip_back import clip_back
clip_back(**json.loads(sys.argv[1]))
"""
_OFFLINE = {
    "use_jit": False,
    "enable_mclip_option": False,
    "provide_violence_detector": False,
    "provide_safety_model": False,
    "provide_aesthetic_embeddings": False,
    "enable_hdf5": False,
}


@dataclass(frozen=True)
class Peer:
    """A running `clip-retrieval back`."""

    port: int
    process: subprocess.Popen[bytes]
    results: int  # of each answer

    def text(self, text: str) -> bytes:
        """Return the request of a search by text."""
        return self._request({"text": text})

    def upload(self, picture: bytes) -> bytes:
        """Return the request of a search by an uploaded picture."""
        return self._request({"image": base64.b64encode(picture).decode()})

    def vector(
        self, stored: NDArray[np.float16], *, text: str | None = None, picture: bytes | None = None
    ) -> NDArray[np.float64]:
        """Return the vector of a text or a picture, float64 [embedding_dim]: see `bench.support.equations`."""
        query = {"text": text or ""} if picture is None else {"image": base64.b64encode(picture).decode()}
        body = self._body(query, math.ceil(EQUATIONS * stored.shape[1]))
        answer = httpx.post(f"http://127.0.0.1:{self.port}/knn-service", json=body, timeout=START)
        results = answer.raise_for_status().json()
        return solve(stored, [result["id"] for result in results], [result["similarity"] for result in results])

    def _request(self, query: Mapping[str, str]) -> bytes:
        body = json.dumps(self._body(query, self.results)).encode()
        return (
            f"POST /knn-service HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/json\r\n\r\n"
        ).encode() + body

    def _body(self, query: Mapping[str, str], results: int) -> dict[str, Any]:
        return {
            **query,
            "modality": "image",
            "num_images": self.results,
            "num_result_ids": results,
            "indice_name": None,
            "deduplicate": False,
        }


def prepare(version: Path, folder: Path, captions: Sequence[str]) -> None:
    """Write the peer's files of one of our versions, with as many inverted lists and as many of them visited.

    The vectors are whole, as the peer does not score candidates again.
    """
    (folder / "metadata").mkdir(parents=True)
    info = Manifest.read(version).images
    assert info is not None
    lists = faiss.extract_index_ivf(faiss.read_index(str(version / FILES.index("images")))).nlist
    vectors = np.load(version / FILES.vectors("images")).astype(np.float32)
    index = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[np.random.default_rng(0).choice(len(vectors), min(len(vectors), 40 * lists), replace=False)])
    index.add(vectors)
    index.nprobe = info.nprobe
    faiss.write_index(index, str(folder / "image.index"))
    table = {"caption": captions, "url": [f"https://example.org/{row}.png" for row in range(len(captions))]}
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "metadata" / "0.parquet")
    (folder / "indices.json").write_text(json.dumps({"pictures": str(folder)}), encoding="utf-8")


@contextmanager
def peer(folder: Path, checkpoint: Path, results: int) -> Iterator[Peer]:
    """Run the peer with the files of `prepare`; it listens on 127.0.0.1 when this yields."""
    port = _free_port()
    options: dict[str, Any] = {
        **_OFFLINE,
        "indices_paths": str(folder / "indices.json"),
        "port": port,
        "clip_model": str(checkpoint.absolute()),
        "enable_faiss_memory_mapping": True,
    }
    log = folder / "log"
    with log.open("wb") as output:
        command = [str(PYTHON), "-c", _START, json.dumps(options)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield Peer(port, process, results)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/indices-list").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the peer did not start:\n{log.read_text(encoding='utf-8')}")


def version() -> str:
    """Return the version of the peer's package."""
    [metadata] = list(PYTHON.parent.parent.glob("lib/python*/site-packages/clip_retrieval-*.dist-info"))
    match = re.fullmatch(r"clip_retrieval-(.+)\.dist-info", metadata.name)
    assert match
    return match[1]
