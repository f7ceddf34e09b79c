"""`promptsearch.open`: a collection searched in this process; test_same_answers.py compares its answers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import promptsearch
from builder.versions.hide import hide
from promptsearch.errors import (
    CursorError,
    CursorGone,
    ModelMismatch,
    NoFile,
    UnknownCollection,
    UnknownItem,
)
from tests.promptsearch.conftest import Gallery
from tests.service.support.serving import ROOT
from tests.support import gallery

FOX = "a red fox in the snow"


def python(code: str, *arguments: str) -> str:
    """Run the code in a new process; return its output."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def test_import_loads_no_submodules() -> None:
    loaded = python("import sys; before = {*sys.modules}; import promptsearch; print(*{*sys.modules} - before)").split()
    assert {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "promptsearch",
        "promptsearch.version",
    }


def test_searching_loads_no_torch_and_no_web_framework(pictures: Gallery) -> None:
    code = (
        "import sys, promptsearch; c = promptsearch.open(sys.argv[1], models=sys.argv[2]); "
        "print(c.search_images('fox', limit=5)[0].id in c.search_images('fox')._repr_html_()); print(*sys.modules)"
    )
    ids, loaded = python(code, str(pictures.collection), str(pictures.models)).splitlines()
    assert ids == "True"
    unwanted = {"torch", "torchvision", "fastapi", "starlette", "pydantic", "autofaiss", "onnx", "pandas", "httpx"}
    assert unwanted.isdisjoint(loaded.split())


def test_public_names_exist() -> None:
    assert {*promptsearch.__all__} <= {*dir(promptsearch)}
    assert promptsearch.__version__ == promptsearch.version.__version__
    for name in {*promptsearch.__all__} - {"__version__"}:
        assert getattr(promptsearch, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'close'"):
        _ = promptsearch.close


def test_model_is_found_beside_the_indices_or_in_the_working_directory(
    pictures: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "indices").mkdir()
    collection = tmp_path / "indices" / "copy"
    shutil.copytree(pictures.collection, collection)
    with pytest.raises(
        ModelMismatch, match=r"built with the model tiny, which is not there.*looked for it in .*models"
    ):
        promptsearch.open(collection)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "models").symlink_to(pictures.models)
    with promptsearch.open(collection) as opened:
        assert opened.bundle.folder.is_relative_to("models")
        assert opened.search_images(FOX, limit=1).collection == "copy"  # its folder's name, as in the service
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "under-another-name").symlink_to(pictures.models / "tiny")
    with promptsearch.open(Path("../indices/copy")) as opened:
        assert opened.bundle.folder == tmp_path / "models" / "under-another-name"


def test_missing_collection_or_model_is_an_error(pictures: Gallery, tmp_path: Path) -> None:
    with pytest.raises(UnknownCollection, match="not a published collection"):
        promptsearch.open(tmp_path, models=pictures.models)
    broken = tmp_path / "models" / "tiny"
    broken.mkdir(parents=True)
    (broken / "model.json").write_text("{}")
    with pytest.raises(ModelMismatch, match="schema version None"):
        promptsearch.open(pictures.collection, models=[tmp_path, tmp_path / "models"])


def test_hidden_items_are_not_found(pictures: Gallery, tmp_path: Path) -> None:
    collection = tmp_path / "gallery"
    shutil.copytree(pictures.collection, collection)
    with promptsearch.open(collection, models=pictures.models) as before:
        image, prompt = before.search_images("castle", limit=1)[0].id, before.search_prompts("fox", limit=1)[0].id
    hide(collection, [image, prompt])
    with promptsearch.open(collection, models=pictures.models) as after:
        assert image not in {result.id for result in after.search_images("castle", limit=200)}
        assert prompt not in {result.id for result in after.search_prompts("fox", limit=200)}
        for ask in (after.image, after.thumbnail, after.similar_images):
            with pytest.raises(UnknownItem):
                ask(image)


def test_cursor_belongs_to_a_version_and_a_query(
    searcher: promptsearch.Searcher, pictures: Gallery, tmp_path: Path
) -> None:
    first, other = searcher.search_images("fox", limit=2)
    page = searcher.similar_images(first.id, limit=2)
    with pytest.raises(CursorError, match="another search"):
        searcher.similar_images(other.id, cursor=page.next)
    assert searcher.similar_images(first.id, cursor=page.next, limit=2).results == searcher.next_page(page).results  # type: ignore[union-attr]
    collection = tmp_path / "gallery"
    gallery.build(pictures.files, searcher.encoders, collection)
    with promptsearch.open(collection, models=pictures.models) as rebuilt, pytest.raises(CursorGone):
        rebuilt.search_images(cursor=page.next)


def test_original_files_need_their_folder(searcher: promptsearch.Searcher, pictures: Gallery) -> None:
    result = searcher.search_images(FOX)[0]
    assert result.image.file is not None
    assert Path(result.image.file).read_bytes() == searcher.original(result.id)
    with promptsearch.open(pictures.collection, models=pictures.models) as without:
        assert without.image(result.id).image.file is None
        with pytest.raises(NoFile, match="files=DIR"):
            without.original(result.id)
    elsewhere = promptsearch.open(pictures.collection, models=pictures.models, files=pictures.models)
    with elsewhere, pytest.raises(NoFile, match="cannot be read"):
        elsewhere.original(result.id)


def test_a_hidden_picture_is_not_read_under_the_name_of_another(pictures: Gallery, tmp_path: Path) -> None:
    collection = Path(shutil.copytree(pictures.collection, tmp_path / "gallery"))
    files = Path(shutil.copytree(pictures.files, tmp_path / "files"))
    with promptsearch.open(collection, models=pictures.models, files=files) as opened:
        hidden, *others = opened.search_images(FOX, limit=5).results
        shown = next(other for other in others if opened.original(other.id) != opened.original(hidden.id))
    hide(collection, [hidden.id])
    with promptsearch.open(collection, models=pictures.models, files=files) as opened:
        assert opened.original(shown.id) == (files / shown.image.source).read_bytes()
        (files / hidden.image.source).replace(files / shown.image.source)
        with pytest.raises(NoFile, match=r"no longer holds the picture .*: build the collection again"):
            opened.original(shown.id)
