"""The shape of the repository: imports, files per folder, and a test module for each module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.workspace import ROOT

FILES_PER_FOLDER = 13  # code that one look takes in; `__init__.py` and test helpers are not counted
CODE = {".py", ".js", ".css"}
PACKAGES = ("promptsearch", "builder", "service")
MIRRORED_FROM = 80  # lines: smaller modules are tested with the modules that use them
# Modules and folders of modules that have no test module of their own name, and why.
UNMIRRORED = {
    "builder/demo": "runs for hours: test_pictures.py, test_texts.py and test_towers.py check its parts",
    "builder/encode/engines.py": "needs PyTorch: tests/builder/export/pytorch/test_engines.py",
    "builder/encode/runners": "test_embed.py and test_spark.py compare whole builds of both runners",
    "builder/export/published/hub.py": "tests/builder/export/test_named.py fetches from a server with its addresses",
    "builder/export/pytorch/open_clip_tokens.py": "test_open_clip.py compares its tokens with open_clip's",
    "builder/export/pytorch/openai_clip.py": "test_parity.py and test_graph.py compare its graphs with clip's",
    "builder/export/weights/archive.py": "test_reader.py reads whole files",
    "builder/export/weights/pickles.py": "test_reader.py reads whole files, hostile ones too",
    "builder/milvus/entities.py": "test_publish.py reads every entity back",
    "promptsearch/client/requests.py": "test_client.py and test_same_answers.py send every request",
    "promptsearch/client/results.py": "test_same_answers.py compares every result",
    "promptsearch/engines/engine.py": "a protocol",
    "promptsearch/engines/milvus": "tests that are parametrized with ENGINES compare it with files",
    "promptsearch/metadata/comfyui": "its tests follow whole graphs, by what they are about",
    "promptsearch/metadata/generation.py": "test_generators.py reads a picture of each program",
    "promptsearch/metadata/generators": "test_generators.py reads a picture of each program",
    "promptsearch/metadata/values.py": "the tests of all sources and generators convert values",
    "service/app.py": "every test of the service starts it",
    "service/responses": "the tests of the routes compare whole answers",
    "service/search": "the tests of the routes compare whole answers; tests/service/access has those of its limits",
}


def test_imports_keep_to_the_contracts() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def crowded(folder: Path, counted: str = "*") -> dict[str, int]:
    """Return the folders below `folder` with more than FILES_PER_FOLDER files of code that match `counted`."""
    files = (path for path in folder.rglob(counted) if path.suffix in CODE and path.name != "__init__.py")
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)
    return {name: count for name, count in counts.items() if count > FILES_PER_FOLDER}


def test_no_folder_is_crowded() -> None:
    for package in ("promptsearch", "builder", "service", "bench"):
        assert crowded(ROOT / package) == {}
    assert crowded(ROOT / "tests", "test_*.py") == {}


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    folder = ROOT / "service" / "page" / "js"
    assert len(list(folder.rglob("*.js"))) > FILES_PER_FOLDER, "the largest tree of files, which is cut into folders"


def code_lines(path: Path) -> int:
    lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


def is_within(module: str, place: str) -> bool:
    return f"{module}/".startswith(f"{place}/")


def unmirrored() -> set[str]:
    """Return the large modules without a test module of their name in the same place below tests/."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    return {
        module.relative_to(ROOT).as_posix()
        for module in paths
        if code_lines(module) > MIRRORED_FROM
        and not (ROOT / "tests" / module.relative_to(ROOT).parent / f"test_{module.stem.strip('_')}.py").is_file()
    }


def test_every_large_module_has_its_test_module() -> None:
    assert {module for module in unmirrored() if not any(is_within(module, place) for place in UNMIRRORED)} == set()


def test_every_exception_is_needed() -> None:
    missing = unmirrored()
    assert {place for place in UNMIRRORED if not any(is_within(module, place) for module in missing)} == set()


# First words of docstrings that describe a function instead of saying what it does; ruff's D401 knows few of them.
NO_VERBS = {
    "A", "All", "An", "Both", "Each", "Every", "For", "From", "How", "If", "In", "Is", "It", "Its", "No", "None", "Of",
    "One", "Our", "The", "These", "This", "Those", "What", "Where", "Whether", "Which", "Who", "With", "Without",
}  # fmt: skip
DOCUMENTED = (*PACKAGES, "bench", "tests/support", "tests/service/support")


def first_words(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the docstring's first word of every public function with a docstring."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if docstring := ast.get_docstring(node):
                yield f"{path.relative_to(ROOT)}: {node.name}", docstring.split()[0].strip(",.:;")


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    words = {place: word for folder in DOCUMENTED for place, word in first_words(ROOT / folder)}
    assert len(words) > 800
    describing = {
        place: word
        for place, word in words.items()
        if word in NO_VERBS or not word[0].isupper() or (word.endswith("s") and not word.endswith("ss"))
    }
    assert describing == {}
