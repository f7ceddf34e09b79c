"""Files that change under a service, or before it starts: the answer is right or refused, never another one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from promptsearch.encoding.bundle import FILES as BUNDLE_FILES
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import CollectionError, DamagedCollection, StartError
from promptsearch.storage.manifest import FILES, Manifest, current_version
from promptsearch.system.checksums import Checksums
from promptsearch.system.files import replace_text, sha256_of
from service.catalogue.catalogue import Catalogue
from service.catalogue.verification import Verification
from service.settings import Settings
from tests.service.support.load import wait_for
from tests.service.support.serving import Service, failing, serving
from tests.service.support.shapes import check_answer, check_problem


def overwrite(path: Path, seed: int = 0, count: int = 64) -> None:
    """Change bytes in the middle of a file, in place."""
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    old = bytes(content[place : place + count])
    content[place : place + count] = np.random.default_rng(seed).bytes(len(old))
    path.write_bytes(content)


@pytest.fixture
def folder(indices: Path, tmp_path: Path) -> Path:
    """Return a copy of the collection with two versions, both whole; the older is called `0`."""
    collection = Path(shutil.copytree(indices / "tiny", tmp_path / "indices" / "tiny"))
    older = Path(shutil.copytree(current_version(collection), collection / "versions" / "0"))
    manifest = Manifest.read(older)
    replace_text(older / FILES.manifest, (older / FILES.manifest).read_text().replace(manifest.version, "0"))
    return collection


@pytest.fixture
def model(models: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle."""
    return Path(shutil.copytree(models / "tiny", tmp_path / "models" / "tiny"))


def flags(folder: Path, models: Path, tmp_path: Path) -> list[str]:
    return ["--indices", str(folder.parent), "--models", str(models), "--cache", str(tmp_path / "cache")]


def opened(folder: Path, models: Path, tmp_path: Path) -> Catalogue:
    return Catalogue.open(Settings(models=[models], indices=[folder.parent], cache=tmp_path / "cache"))


def test_damage_anywhere_in_a_version_is_found_and_the_version_before_is_served(
    folder: Path, models: Path, tmp_path: Path
) -> None:
    version = current_version(folder)
    names = sorted(Manifest.read(version).files)
    assert len(names) > 8
    for name in names:
        whole = (version / name).read_bytes()
        if not whole:
            continue
        overwrite(version / name)
        catalogue = opened(folder, models, tmp_path)
        assert catalogue.served["tiny"].collection.version == "0"
        assert f"{name} is damaged" in catalogue.problems["tiny"]
        catalogue.close()
        (version / name).write_bytes(whole)
    catalogue = opened(folder, models, tmp_path)
    assert catalogue.served["tiny"].collection.version == version.name
    assert catalogue.problems == {}
    catalogue.close()


def test_start_fails_without_an_undamaged_version(folder: Path, models: Path, tmp_path: Path) -> None:
    overwrite(current_version(folder) / FILES.items)
    overwrite(folder / "versions" / "0" / FILES.vectors("images"))
    with pytest.raises(StartError, match=r"items\.sqlite is damaged"):
        opened(folder, models, tmp_path)


def test_an_unchanged_file_is_read_once(folder: Path, models: Path, tmp_path: Path) -> None:
    opened(folder, models, tmp_path).close()
    checksums = Checksums(tmp_path / "cache")
    version = current_version(folder)
    for name in Manifest.read(version).files:
        assert checksums.is_known(version / name)
    bundle = Bundle.open(models / "tiny")
    assert all(checksums.is_known(bundle.path(name)) for name in bundle.files)


def test_large_versions_are_verified_while_they_are_served(folder: Path, tmp_path: Path) -> None:
    version = current_version(folder)
    overwrite(version / FILES.items)
    verification = Verification(tmp_path / "cache", at_once=0)
    verification.require_whole(version, Manifest.read(version))
    wait_for(lambda: not verification.verifying, "verify it")
    assert verification.is_damaged(version)
    with pytest.raises(DamagedCollection, match=r"items\.sqlite is damaged"):
        verification.require_whole(version, Manifest.read(version))
    verification.forget_damage()
    verification.require_whole(folder / "versions" / "0", Manifest.read(folder / "versions" / "0"))
    wait_for(lambda: not verification.verifying, "verify the other")
    assert not verification.is_damaged(folder / "versions" / "0")


@pytest.fixture
def running(folder: Path, models: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, flags(folder, models, tmp_path)) as service:
        yield service
        assert service.end() == 0
        assert not [line for line in service.errors() if "traceback" in line]


def status(service: Service) -> str:
    found: str = service.get("/readyz").json()["status"]
    return found


def damage_thumbnails(version: Path) -> None:
    """Write zeros over all pages but the first, in place: the file is open, and most of it was not read yet."""
    path = version / FILES.thumbnails
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(size - 4096))


def meet_damage(service: Service, ids: list[str]) -> None:
    """Ask for thumbnails until one cannot be read."""
    for id in ids:
        response = service.get(f"/images/{id}/thumbnail")
        if response.status_code == 503:
            check_problem(response, 503, "damaged-collection")
            return
    raise AssertionError("the damage was not met")


def test_damage_met_while_serving_is_a_503_and_the_version_before_takes_over(running: Service, folder: Path) -> None:
    answer = check_answer(running.get("/search/images", q="fox"), "images")
    ids = [result["id"] for result in answer["results"]]
    assert status(running) == "ready"
    damage_thumbnails(current_version(folder))
    meet_damage(running, ids)
    wait_for(lambda: running.get("/collections/tiny").json()["version"] == "0", "fall back")
    assert status(running) == "degraded"
    again = check_answer(running.get("/search/images", q="fox"), "images")
    assert [result["id"] for result in again["results"]] == ids
    assert running.get(f"/images/{ids[0]}/thumbnail").status_code == 200


def test_without_another_version_requests_are_refused(running: Service, folder: Path) -> None:
    answer = check_answer(running.get("/search/images", q="fox"), "images")
    shutil.rmtree(folder / "versions" / "0")
    damage_thumbnails(current_version(folder))
    meet_damage(running, [result["id"] for result in answer["results"]])
    wait_for(lambda: running.get("/search/images", q="fox").status_code == 503, "refuse it")
    detail = check_problem(running.get("/search/images", q="fox"), 503, "damaged-collection")
    assert "collection tiny is not served any more" in detail
    assert running.get("/healthz").status_code == 200


@pytest.mark.parametrize("rows", [slice(None), slice(0, 1)])
def test_vectors_that_are_none_are_not_served(folder: Path, models: Path, tmp_path: Path, rows: slice) -> None:
    """Their checksums are right: a damaged model computed them."""
    version = current_version(folder)
    vectors = np.load(version / FILES.vectors("images"))
    vectors[rows] = np.nan
    np.save(version / FILES.vectors("images"), vectors)
    Manifest.read(version).with_checksums(version).write(version)
    catalogue = opened(folder, models, tmp_path)
    assert catalogue.served["tiny"].collection.version == "0"
    assert "has vectors that are not finite or of unit length" in catalogue.problems["tiny"]
    catalogue.close()


def test_a_damaged_model_is_not_loaded(folder: Path, model: Path, tmp_path: Path) -> None:
    overwrite(model / BUNDLE_FILES.image)
    done = failing(flags(folder, model.parent, tmp_path))
    assert done.returncode == 1
    assert "image.onnx is damaged: its SHA-256 is not the recorded one" in done.stderr
    assert "Traceback" not in done.stderr


def record(model: Path) -> None:
    """Write the checksums of the files as they are now: what follows is no damage but a wrong model."""
    description = json.loads((model / BUNDLE_FILES.model).read_text())
    description["files"] = {name: sha256_of(model / name) for name in description["files"]}
    (model / BUNDLE_FILES.model).write_text(json.dumps(description))


def test_a_model_whose_towers_are_swapped_is_refused_in_one_line(folder: Path, model: Path, tmp_path: Path) -> None:
    text, image = (model / BUNDLE_FILES.text).read_bytes(), (model / BUNDLE_FILES.image).read_bytes()
    (model / BUNDLE_FILES.text).write_bytes(image)
    (model / BUNDLE_FILES.image).write_bytes(text)
    record(model)
    done = failing(flags(folder, model.parent, tmp_path))
    assert done.returncode == 1
    assert "takes pixels, expected tokens: the files of the two encoders may be swapped" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_of_another_size_is_refused_in_one_line(folder: Path, model: Path, tmp_path: Path) -> None:
    description = json.loads((model / BUNDLE_FILES.model).read_text())
    description["embedding_dim"] = 16
    (model / BUNDLE_FILES.model).write_text(json.dumps(description))
    done = failing(flags(folder, model.parent, tmp_path))
    assert done.returncode == 1
    assert "model.json says [16]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_manifest_that_cannot_be_compared_is_an_error(folder: Path, tmp_path: Path) -> None:
    version = current_version(folder)
    (version / FILES.items).unlink()
    with pytest.raises(CollectionError, match=r"items\.sqlite is missing"):
        Verification(tmp_path).require_whole(version, Manifest.read(version))


def test_a_model_that_computes_no_numbers_is_found_at_the_start(folder: Path, model: Path, tmp_path: Path) -> None:
    """Weights of the image encoder are NaN: texts are still encoded."""
    image = model / BUNDLE_FILES.image
    content = bytearray(image.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 512] = b"\x7e" * 512
    image.write_bytes(content)
    record(model)
    done = failing(flags(folder, model.parent, tmp_path))
    assert done.returncode == 1
    assert "returned a vector that is not finite or zero" in done.stderr
    assert "Traceback" not in done.stderr
