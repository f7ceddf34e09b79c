"""Read the pages of the documentation: their commands, Python examples, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.workspace import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
CONTAINERS = ROOT / "docs" / "containers.md"
CLIP_RETRIEVAL = ROOT / "docs" / "clip-retrieval.md"
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}

_BUILDER = r"\.venv/bin/python -m builder "
_SERVICE = r"\.venv/bin/python -m service "
# Kinds of commands, and the module that runs each. A command is of the first kind whose pattern it begins with.
KINDS = {
    "make": (r"make ", "test_commands"),
    "curl": (r"curl ", "test_curl"),
    "install": (r"pip install ", "test_install"),
    "shell": (r"prompt-search ", "test_install"),
    "programs": (r"prompt-search-(builder|service) ", "test_install"),
    "export-open-clip": (rf"{_BUILDER}export --open-clip ", "test_export"),
    "export-file": (rf"{_BUILDER}export \S+\.safetensors ", "test_export"),
    "export": (rf"{_BUILDER}export ", "test_export"),
    "download": (rf"{_BUILDER}(download |build img2dataset fetched )", "test_download"),
    "spark": (rf"{_BUILDER}build .* --runner spark ", "test_spark"),
    "stores": (rf"{_BUILDER}upload(-model)? |{_SERVICE}.*s3://", "test_stores"),
    "milvus": (rf"{_BUILDER}publish .* --to milvus ", "test_milvus"),
    "watch": (rf"{_BUILDER}build .* --watch", "test_build"),
    "build": (_BUILDER, "test_build"),
    "serve": (_SERVICE, "test_build"),
}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<content>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return [match["content"] for match in _FENCE.finditer(TEXTS[page]) if match["language"] == language]


def languages() -> set[str]:
    """Return the languages of all code blocks."""
    return {match["language"] for text in TEXTS.values() for match in _FENCE.finditer(text)}


def commands(block: str) -> list[str]:
    """Return the commands of a shell block, without comments."""
    lines = [line.partition("  #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def all_commands() -> list[str]:
    """Return each command once, in the order of the pages; tests/containers runs those about containers."""
    return list(
        dict.fromkeys(
            command
            for page in PAGES
            if page != CONTAINERS
            for block in blocks(page, "sh")
            for command in commands(block)
        )
    )


def kind_of(command: str) -> str | None:
    """Return the kind of a command, None if no test runs such a command."""
    return next((kind for kind, (pattern, _) in KINDS.items() if re.match(pattern, command)), None)


def of_kind(kind: str) -> list[str]:
    """Return the commands of a kind, in the order of the pages."""
    return [command for command in all_commands() if kind_of(command) == kind]


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", TEXTS[page])


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and pictures, except those to other hosts."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
