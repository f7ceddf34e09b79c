"""The tasks of Spark workers: encode some pictures or texts into a shard.

A worker process runs one task after the other. It opens the model once, with the threads or the GPU that Spark assigns
to a task, and decodes in as many processes.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.digests import digest_of

from ...sources import Item, Picture
from ..decoding import Decoders, Outcome
from ..engines import Engine, open_engine
from ..vector_cache import CachedPicture
from . import EncodeStats
from .batches import encoded
from .shard import PictureShard, TextShard
from .shards import Shards

if TYPE_CHECKING:
    from pyspark import TaskContext

MODEL = "model"  # the bundle's folder in what is sent to every executor


@dataclass(frozen=True)
class Build:
    """The parameters of all tasks of a build."""

    name: str  # of this build alone: a worker keeps open what it opened for it
    shards: Shards
    engine: str

    @property
    def archive(self) -> str:
        """Return the name of the model's file that executors receive."""
        return f"{self.name}.zip"

    @property
    def known(self) -> str:
        """Return the file with the digests of all pictures whose vectors are known, as `KnownPictures` reads it."""
        return f"{self.name}.sqlite"


def encode_pictures(build: Build, key: str) -> None:
    """Write the shard of some pictures."""
    name = key + PictureShard.suffix
    if build.shards.has(name):  # another attempt was faster
        return
    # Made by this build's own driver, which the key proves: it came to here with the task.
    pictures: list[Picture] = pickle.loads(build.shards.work(key))  # noqa: S301
    new, stats = _New(), EncodeStats()
    decoded = _decoders(build).decode(Item("", "", None, picture) for picture in pictures)
    outcomes: list[Outcome] = []
    for _, outcome in encoded(decoded, _engine(build, _gpu()), new, stats):
        assert outcome is not None, "every item here has a picture"
        outcomes.append(outcome)
    build.shards.put(name, PictureShard(outcomes, new.pictures, stats.encoding).to_bytes())


def encode_texts(build: Build, key: str) -> None:
    """Write the shard of some texts."""
    name = key + TextShard.suffix
    if build.shards.has(name):
        return
    texts: list[str] = json.loads(build.shards.work(key))
    vectors, truncated = _engine(build, _gpu()).encode_and_check(texts)
    digests = (digest_of(text.encode()) for text in texts)
    build.shards.put(name, TextShard(dict(zip(digests, vectors.astype("<f2"), strict=True)), truncated).to_bytes())


@dataclass
class _New:
    """The pictures that this task encoded."""

    pictures: dict[bytes, CachedPicture] = field(default_factory=dict)

    def has_picture(self, digest: bytes) -> bool:
        return digest in self.pictures

    def add_pictures(self, pictures: Iterable[tuple[bytes, CachedPicture]]) -> None:
        self.pictures.update(pictures)


@cache
def _engine(build: Build, gpu: str | None) -> Engine:
    bundle = Bundle.open(_sent(build.archive) / MODEL)
    return open_engine(build.engine, bundle, threads=_threads(), gpu=gpu)


@cache
def _decoders(build: Build) -> Decoders:
    """Return decoders that are never closed: their processes end with this process."""
    spec = Bundle.open(_sent(build.archive) / MODEL).image
    return Decoders(spec, _sent(build.known), _threads())


def _sent(name: str) -> Path:
    from pyspark import SparkFiles

    return Path(SparkFiles.get(name))


def _task() -> TaskContext:
    from pyspark import TaskContext

    task = TaskContext.get()
    assert task is not None, "this runs in a task"
    return task


def _threads() -> int:
    """Return `spark.task.cpus`."""
    return _task().cpus()


def _gpu() -> str | None:
    """Return the number of the GPU that Spark assigned to this task (`spark.task.resource.gpu.amount`), if any."""
    gpu = _task().resources().get("gpu")
    return gpu.addresses[0] if gpu else None
