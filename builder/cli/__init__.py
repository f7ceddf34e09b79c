"""The builder's command line: a file for each group of commands.

A command is a generator of the lines that it prints, which `__main__` prints as they come. `argparse.Namespace` ends
here: other modules get a plan, or typed arguments.
"""

from __future__ import annotations

import argparse

from promptsearch.version import __version__

from . import build, collections, download, export, upload


def parser(program: str) -> argparse.ArgumentParser:
    """Return the parser of all commands; `run` of what it parsed is the command, a function of the parsed arguments."""
    top = argparse.ArgumentParser(prog=program, description="Build collections and model bundles.")
    top.add_argument("--version", action="version", version=f"prompt-search {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for group in (export, download, build, collections, upload):
        group.add_commands(commands)
    return top
