"""The steps of a build: embed a source, index what is staged, publish it. Each returns the manifest that it wrote.

A step imports what it needs when it runs: each runs without the dependencies of the others.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from promptsearch.encoding.bundle import Bundle
from promptsearch.remote.cache import CACHE
from promptsearch.storage.manifest import Manifest
from promptsearch.system.checksums import Checksums

from .plan import BuildPlan, EmbedPlan

if TYPE_CHECKING:
    from .encode.runners import Runner
    from .indexing.index_file import Adder


def require_installed() -> None:
    """Import what embedding and indexing need, before hours of embedding. Raises NotInstalled, ModuleNotFoundError."""
    from .encode import embed  # noqa: F401
    from .indexing import index  # noqa: F401


def embed_source(plan: BuildPlan) -> Manifest:
    """Stage the items of the plan's source and their vectors. Raises BundleError and BuildError."""
    from .encode.embed import embed
    from .sources import open_source

    assert plan.embed is not None, "the plan names a source"
    bundle = Bundle.open(plan.embed.model)
    bundle.verify(Checksums(CACHE))
    source = open_source(plan.embed.source, plan.embed.path, plan.embed.images)
    with _runner(plan, plan.embed, bundle) as runner:
        return embed(
            source,
            runner,
            bundle,
            plan.collection,
            engine_name=plan.embed.engine,
            prompt_text=plan.embed.prompt_text,
            allow_removal=plan.embed.allow_removal,
        )


def index_staged(plan: BuildPlan) -> Manifest:
    """Build the indices of what is staged. Raises BuildError and NotInstalled."""
    from .indexing.index import index

    return index(plan.collection, max_memory=plan.index.max_memory, recall=plan.index.recall, add=_adder(plan))


def publish_staged(plan: BuildPlan) -> Manifest:
    """Make what is staged the served version. Raises BuildError."""
    from .versions.publish import publish

    return publish(plan.collection, keep=plan.keep)


def _runner(plan: BuildPlan, embed: EmbedPlan, bundle: Bundle) -> AbstractContextManager[Runner]:
    if plan.cluster is not None:
        from .encode.runners.spark import SparkRunner

        return SparkRunner(bundle, plan.collection, plan.cluster, engine=embed.engine)
    from .encode.engines import open_engine
    from .encode.runners.local import LocalRunner

    return nullcontext(LocalRunner(open_engine(embed.engine, bundle)))


def _adder(plan: BuildPlan) -> Adder:
    if plan.cluster is not None:
        from .encode.runners.spark_index import SparkAdder

        return SparkAdder(plan.collection, plan.cluster)
    from .indexing.index_file import add_here

    return add_here
