"""The builder's program: `python -m builder --help`, or `prompt-search-builder --help` if it is installed."""

from __future__ import annotations

import errno
import logging
import re
import sqlite3
import sys
from collections.abc import Sequence

from promptsearch.errors import PromptSearchError

from .cli import parser
from .progress import silence

# The package is called `builder` in a checkout only.
PROGRAM = "python -m builder" if __package__ == "builder" else "prompt-search-builder"

# FAISS and SQLite report a full disk in words only; with a full disk, SQLite cannot even open its shared memory.
_DISK_FULL = re.compile(r"No space left|disk is full|disk I/O error|unable to open database file")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and print what it yields; exit with 1 and one line on stderr if it fails, with 130 on Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a picture is in quarantine.csv
    for stage in ("progress", "indexing"):
        logging.getLogger(f"{__package__}.{stage}").setLevel(logging.INFO)
    parsed = parser(PROGRAM).parse_args(arguments)
    quiet = getattr(parsed, "quiet", False)
    if quiet:
        silence()
        logging.getLogger(f"{__package__}.indexing").setLevel(logging.WARNING)
    try:
        for line in parsed.run(parsed):
            if not quiet:
                print(line, flush=True)
    except (PromptSearchError, OSError, sqlite3.Error) as error:  # a full disk, a folder without permission
        print(f"error: {_describe(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped" if getattr(parsed, "watch", False) else "stopped; nothing was published", file=sys.stderr)
        sys.exit(130)


def _describe(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or _DISK_FULL.search(str(error)):
        return (
            f"the disk is full or not writable ({error}): free some space and run the same command again, which resumes"
        )
    return str(error)


if __name__ == "__main__":
    main()
