"""`promptsearch.open`: a collection searched in this process. What it answers is compared in test_same_answers.py."""

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
    ParameterError,
    UnknownCollection,
    UnknownItem,
)
from tests.promptsearch.conftest import Gallery
from tests.service.support.serving import ROOT
from tests.support import gallery

FOX = "a red fox in the snow"


def python(code: str, *arguments: str) -> str:
    """What the code, run by itself, prints."""
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
    found, loaded = python(code, str(pictures.collection), str(pictures.models)).splitlines()
    assert found == "True"
    unwanted = {"torch", "torchvision", "fastapi", "starlette", "pydantic", "autofaiss", "onnx", "pandas", "httpx"}
    assert unwanted.isdisjoint(loaded.split())


def test_names_are_those_that_are_there() -> None:
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
        assert image not in {found.id for found in after.search_images("castle", limit=200)}
        assert prompt not in {found.id for found in after.search_prompts("fox", limit=200)}
        for ask in (after.image, after.thumbnail, after.similar_images):
            with pytest.raises(UnknownItem):
                ask(image)


def test_cursor_belongs_to_a_version_and_a_query(
    searcher: promptsearch.Searcher, pictures: Gallery, tmp_path: Path
) -> None:
    one, other = searcher.search_images("fox", limit=2)
    page = searcher.similar_images(one.id, limit=2)
    with pytest.raises(CursorError, match="another search"):
        searcher.similar_images(other.id, cursor=page.next)
    assert searcher.similar_images(one.id, cursor=page.next, limit=2).results == searcher.next_page(page).results  # type: ignore[union-attr]
    collection = tmp_path / "gallery"
    gallery.build(pictures.files, searcher.encoders, collection)
    with promptsearch.open(collection, models=pictures.models) as rebuilt, pytest.raises(CursorGone):
        rebuilt.search_images(cursor=page.next)


def test_original_files_need_their_folder(searcher: promptsearch.Searcher, pictures: Gallery) -> None:
    found = searcher.search_images(FOX)[0]
    assert found.image.file is not None
    assert Path(found.image.file).read_bytes() == searcher.original(found.id)
    with promptsearch.open(pictures.collection, models=pictures.models) as without:
        assert without.image(found.id).image.file is None
        with pytest.raises(NoFile, match="files=DIR"):
            without.original(found.id)
    elsewhere = promptsearch.open(pictures.collection, models=pictures.models, files=pictures.models)
    with elsewhere, pytest.raises(NoFile, match="cannot be read"):
        elsewhere.original(found.id)


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
        with pytest.raises(NoFile, match="holds another picture since: build the collection again"):
            opened.original(shown.id)


def test_invalid_arguments_are_errors(searcher: promptsearch.Searcher, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"unknown argument 'count': expected q, image, .*limit, cursor"):
        searcher.search_images("fox", count=5)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="limit must be from 1 to 10,000, got 10,001"):
        searcher.search_images("fox", limit=10_001)
    with pytest.raises(promptsearch.errors.PictureError, match=r"cat\.png cannot be read"):
        searcher.search_images(image=tmp_path / "cat.png")
    with pytest.raises(promptsearch.errors.PictureError, match="got int"):
        searcher.search_images(image=7)  # type: ignore[arg-type]


def test_k_is_an_alias_of_limit(searcher: promptsearch.Searcher) -> None:
    expected = searcher.search_images("fox", limit=3)
    with pytest.warns(DeprecationWarning, match="'k' is now called 'limit'") as caught:
        page = searcher.search_images("fox", k=3)
    assert page.results == expected.results
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(DeprecationWarning, match=r"Page\.limit"):
        assert page.k == page.limit == 3
    with pytest.raises(TypeError, match="'k' is the old name of 'limit'"):
        searcher.search_images("fox", k=3, limit=3)
