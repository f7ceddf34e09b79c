"""On a Spark cluster: the driver numbers a source's items, workers decode and encode them, shards come back in order.

The driver lists the items, keeps them in a temporary file, and writes where their pictures lie to the shards' folder, a
few hundred a task. Each task makes a shard of its pictures (see `spark_task`). As soon as the next
shard in the source's order is there, its vectors go to the driver's cache and its items on to what stores them. So ids,
rows and repeats are decided in one place, whatever order tasks end in and however often one runs.

What a build that was stopped had encoded is in the shards that it left. They go to the cache, by the content of the
pictures, before anything else is done: nothing that has changed since is taken for what it was.

Vectors are those of one machine to the last bit, as far as a picture's is the same whatever else is in its batch. On
ONNX Runtime it is, but for a batch of one with other threads (7e-7 apart in float32), which a task's last may be.
"""

from __future__ import annotations

import json
import pickle
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np

from promptsearch.encoding.bundle import FILES, Bundle
from promptsearch.encoding.encoders import IMAGE_BATCH
from promptsearch.errors import BuildError

from ...sources import Item, Rejected
from ..cache import VERSION, Cache
from ..decoding import chunks, to_decode
from . import Tally, Told, Vectors
from .cluster import Cluster, said
from .shard import PictureShard, TextShard
from .spark_task import MODEL, Build, encode_pictures, encode_texts

PICTURES = 8 * IMAGE_BATCH  # a task: whole batches, which are then those of one machine
ITEMS = 64 * PICTURES  # that may share a task where few have pictures
POLL = 0.5  # seconds between two looks for the next shard


class SparkRunner:
    """Runs one build within a `with` block; left without an error, it removes its shards."""

    def __init__(self, bundle: Bundle, collection: Path, cluster: Cluster, *, engine: str) -> None:
        self._bundle, self._collection, self._cluster, self._engine = bundle, collection, cluster, engine
        self._open = ExitStack()

    def __enter__(self) -> SparkRunner:
        """Raises BuildError where the shards' folder cannot be written or Spark does not start."""
        self._shards = self._cluster.shards_of(self._collection, f"{self._bundle.identity[:16]}-{VERSION}")
        self._build = Build(f"prompt-search-{uuid.uuid4().hex}", self._shards, self._engine)
        with self._open:
            self._context = self._open.enter_context(self._cluster.application(self._collection.name))
            self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="prompt-search-")))
            archive = self._folder / self._build.archive
            _pack(self._bundle, archive)
            self._context.addArchive(str(archive))
            self._open = self._open.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if kind is None:
            self._shards.clear()

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, tally: Tally) -> Iterator[Told]:
        self._take_over(cache)
        known = self._folder / self._build.known
        cache.write_known(known)
        self._context.addFile(str(known))
        with tempfile.TemporaryFile(dir=self._folder) as spool:
            keys: list[str | None] = []
            for chunk in chunks(items, most_pictures=PICTURES, most_items=ITEMS):
                pickle.dump(chunk, spool)
                pictures = [picture for item in chunk if (picture := to_decode(item))]
                keys.append(self._shards.put_work(pickle.dumps(pictures)) if pictures else None)
            spool.seek(0)
            tasks = [key for key in keys if key is not None]
            with closing(self._run(encode_pictures, tasks, PictureShard.suffix)) as results:
                for key in keys:
                    chunk = pickle.load(spool)  # noqa: S301 - written above, to a file without a name
                    shard = PictureShard([], {}, 0.0) if key is None else PictureShard.of_bytes(next(results))
                    tally.encoded += _keep(shard, cache)
                    tally.encoding += shard.seconds
                    outcomes = iter(shard.outcomes)
                    for item in chunk:
                        yield item, next(outcomes) if to_decode(item) else None
                next(results, None)  # the end of the last task, whose shard was there before

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        keys = [self._shards.put_work(json.dumps(batch).encode()) for batch in batches]
        with closing(self._run(encode_texts, keys, TextShard.suffix)) as results:
            for key, result in zip(keys, results, strict=True):
                texts: list[str] = json.loads(self._shards.work(key))
                yield texts, np.stack(list(TextShard.of_bytes(result).vectors.values()))

    def _take_over(self, cache: Cache) -> None:
        """Keep what a build that was stopped had encoded."""
        for name in self._shards.names():
            content = self._shards.get(name)
            if content is not None and name.endswith(PictureShard.suffix):
                _keep(PictureShard.of_bytes(content), cache)
            if content is not None and name.endswith(TextShard.suffix):
                cache.add_texts(TextShard.of_bytes(content).vectors.items())
        self._shards.clear()

    def _run(self, task: Callable[[Build, str], None], keys: Sequence[str], suffix: str) -> Generator[bytes]:
        """Run the task for every key; each one's result, in the keys' order, as soon as it is there."""
        if not keys:
            return
        with ThreadPoolExecutor(1, "spark") as thread:
            tasks = self._context.parallelize(keys, len(keys))
            job = thread.submit(tasks.foreach, partial(task, self._build))
            try:
                for key in keys:
                    yield self._result(key + suffix, job)
                _ended(job)
            finally:
                if not job.done():
                    self._context.cancelAllJobs()

    def _result(self, name: str, job: Future[None]) -> bytes:
        while True:
            ended = job.done()
            if (content := self._shards.get(name)) is not None:
                return content
            if ended:
                _ended(job)
                raise BuildError(
                    f"a worker wrote {self._shards.url}/{name}, but here it is not: with --shards, name a folder or a "
                    "store that all machines share"
                )
            wait([job], POLL)


def _ended(job: Future[None]) -> None:
    """Wait for the job; raises BuildError where Spark gave up on a task."""
    try:
        job.result()
    except Exception as error:
        raise BuildError(
            f"Spark gave up on a task: {said(error)}; what was encoded is kept, and the same command goes on from there"
        ) from error


def _keep(shard: PictureShard, cache: Cache) -> int:
    """Add what the cache does not have; returns how many that are. A picture in two tasks is encoded by both."""
    new = {digest: one for digest, one in shard.new.items() if not cache.has_picture(digest)}
    cache.add_pictures(new.items())
    return len(new)


def _pack(bundle: Bundle, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in (FILES.model, *bundle.files):
            archive.write(bundle.path(name), f"{MODEL}/{name}")
