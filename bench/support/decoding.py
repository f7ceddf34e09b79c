"""The pictures a second that all cores read, decode, resize and make thumbnails of, without encoding.

`python -m bench.support.decoding FOLDER MODEL` prints the rate, for `bench.gpu_speed`. It is a separate program because
the decoding processes import their parent's main module again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from builder.encode.decoding import Decoded, Decoders
from builder.encode.vector_cache import Cache
from builder.sources import open_source
from promptsearch.encoding.bundle import Bundle
from promptsearch.system.cpus import available_cores


def rate(folder: Path, bundle: Bundle) -> float:
    """Return pictures a second, counted from the first, which waits for the processes to start."""
    count, started = 0, 0.0
    with (
        tempfile.TemporaryDirectory() as nothing,
        Cache(Path(nothing) / "c", bundle) as cache,
        Decoders(bundle.image, cache.path, available_cores()) as decoders,
    ):
        for _, outcome in decoders.decode(open_source("folder", folder, None).items()):
            assert isinstance(outcome, Decoded)
            started = started or time.monotonic()
            count += 1
        return (count - 1) / (time.monotonic() - started)


def main() -> None:
    """Print the pictures a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    print(rate(arguments.folder, Bundle.open(arguments.model)))


if __name__ == "__main__":
    main()
