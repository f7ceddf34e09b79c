"""The command line: `prompt-search --help`, or `python -m promptsearch --help`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from promptsearch.cli import parser
from promptsearch.errors import PromptSearchError

_UNBROKEN = 10_000  # columns


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 1 after an error, 130 after Ctrl-C, 141 if the reader closed the pipe."""
    parsed = parser().parse_args(arguments)
    try:
        result = parsed.run(parsed)
        if result is None:  # a command that printed what it did itself
            return
        answer, rendered = result
        if parsed.json:
            print(json.dumps(answer, ensure_ascii=False))
        else:
            # Other programs read one result per line, however long.
            Console(highlight=False, width=None if sys.stdout.isatty() else _UNBROKEN).print(rendered)
        sys.stdout.flush()
    except PromptSearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader closed the pipe; discard what Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
