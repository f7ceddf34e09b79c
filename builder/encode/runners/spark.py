"""The runner on a Spark cluster: the driver numbers a source's items, workers decode and encode their pictures.

The driver keeps the items in a temporary file and writes the places of their pictures to the shards' folder, a few
hundred a task. Each task writes a shard (see `spark_task`). The driver takes the shards in the source's order: it adds
their vectors to its cache and yields their items. So ids, rows and repeats are decided in one place, regardless
of the order in which tasks end and how often they run.

Shards of an interrupted build go to the cache first, by the content of their pictures, so changed pictures are encoded
again.

Vectors equal those of one machine to the last bit, as far as a picture's vector does not depend on its batch. With ONNX
Runtime it does not, except for a batch of one with other threads (7e-7 apart in float32), such as the last of a task.
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
from ..decoding import chunks, to_decode
from ..vector_cache import VERSION, Cache
from . import DecodedItem, EncodedTexts, EncodeStats
from .cluster import Cluster, message
from .shard import PictureShard, TextShard
from .spark_task import MODEL, Build, encode_pictures, encode_texts

PICTURES = 8 * IMAGE_BATCH  # a task: whole batches, which are then those of one machine
ITEMS = 64 * PICTURES  # at most in a task, if few have pictures
POLL = 0.5  # seconds between two looks for the next shard


class SparkRunner:
    """Run one build in a `with` block, which removes the shards unless an error leaves it."""

    def __init__(self, bundle: Bundle, collection: Path, cluster: Cluster, *, engine: str) -> None:
        self._bundle, self._collection, self._cluster, self._engine = bundle, collection, cluster, engine
        self._open = ExitStack()

    def __enter__(self) -> SparkRunner:
        """Start Spark. Raises BuildError if the shards' folder is not writable or Spark does not start."""
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

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, stats: EncodeStats) -> Generator[DecodedItem]:
        """Yield each item in order, with the outcome of its picture."""
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
                    stats.encoded += _keep(shard, cache)
                    stats.encoding += shard.seconds
                    outcomes = iter(shard.outcomes)
                    for item in chunk:
                        yield item, next(outcomes) if to_decode(item) else None
                next(results, None)  # the end of the last task, whose shard was there before

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[EncodedTexts]:
        """Yield each batch with its vectors, float16."""
        keys = [self._shards.put_work(json.dumps(batch).encode()) for batch in batches]
        with closing(self._run(encode_texts, keys, TextShard.suffix)) as results:
            for key, result in zip(keys, results, strict=True):
                texts: list[str] = json.loads(self._shards.work(key))
                shard = TextShard.of_bytes(result)
                yield EncodedTexts(texts, np.stack(list(shard.vectors.values())), shard.truncated)

    def _take_over(self, cache: Cache) -> None:
        """Add the shards of an interrupted build to the cache."""
        for name in self._shards.names():
            content = self._shards.get(name)
            if content is not None and name.endswith(PictureShard.suffix):
                _keep(PictureShard.of_bytes(content), cache)
            if content is not None and name.endswith(TextShard.suffix):
                shard = TextShard.of_bytes(content)
                cache.add_texts(shard.vectors, shard.vectors.values(), shard.truncated)
        self._shards.clear()

    def _run(self, task: Callable[[Build, str], None], keys: Sequence[str], suffix: str) -> Generator[bytes]:
        """Run the task for every key; yield the results in the order of the keys."""
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
                    f"a worker wrote {self._shards.url}/{name}, which is not visible here: with --shards, name a "
                    "folder or a store that all machines share"
                )
            wait([job], POLL)


def _ended(job: Future[None]) -> None:
    """Wait for the job. Raises BuildError if Spark gave up on a task."""
    try:
        job.result()
    except Exception as error:
        raise BuildError(
            f"Spark gave up on a task: {message(error)}; all encoded vectors are kept: run the command again to resume"
        ) from error


def _keep(shard: PictureShard, cache: Cache) -> int:
    """Add new pictures to the cache; return how many. A picture in two tasks is encoded by both."""
    new = {digest: picture for digest, picture in shard.new.items() if not cache.has_picture(digest)}
    cache.add_pictures(new.items())
    return len(new)


def _pack(bundle: Bundle, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in (FILES.model, *bundle.files):
            archive.write(bundle.path(name), f"{MODEL}/{name}")
