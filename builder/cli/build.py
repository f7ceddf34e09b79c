"""`build` and its steps: `embed`, `index`, `publish`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Generator, Iterator, Set
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.prompt_text import CHOICES as PROMPT_TEXTS
from promptsearch.errors import BuildError, PromptSearchError
from promptsearch.storage.manifest import KINDS, Manifest

from .. import build
from ..encode import engines
from ..plan import BuildPlan, EmbedPlan, IndexPlan
from ..versions.lock import locked
from ..versions.report import describe_counts, describe_index, describe_seconds, describe_version, version_data
from ..versions.versions import is_whole
from .arguments import (
    Commands,
    add_collection,
    add_json,
    add_source,
    collection_folder,
    count,
    share,
    size,
    spark_setting,
)

if TYPE_CHECKING:
    from ..encode.runners import EncodeStats, Runner
    from ..encode.runners.cluster import Cluster

# While a collection is built for the first time, what is encoded so far is published after so long and so many.
EARLY_SECONDS = 60.0
EARLY_PICTURES = 1000


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    whole = commands.add_parser("build", help="embed, index and publish")
    _add_embedding(whole)
    _add_runner(whole)
    add_collection(whole)
    _add_indexing(whole)
    _add_keep(whole)
    _add_watch(whole)
    add_json(whole)
    _add_quiet(whole)
    whole.set_defaults(run=run_build)

    embed = commands.add_parser("embed", help="stage the items of a source and their embeddings")
    _add_embedding(embed)
    _add_runner(embed)
    add_collection(embed)
    _add_quiet(embed)
    embed.set_defaults(run=run_embed)

    index = commands.add_parser("index", help="build the indices of what is staged, with autofaiss")
    add_collection(index)
    _add_runner(index)
    _add_indexing(index)
    _add_quiet(index)
    index.set_defaults(run=run_index)

    publish = commands.add_parser("publish", help="make what is staged the served version")
    add_collection(publish)
    publish.add_argument(
        "--to", choices=("milvus",), help="copy the served version into Milvus instead, and serve it from there"
    )
    publish.add_argument("--address", metavar="URL", help="Milvus's address, or the path of Milvus Lite's data")
    _add_keep(publish)
    _add_quiet(publish)
    publish.set_defaults(run=run_publish)


def _add_embedding(command: argparse.ArgumentParser) -> None:
    add_source(command, images="the pictures' folder, if it is not the source's own")
    command.add_argument("--model", type=Path, required=True, metavar="models/NAME", help="the model bundle")
    command.add_argument(
        "--prompt-text",
        choices=PROMPT_TEXTS,
        default="plain",
        help="text of a prompt that is embedded: its words (plain), or all of it (default: plain)",
    )
    command.add_argument(
        "--allow-removal",
        action="store_true",
        help="publish a build even if it has less than half of the collection's current items",
    )
    command.add_argument(
        "--engine", choices=engines.NAMES, default="onnx", help="library that computes embeddings (default: onnx)"
    )


def _add_runner(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--runner", choices=("local", "spark"), default="local", help="run on this machine or on Spark (default: local)"
    )
    command.add_argument(
        "--master",
        metavar="MASTER",
        help="Spark's: local[N], spark://HOST:PORT, yarn, k8s://... (default: that of Spark's own configuration)",
    )
    command.add_argument(
        "--shards",
        metavar="URL",
        help="folder or s3://... that all of Spark's workers reach (default: in the collection's folder)",
    )
    command.add_argument(
        "--conf",
        type=spark_setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Spark setting, such as spark.task.cpus=4; repeatable",
    )


def _add_indexing(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--max-memory",
        type=size,
        default="4G",
        metavar="SIZE",
        help="memory that an index and its building may take, as 4G or 512M (default: 4G)",
    )
    command.add_argument(
        "--recall",
        type=share,
        default=IndexPlan.recall,
        metavar="SHARE",
        help=f"recall@10 that searches are tuned to (default: {IndexPlan.recall})",
    )
    command.add_argument(
        "--require-recall", action="store_true", help="fail if no index within --max-memory reaches the recall"
    )
    command.add_argument(
        "--index-key", metavar="KEY", help="index of the images, such as IVF4096,Flat (default: chosen by their number)"
    )


def _add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--watch", action="store_true", help="follow the source, a folder, and build again whenever it changes"
    )
    command.add_argument(
        "--poll", action="store_true", help="with --watch: look at all files regularly, as network drives need"
    )


def _add_quiet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="print errors and warnings only")


def _add_keep(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--keep",
        type=count,
        default=BuildPlan.keep,
        metavar="N",
        help=f"old versions that are kept (default: {BuildPlan.keep})",
    )


def run_build(arguments: argparse.Namespace) -> Iterator[str]:
    """Run all steps."""
    plan = BuildPlan(
        collection_folder(arguments),
        _embed_plan(arguments),
        _index_plan(arguments),
        arguments.keep,
        _cluster(arguments),
    )
    if arguments.watch and (arguments.source != "folder" or arguments.runner != "local"):
        raise BuildError("--watch is for the source folder, built on this machine: leave it out, or name a folder")
    if arguments.watch and arguments.json:
        raise BuildError(
            "--json describes the version when the build has ended, which --watch never does: leave out one"
        )
    build.require_installed()
    with locked(plan.collection), build.open_runner(plan) as runner:
        if arguments.watch:
            yield from _follow(plan, runner, polling=arguments.poll)
        elif arguments.json:
            yield from _build_as_json(plan, runner)
        elif (yield from _build(plan, runner)):
            yield from describe_version(plan.collection)


def run_embed(arguments: argparse.Namespace) -> Iterator[str]:
    """Stage a source."""
    plan = BuildPlan(collection_folder(arguments), embed=_embed_plan(arguments), cluster=_cluster(arguments))
    with locked(plan.collection):
        yield from _embed(plan)


def run_index(arguments: argparse.Namespace) -> Iterator[str]:
    """Index what is staged."""
    plan = BuildPlan(collection_folder(arguments), index=_index_plan(arguments), cluster=_cluster(arguments))
    with locked(plan.collection):
        yield from _index(plan)


def run_publish(arguments: argparse.Namespace) -> Iterator[str]:
    """Publish what is staged, or copy the served version into Milvus."""
    if (arguments.to is None) != (arguments.address is None):
        raise BuildError("--to milvus and --address are used together: pass both or neither")
    plan = BuildPlan(collection_folder(arguments), keep=arguments.keep)
    with locked(plan.collection):
        if arguments.to is None:
            yield _publish(plan)
        else:
            yield from _publish_to_milvus(plan, arguments.address)


def _build(
    plan: BuildPlan,
    runner: Runner,
    unsettled: Set[str] = frozenset(),
    enough: Callable[[EncodeStats], bool] | None = None,
) -> Generator[str, None, bool]:
    """Take all steps; return whether a version was published, which a build without anything new does not."""
    yield from _embed(plan, runner, unsettled, enough)
    if (served := build.discard_unchanged(plan)) is not None:
        yield f"nothing new: {served.collection} stays at version {served.version}, {describe_counts(served)}"
        return False
    yield from _index(plan)
    yield _publish(plan)
    return True


def _build_as_json(plan: BuildPlan, runner: Runner) -> Iterator[str]:
    """Take all steps; yield the served version as `show --json` does, and whether it was published now."""
    steps = _build(plan, runner)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            yield dumps({**version_data(plan.collection), "published": end.value})
            return


def _follow(plan: BuildPlan, runner: Runner, *, polling: bool) -> Iterator[str]:
    """Build, then build again whenever the folder has changed. Until the first build is whole, publish its beginning.

    What the watch sees disappear was deleted, so that builds after the first may remove as much.
    """
    from ..watch import FolderWatch

    assert plan.embed is not None, "the plan names a source"
    with FolderWatch(plan.embed.path, plan.collection.parent, polling=polling) as watch:
        if is_whole(plan.collection):
            yield from _build(plan, runner)
        while not is_whole(plan.collection):
            yield from _build(plan, runner, enough=_enough_to_publish())
        yield f"following {plan.embed.path}; Ctrl-C ends it"
        followed = replace(plan, embed=replace(plan.embed, allow_removal=True), index=replace(plan.index, reuse=True))
        while True:
            unsettled = watch.wait()
            try:
                yield from _build(followed, runner, unsettled)
            except PromptSearchError as error:
                yield f"not updated: {error}"


def _enough_to_publish() -> Callable[[EncodeStats], bool]:
    """Return what tells that a minute has passed since now, and a thousand pictures were encoded."""
    end = time.monotonic() + EARLY_SECONDS
    return lambda stats: stats.encoded >= EARLY_PICTURES and time.monotonic() >= end


def _embed_plan(arguments: argparse.Namespace) -> EmbedPlan:
    return EmbedPlan(
        arguments.source,
        arguments.path,
        arguments.model,
        arguments.images,
        arguments.engine,
        arguments.prompt_text,
        arguments.allow_removal,
    )


def _index_plan(arguments: argparse.Namespace) -> IndexPlan:
    return IndexPlan(arguments.max_memory, arguments.recall, arguments.index_key, arguments.require_recall)


def _cluster(arguments: argparse.Namespace) -> Cluster | None:
    """Return the Spark cluster, None for this machine alone. Raises BuildError for Spark's flags without Spark."""
    if arguments.runner == "spark":
        from ..encode.runners.cluster import Cluster

        return Cluster(arguments.master, dict(arguments.conf), arguments.shards)
    for flag in ("master", "shards", "conf"):
        if getattr(arguments, flag):
            raise BuildError(f"--{flag} is used with --runner spark only: add that, or leave it out")
    return None


def _embed(
    plan: BuildPlan,
    runner: Runner | None = None,
    unsettled: Set[str] = frozenset(),
    enough: Callable[[EncodeStats], bool] | None = None,
) -> Iterator[str]:
    manifest = build.embed_source(plan, runner, unsettled=unsettled, enough=enough)
    yield f"embedded {describe_counts(manifest)} in {describe_seconds(manifest)}"
    if truncated := manifest.build["prompts_truncated"]:
        assert plan.embed is not None, "it was embedded by its plan"
        tokens = Bundle.open(plan.embed.model).text.context_length
        yield f"  {truncated} prompts are longer than the {tokens} tokens that the model reads"
    if manifest.counts["quarantined"]:
        yield f"  {manifest.counts['quarantined']} rows or pictures could not be read; see quarantine.csv"


def _index(plan: BuildPlan) -> Iterator[str]:
    yield from _indexed(build.index_staged(plan))


def _indexed(manifest: Manifest) -> Iterator[str]:
    for kind in KINDS:
        if info := manifest.index(kind):
            yield f"indexed {describe_index(kind, info)}"


def _publish(plan: BuildPlan) -> str:
    manifest = build.publish_staged(plan)
    return f"published {manifest.collection} version {manifest.version}: {describe_counts(manifest)}"


def _publish_to_milvus(plan: BuildPlan, address: str) -> Iterator[str]:
    from ..milvus.publish import publish_to_milvus

    manifest = publish_to_milvus(plan.collection, address, keep=plan.keep)
    yield from _indexed(manifest)
    yield f"published {manifest.collection} version {manifest.version} to Milvus: {describe_counts(manifest)}"
