"""On a Spark cluster: the driver numbers a source's items, workers decode and encode them, shards come back in order.

The driver lists the items, keeps them in a temporary file, and writes where their pictures lie to the shards' folder, a
few hundred a task. Each task makes a shard of its pictures (see builder/runners/spark_task.py). As soon as the next
shard in the source's order is there, its vectors go to the driver's cache and its items on to what stores them. So ids,
rows and repeats are decided in one place, whatever order tasks end in and however often one runs.

What a build that was stopped had encoded is in the shards that it left. They go to the cache, by the content of the
pictures, before anything else is done: nothing that has changed since is taken for what it was.
"""

from __future__ import annotations

import json
import pickle
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np

from builder.cache import VERSION, Cache
from builder.decoding import to_decode
from builder.runners import Tally, Told, Vectors
from builder.runners.shard import PictureShard, TextShard
from builder.runners.shards import Shards
from builder.runners.spark_context import said, start
from builder.runners.spark_task import MODEL, Build, encode_pictures, encode_texts
from builder.sources import Item, Rejected
from promptsearch.bundle import FILES, Bundle
from promptsearch.encoders import IMAGE_BATCH
from promptsearch.errors import BuildError

PICTURES = 8 * IMAGE_BATCH  # a task: whole batches, which are then those of one machine
ITEMS = 64 * PICTURES  # that may share a task where few have pictures
POLL = 0.2  # seconds between two looks for the next shard


class SparkRunner:
    """Runs one build. Leave the `with` block without an error to remove its shards."""

    def __init__(
        self,
        bundle: Bundle,
        collection: Path,
        *,
        engine: str,
        master: str | None,
        shards: str | None,
        settings: Mapping[str, str],
    ) -> None:
        """`shards`: a path or URL that all workers reach, None for the collection's own folder; `settings`: Spark's.

        Raises BuildError where the shards' folder cannot be written or Spark does not start.
        """
        folder = f"{collection.name}-{bundle.identity[:16]}-{VERSION}.shards"
        self._shards = Shards.at(shards or str(collection.absolute() / "cache"), folder)
        self._build = Build(f"prompt-search-{uuid.uuid4().hex}", self._shards, engine)
        self._folder = tempfile.TemporaryDirectory(prefix="prompt-search-")
        archive = Path(self._folder.name) / self._build.archive
        _pack(bundle, archive)
        self._context = start(f"prompt-search: {collection.name}", master, settings)
        self._context.addArchive(str(archive))

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, tally: Tally) -> Iterator[Told]:
        self._take_over(cache)
        known = Path(self._folder.name) / self._build.known
        cache.write_known(known)
        self._context.addFile(str(known))
        with tempfile.TemporaryFile(dir=self._folder.name) as spool:
            keys: list[str | None] = []
            for chunk in _chunks(items):
                pickle.dump(chunk, spool)
                pictures = [picture for item in chunk if (picture := to_decode(item))]
                keys.append(self._shards.put_work(pickle.dumps(pictures)) if pictures else None)
            spool.seek(0)
            results = self._run(encode_pictures, [key for key in keys if key is not None], PictureShard.suffix)
            for key in keys:
                chunk = pickle.load(spool)  # noqa: S301 - written above, to a file without a name
                shard = PictureShard([], {}, 0.0) if key is None else PictureShard.of_bytes(next(results))
                tally.encoded += _keep(shard, cache)
                tally.encoding += shard.seconds
                outcomes = iter(shard.outcomes)
                for item in chunk:
                    yield item, next(outcomes) if to_decode(item) else None

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        keys = [self._shards.put_work(json.dumps(batch).encode()) for batch in batches]
        for key, result in zip(keys, self._run(encode_texts, keys, TextShard.suffix), strict=True):
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

    def _run(self, task: Callable[[Build, str], None], keys: Sequence[str], suffix: str) -> Iterator[bytes]:
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

    def __enter__(self) -> SparkRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.stop()
        self._folder.cleanup()
        if kind is None:
            self._shards.clear()


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


def _chunks(items: Iterable[Item | Rejected]) -> Iterator[list[Item | Rejected]]:
    """Runs of items with PICTURES pictures each, or of ITEMS items."""
    chunk: list[Item | Rejected] = []
    pictures = 0
    for item in items:
        chunk.append(item)
        pictures += to_decode(item) is not None
        if pictures == PICTURES or len(chunk) == ITEMS:
            yield chunk
            chunk, pictures = [], 0
    if chunk:
        yield chunk
