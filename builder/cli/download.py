"""`download`: the pictures behind a source's links."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from .arguments import Commands, add_source


def add_commands(commands: Commands) -> None:
    """Add `download`."""
    download = commands.add_parser(
        "download", help="fetch the pictures behind a source's links, for the source img2dataset"
    )
    add_source(download, images="folder of pictures that are not fetched, because they are there already")
    download.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder, or one to resume")
    download.add_argument(
        "--format", choices=("files", "webdataset", "parquet"), default="files", help="layout of DIR (default: files)"
    )
    download.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="longest wait for a byte (default: 10)"
    )
    download.add_argument(
        "--shard-size",
        type=int,
        default=1000,
        metavar="N",
        help="links a shard; a resumed download repeats unfinished shards (default: 1000)",
    )
    download.add_argument(
        "--python",
        type=Path,
        metavar="FILE",
        help="Python of an environment with img2dataset (default: .venv-download of the checkout or this folder)",
    )
    download.set_defaults(run=run_download)


def run_download(arguments: argparse.Namespace) -> Iterator[str]:
    """Download; report how many links failed, and the ten most frequent reasons."""
    from ..download.download import download
    from ..sources import open_source

    result = download(
        open_source(arguments.source, arguments.path, arguments.images),
        arguments.out,
        layout=arguments.format,
        timeout=arguments.timeout,
        shard_size=arguments.shard_size,
        python=arguments.python,
    )
    yield f"downloaded {result.fetched} of {result.links} links to {arguments.out}: {result.failed} failed"
    for reason, number in result.reasons.most_common(10):
        yield f"  {number} x {reason}"
    if result.failed:
        yield f"  {arguments.out / 'failed.csv'} lists them all"
    if result.rejected:
        yield f"  {result.rejected} rows of the source were rejected"
