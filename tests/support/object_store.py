"""An S3 server on this machine that records its requests."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "bucket"
_KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class ObjectStore:
    """An object store with one bucket, at `url`; `environment` has the variables that clients need."""

    url: str
    environment: Mapping[str, str]
    bucket: Any
    server: ThreadedMotoServer
    requests: list[str] = field(default_factory=list)  # method and path of each, such as "GET /bucket/indices/…"

    def sent(self) -> list[str]:
        """Return the keys of the objects whose content was requested."""
        return [match[1] for line in self.requests if (match := re.match(rf"GET /{BUCKET}/([^? ]+)$", line))]

    def objects(self) -> set[str]:
        """Return the keys of all objects."""
        return {object.key for object in self.bucket.objects.all()}

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        data: bytes = self.bucket.Object(key).get()["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> None:
        """Create or replace an object."""
        self.bucket.Object(key).put(Body=data)

    def break_down(self) -> None:
        """Refuse connections, until `mend`."""
        self.server.stop()

    def mend(self) -> None:
        """Answer again at the same address, with the same objects."""
        host, port = self.environment["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
        self.server = ThreadedMotoServer(host, int(port), verbose=False)
        self.server.start()


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run a server on a free port, for this block only."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx.post(
        f"{endpoint}/moto-api/reset", timeout=60
    ).raise_for_status()  # its objects belong to the process, not to this server
    options = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=endpoint, **options).create_bucket(Bucket=BUCKET)
    store = ObjectStore(f"s3://{BUCKET}", {**_KEYS, "AWS_ENDPOINT_URL": endpoint}, bucket, server)
    log = logging.getLogger("werkzeug")
    listening = _Listening(store.requests)
    level, log.level = log.level, logging.INFO
    log.addHandler(listening)
    try:
        yield store
    finally:
        log.removeHandler(listening)
        log.level = level
        store.server.stop()


class _Listening(logging.Handler):
    """Reads the server's log of requests."""

    def __init__(self, requests: list[str]) -> None:
        super().__init__()
        self._requests = requests

    def emit(self, record: logging.LogRecord) -> None:
        if match := re.search(r'"([A-Z]+ \S+) HTTP/', record.getMessage()):
            self._requests.append(match[1])
