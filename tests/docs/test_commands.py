"""Every command in the documentation is run by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.checkout import run
from tests.docs.pages import CLIP_RETRIEVAL, KINDS, PAGES, all_commands, blocks, kind_of, languages, of_kind
from tests.support.workspace import ROOT


@pytest.mark.parametrize("command", all_commands())
def test_every_command_is_of_a_kind_that_is_run(command: str) -> None:
    assert kind_of(command) is not None, "add its kind to tests/docs/pages.py and run it"
    assert not command.endswith("\\"), "write a command on one line"


@pytest.mark.parametrize(("kind", "module"), [(kind, module) for kind, (_, module) in KINDS.items()])
def test_every_kind_is_run(kind: str, module: str) -> None:
    assert of_kind(kind), "no page has such a command"
    assert f'of_kind("{kind}")' in Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


def test_code_is_marked_with_a_language_that_is_run() -> None:
    assert languages() <= {"sh", "python", "json", ""}  # without a language: diagrams
    assert not [page.name for page in PAGES for block in blocks(page, "") if "$ " in block or "curl" in block.split()]


def test_every_python_example_is_run() -> None:
    """test_python.py runs those that import promptsearch, tests/service/api/routes/test_clip_retrieval.py the other."""
    others = [page for page in PAGES for block in blocks(page, "python") if "import promptsearch" not in block]
    assert others == [CLIP_RETRIEVAL]


@pytest.mark.parametrize("command", of_kind("make"))
def test_make_targets_exist(command: str) -> None:
    """tests/test_demo.py runs `make demo`; `make test` is what runs this."""
    assert run(f"{command} --dry-run", ROOT).returncode == 0
