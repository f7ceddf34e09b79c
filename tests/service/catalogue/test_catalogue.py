"""Valid collections are served, others are refused with a one-line reason, and only a bad start ends the service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptsearch.errors import ParameterError, StartError, UnknownCollection
from service.catalogue.catalogue import Catalogue
from service.settings import Settings
from tests.service.support import several
from tests.support.vectors import build, random_vectors

Spoil = Callable[[Path], object]


@contextmanager
def opened(models: Path, *indices: Path, collection: str | None = None) -> Iterator[Catalogue]:
    catalogue = Catalogue.open(Settings(models=[models], indices=list(indices), collection=collection))
    yield catalogue
    catalogue.close()


@pytest.fixture
def copy(indices: Path, tmp_path: Path) -> Path:
    """Return an indices folder with `tiny`, and a copy of it, `spoilt`, for a test to spoil."""
    folder = tmp_path / "indices"
    shutil.copytree(indices / "tiny", folder / "tiny")
    shutil.copytree(indices / "tiny", folder / "spoilt")
    return folder


def file(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    """Return a function that changes a file of the version."""

    def spoil(collection: Path) -> None:
        [version] = (collection / "versions").iterdir()
        (version / name).write_bytes(change((version / name).read_bytes()))

    return spoil


def manifest(**fields: object) -> Spoil:
    return file("manifest.json", lambda old: json.dumps({**json.loads(old), **fields}).encode())


SPOILT: dict[str, tuple[Spoil, str]] = {
    "no current": (lambda folder: (folder / "current").unlink(), "has no file `current`"),
    "current empty": (lambda folder: (folder / "current").write_text(""), "names the version ''"),
    "current of nothing": (lambda folder: (folder / "current").write_text("1999\n"), "names the version '1999'"),
    "current that climbs": (lambda folder: (folder / "current").write_text("../.."), "which does not exist"),
    "no manifest": (lambda folder: next(folder.glob("versions/*/manifest.json")).unlink(), "has no manifest.json"),
    "manifest cut off": (file("manifest.json", lambda old: old[:100]), "manifest.json cannot be read"),
    "manifest empty": (file("manifest.json", lambda _: b""), "manifest.json cannot be read"),
    "manifest a list": (file("manifest.json", lambda _: b"[]"), "has schema version None"),
    "manifest of tomorrow": (manifest(schema_version=99), "has schema version 99, expected 2"),
    "manifest with a field more": (manifest(more=1), "is not a valid manifest"),
    "another model": (manifest(model={"name": "tiny", "identity": "0" * 64, "embedding_dim": 32}),
                      "was built with another model called tiny"),
    "no model": (manifest(model={"name": "big", "identity": "0" * 64, "embedding_dim": 32}),
                 "was built with the model big, which is not there"),
    "index cut off": (file("images.faiss", lambda old: old[:50]), "images.faiss is damaged"),
    "vectors cut off": (file("prompts.f16.npy", lambda old: old[:-64]), "prompts.f16.npy is damaged"),
    "items damaged": (file("items.sqlite", lambda old: b"no database" * 100), "items.sqlite is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_collection_is_refused_and_others_are_served(
    copy: Path, models: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    spoil, reason = SPOILT[how]
    spoil(copy / "spoilt")
    with opened(models, copy) as catalogue:
        assert list(catalogue.served) == ["tiny"]
        assert catalogue.default == "tiny"
        [(name, why)] = catalogue.refused.items()
        assert (name, reason in why, "\n" in why) == ("spoilt", True, False)
        assert caplog.messages == [f"collection spoilt is not served: {why}"]
        with pytest.raises(UnknownCollection, match=r"^collection spoilt is not served: "):
            catalogue["spoilt"]


def test_a_default_that_is_refused_ends_the_start(copy: Path, models: Path) -> None:
    SPOILT["manifest cut off"][0](copy / "spoilt")
    with pytest.raises(StartError, match=r"the default collection cannot be served: .*manifest\.json cannot be read"):
        Catalogue.open(Settings(models=[models], indices=[copy], collection="spoilt"))
    with opened(models, copy, collection="tiny") as catalogue:
        assert catalogue.default == "tiny"


def test_start_fails_if_the_default_does_not_exist(copy: Path, models: Path) -> None:
    with pytest.raises(StartError, match=r"--collection must name a served collection \(spoilt, tiny\), got 'other'"):
        Catalogue.open(Settings(models=[models], indices=[copy], collection="other"))


@pytest.mark.parametrize("folder", [".", "missing"])
def test_start_fails_without_collections(models: Path, tmp_path: Path, folder: str) -> None:
    with pytest.raises(StartError, match=r"no collection to serve in .*: build one with `python -m builder"):
        Catalogue.open(Settings(models=[models], indices=[tmp_path / folder]))


def test_all_refused_ends_the_start_with_the_reasons(indices: Path, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="collection tiny was built with the model tiny, which is not there"):
        Catalogue.open(Settings(models=[tmp_path], indices=[indices]))


def test_the_default_may_be_one_of_several(copy: Path, models: Path) -> None:
    with opened(models, copy, collection="spoilt") as catalogue:
        assert catalogue[None] is catalogue["spoilt"]
    with opened(models, copy) as catalogue, pytest.raises(ParameterError, match=r"\(spoilt, tiny\)"):
        catalogue[None]


def test_collections_of_one_model_share_its_encoders(copy: Path, models: Path) -> None:
    with opened(models, copy) as catalogue:
        assert catalogue["tiny"].encoders is catalogue["spoilt"].encoders


def test_the_first_folder_takes_precedence(
    indices: Path, copy: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(models, indices, copy) as catalogue:
        assert set(catalogue.served) == {"tiny", "spoilt"}
        assert catalogue["tiny"].collection.folder.is_relative_to(indices)
    assert caplog.messages == [f"{copy / 'tiny'} is ignored: another collection of that name is served"]


def test_a_collection_refused_in_one_folder_is_served_from_another(indices: Path, copy: Path, models: Path) -> None:
    SPOILT["no manifest"][0](copy / "tiny")
    with opened(models, copy, indices, collection="tiny") as catalogue:
        assert set(catalogue.refused) == {"tiny"}
        assert catalogue[None].collection.folder.is_relative_to(indices)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.json", b"{", "model tiny is not loaded: "),
        ("text.onnx", b"no model", "collection tiny is not served: "),
        ("tokenizer.json", b"{}", "collection tiny is not served: "),
    ],
)
def test_a_damaged_model_is_logged_in_one_line_and_its_collections_are_refused(
    indices: Path,
    models: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    content: bytes,
    reason: str,
) -> None:
    shutil.copytree(models, tmp_path / "models")
    (tmp_path / "models" / "tiny" / name).write_bytes(content)
    with pytest.raises(StartError, match="no collection to serve") as caught:
        Catalogue.open(Settings(models=[tmp_path / "models"], indices=[indices]))
    for line in (str(caught.value), *caplog.messages):
        assert "\n" not in line
    assert caplog.messages[0].startswith(reason)


def test_a_precision_that_a_model_lacks_refuses_its_collections(indices: Path, models: Path) -> None:
    with pytest.raises(StartError, match="model tiny has no int8 encoders, only fp32; export them with --precision"):
        Catalogue.open(Settings(models=[models], indices=[indices], precision="int8"))


def test_unfinished_collections_are_ignored(several_indices: Path, models: Path) -> None:
    """The indices folder also has a folder whose first version is still being built, and a file."""
    with opened(models, several_indices) as catalogue:
        assert set(catalogue.served) == several.SERVED
        assert set(catalogue.refused) == set(several.REFUSED)
        with pytest.raises(UnknownCollection, match=r"^unknown collection 'building': expected one of many, "):
            catalogue["building"]


def test_vectors_of_another_length_are_refused(models: Path, copy: Path) -> None:
    shutil.rmtree(copy / "spoilt")
    spoilt = build(copy / "spoilt", random_vectors(5, 16), None)
    [version] = (copy / "tiny" / "versions").iterdir()
    reference = json.loads((version / "manifest.json").read_bytes())["model"]
    manifest(model=reference)(spoilt)
    with opened(models, copy) as catalogue:
        assert "has the shape (5, 16), the manifest expects (5, 32)" in catalogue.refused["spoilt"]
