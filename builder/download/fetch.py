"""Run img2dataset in its own environment, with its arguments as a line of JSON on standard input.

The builder holds standard input open as long as it lives. When it ends, for any reason, all of img2dataset ends:
remaining workers would write into the shards that the next run repeats.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading


def main() -> None:
    """Read the arguments and download; end with the builder."""
    arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_builder, daemon=True).start()
    from img2dataset import download  # type: ignore[import-not-found]  # of the other environment

    download(**arguments)


def _end_with_the_builder() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing more is written: this returns at the end of standard input
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
