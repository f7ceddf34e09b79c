"""The steps of a build: embed a source, index what is staged, publish it. Each returns the manifest that it wrote.

An interrupted build resumes from its encoded vectors (`encode/vector_cache.py`); what was staged begins anew.
A step imports what it needs when it runs: each runs without the dependencies of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.encoding.bundle import Bundle
from promptsearch.remote.cache import CACHE
from promptsearch.storage.manifest import Manifest
from promptsearch.system.checksums import Checksums

from .plan import BuildPlan, EmbedPlan
from .versions.versions import file_memory

if TYPE_CHECKING:
    from .encode.runners import EncodeStats, Runner
    from .indexing.index_file import Adder
    from .sources import Item, Source


def require_installed() -> None:
    """Import what embedding and indexing need, before hours of embedding. Raises NotInstalled, ModuleNotFoundError."""
    from .encode import embed  # noqa: F401
    from .indexing import index  # noqa: F401


@contextmanager
def open_runner(plan: BuildPlan) -> Iterator[Runner]:
    """Open what encodes the plan's source, for one build or several. Raises BundleError and BuildError."""
    assert plan.embed is not None, "the plan names a source"
    bundle = Bundle.open(plan.embed.model)
    bundle.verify(Checksums(CACHE))
    with _runner(plan, plan.embed, bundle) as runner:
        yield runner


def embed_source(
    plan: BuildPlan,
    runner: Runner | None = None,
    *,
    unsettled: Set[str] = frozenset(),
    enough: Callable[[EncodeStats], bool] | None = None,
) -> Manifest:
    """Stage the items of the plan's source and their vectors. Raises BundleError and BuildError.

    `runner`: that of `open_runner` (default: one for this build). `unsettled`: files of a folder that are being
    written, whose last state counts. `enough`: see `encode.embed.embed`.
    """
    from .encode.embed import embed

    assert plan.embed is not None, "the plan names a source"
    with (
        _source(plan.collection, plan.embed, unsettled) as (source, learn),
        nullcontext(runner) if runner is not None else open_runner(plan) as opened,
    ):
        return embed(
            source,
            opened,
            Bundle.open(plan.embed.model),
            plan.collection,
            engine_name=plan.embed.engine,
            prompt_text=plan.embed.prompt_text,
            allow_removal=plan.embed.allow_removal,
            learn=learn,
            enough=enough,
        )


@contextmanager
def _source(
    collection: Path, embed: EmbedPlan, unsettled: Set[str]
) -> Iterator[tuple[Source, Callable[[Item, bytes], None] | None]]:
    """Open the source, and what learns the digests of its pictures, if it remembers its files."""
    from .sources import open_source
    from .sources.file_memory import FileMemory
    from .sources.folder import FolderSource
    from .sources.remembered_folder import RememberedFolder

    source = open_source(embed.source, embed.path, embed.images)
    if not isinstance(source, FolderSource):
        yield source, None
        return
    with FileMemory(file_memory(collection.parent), source.root) as memory:
        remembered = RememberedFolder(source, memory, unsettled)
        yield remembered, remembered.learn


def index_staged(plan: BuildPlan) -> Manifest:
    """Build the indices of what is staged. Raises BuildError and NotInstalled."""
    from .indexing.index import index

    return index(
        plan.collection,
        max_memory=plan.index.max_memory,
        recall=plan.index.recall,
        key=plan.index.key,
        require_recall=plan.index.require_recall,
        reuse=plan.index.reuse,
        add=_adder(plan),
    )


def publish_staged(plan: BuildPlan) -> Manifest:
    """Make what is staged the served version. Raises BuildError."""
    from .versions.publish import publish

    return publish(plan.collection, keep=plan.keep)


def discard_unchanged(plan: BuildPlan) -> Manifest | None:
    """Discard what is staged if the served version has the same content; return the manifest of that, else None."""
    from .versions.unchanged import discard_unchanged

    index = {"max_memory": plan.index.max_memory, "recall": plan.index.recall, "key": plan.index.key}
    return discard_unchanged(plan.collection, index)


def _runner(plan: BuildPlan, embed: EmbedPlan, bundle: Bundle) -> AbstractContextManager[Runner]:
    if plan.cluster is not None:
        from .encode.runners.spark import SparkRunner

        return SparkRunner(bundle, plan.collection, plan.cluster, engine=embed.engine)
    from .encode.engines import LazyEncoders, open_engine
    from .encode.runners.local import LocalRunner

    engine = LazyEncoders(bundle) if embed.engine == "onnx" else open_engine(embed.engine, bundle)
    return nullcontext(LocalRunner(engine))


def _adder(plan: BuildPlan) -> Adder:
    if plan.cluster is not None:
        from .encode.runners.spark_index import SparkAdder

        return SparkAdder(plan.collection, plan.cluster)
    from .indexing.index_file import add_here

    return add_here
