"""A build on Spark equals a build in one process, item for item, even if workers die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.encode.embed import embed
from builder.encode.runners import EncodeStats, Runner
from builder.encode.runners.cluster import Cluster
from builder.encode.runners.local import LocalRunner
from builder.encode.runners.spark import PICTURES, SparkRunner
from builder.encode.vector_cache import Cache
from builder.indexing.index import index
from builder.sources import Item, Rejected
from builder.sources.inputs.picture import FilePicture
from builder.versions.publish import publish
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import BuildError
from promptsearch.storage.manifest import Manifest, current_version
from tests.builder.encode.test_crash import content
from tests.builder.encode.test_embed import Deadly, Listed
from tests.support.drawing import as_bytes, picture

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark_home")]

ROOT = Path(__file__).parents[4]
NEW = 3 * PICTURES - 100  # pictures of their own: three tasks' worth, with all the others
SETTINGS = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.log.level": "FATAL"}
LOCAL = Cluster("local[2]", SETTINGS)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(ROOT / "models" / "emoji")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Listed:
    """Return a source of pictures and of one of each thing that can be between them."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(NEW):
        (folder / f"{number}.png").write_bytes(as_bytes(picture(number, 64, 64)))
    (folder / "damaged.png").write_bytes(as_bytes(picture(NEW))[:2000])

    def item(key: str, file: str, prompt: str | None = None) -> Item:
        return Item(key, key, prompt, FilePicture(folder, file), settings={"seed": len(key)})

    items: list[Item | Rejected | None] = [item(f"{n}.png", f"{n}.png", f"prompt {n % 300}") for n in range(NEW)]
    items[40:40] = [
        Rejected("row 40", "no item"),
        item("damaged.png", "damaged.png", "a damaged picture"),
        item("missing.png", "missing.png"),
        Item("words", "words", "only words 夜"),
        item("5.png", "5.png", "the same key and picture again"),
    ]
    items[-10:-10] = [item(f"copy of {n}", f"{n}.png") for n in range(20)]  # of pictures in another task
    return Listed(items, folder)


def build(source: Listed, runner: Runner, bundle: Bundle, collection: Path) -> dict[str, Any]:
    """Build a collection; return its contents and the counts of what was done for it."""
    embed(source, runner, bundle, collection, engine_name="onnx")
    index(collection)
    publish(collection)
    manifest = Manifest.read(current_version(collection))
    return {**content(collection), **{name: manifest.build[name] for name in ("encoded", "from_cache", "quarantined")}}


@pytest.fixture(scope="module")
def expected(source: Listed, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what `build` returns for one process."""
    built = build(source, LocalRunner(Encoders(bundle)), bundle, tmp_path_factory.mktemp("local") / "c")
    assert built["encoded"] == {"images": NEW, "prompts": 303}
    assert built["from_cache"] == {"images": 21, "prompts": 0}
    return built


def collected(built: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of a build without the counts of what was done for it."""
    return {name: value for name, value in built.items() if name not in ("encoded", "from_cache")}


@contextmanager
def on_spark(bundle: Bundle, collection: Path, cluster: Cluster = LOCAL) -> Iterator[SparkRunner]:
    with SparkRunner(bundle, collection, cluster, engine="onnx") as runner:
        yield runner


def shards(collection: Path) -> list[str]:
    return [path.name for path in collection.glob("cache/*.shards/*.npz")]


def test_the_collection_is_that_of_one_process(
    source: Listed, expected: dict[str, Any], bundle: Bundle, bucket: str, tmp_path: Path
) -> None:
    """A second build encodes new items only, wherever the shards are."""
    with on_spark(bundle, tmp_path / "c") as runner:
        assert build(source, runner, bundle, tmp_path / "c") == expected
    assert list((tmp_path / "c" / "cache").iterdir()) == []

    (source.root / "new.png").write_bytes(as_bytes(picture(NEW, 64, 64)))
    new = [
        Item("new", "new", "a new prompt", FilePicture(source.root, "new.png")),
        Item("deadly", "deadly", None, Deadly()),  # is the only one lost, as in one process
    ]
    grown = replace(source, listed=[*new, *source.listed])
    # The workers' environment is that of the JVM, which may be older than the bucket's.
    environment = {f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name.startswith("AWS_")}
    store = replace(LOCAL, shards=f"{bucket}/below", settings={**SETTINGS, **environment})
    with on_spark(bundle, tmp_path / "c", store) as runner:
        again = build(grown, runner, bundle, tmp_path / "c")
    assert again["encoded"] == {"images": 1, "prompts": 1}
    assert again["from_cache"] == {"images": NEW + 21, "prompts": 303}
    assert again["quarantined"] == {
        **expected["quarantined"],
        "the process that decoded it died": 1,
    }
    local = build(grown, LocalRunner(Encoders(bundle)), bundle, tmp_path / "c")
    assert collected(again) == collected(local)


@pytest.mark.parametrize("what", ["python worker", "executor"])
def test_a_worker_that_is_killed_changes_nothing(
    what: str, source: Listed, expected: dict[str, Any], bundle: Bundle, tmp_path: Path
) -> None:
    cluster = LOCAL if what == "python worker" else replace(LOCAL, master="local-cluster[2,1,1024]")
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and not killed:
            for worker in at_work():
                pid = worker if what == "python worker" else executor_of(worker)
                assert len(shards(tmp_path / "c")) < 3
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    with on_spark(bundle, tmp_path / "c", cluster) as runner:
        assert build(source, runner, bundle, tmp_path / "c") == expected
    killer.join()
    assert killed


def test_a_stopped_driver_resumes(source: Listed, expected: dict[str, Any], bundle: Bundle, tmp_path: Path) -> None:
    stats = EncodeStats()

    def interrupted(runner: SparkRunner, cache: Cache) -> None:
        for number, _ in enumerate(runner.pictures(source.items(), cache, stats)):
            if number == 10:  # of the first shard
                while len(shards(tmp_path / "c")) < 2:
                    time.sleep(0.05)
                raise KeyboardInterrupt

    with Cache(tmp_path / "c", bundle) as cache, pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with on_spark(bundle, tmp_path / "c") as runner:
            interrupted(runner, cache)
    assert stats.encoded < PICTURES < NEW
    with on_spark(bundle, tmp_path / "c") as runner:
        built = build(source, runner, bundle, tmp_path / "c")
    assert built["encoded"]["images"] <= NEW - 2 * PICTURES + 10
    assert collected(built) == collected(expected)


def test_a_task_that_fails_for_good_ends_the_build(source: Listed, bundle: Bundle, tmp_path: Path) -> None:
    with (
        pytest.raises(
            BuildError, match=r"Spark gave up on a task: .*expected an engine of onnx, torch, got 'jax'; all encoded"
        ),
        SparkRunner(bundle, tmp_path / "c", LOCAL, engine="jax") as runner,
    ):
        build(source, runner, bundle, tmp_path / "c")


def at_work() -> Iterator[int]:
    """Yield the Python workers of this process's Spark that are decoding: each has a process that starts decoders."""
    for pid, parent in parents().items():
        if "forkserver" in command(pid) and "pyspark.daemon" in command(parent) and is_below(parent, os.getpid()):
            yield parent


def executor_of(worker: int) -> int:
    above = parents()
    while "CoarseGrainedExecutorBackend" not in command(worker):
        worker = above[worker]
    return worker


def is_below(pid: int, top: int) -> bool:
    above = parents()
    while pid in above and pid != top:
        pid = above[pid]
    return pid == top


def parents() -> dict[int, int]:
    parents_of = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The fields after the name, which may have anything in it.
            parents_of[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return parents_of


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
