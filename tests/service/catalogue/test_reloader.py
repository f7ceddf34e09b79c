"""Changes on disk under a running service: new and damaged versions, takedowns, new and deleted collections."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from builder.versions.hide import hide
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown
from promptsearch.storage.manifest import FILES, Manifest, current_version
from promptsearch.system.files import replace_text
from tests.service.support.load import counter, under_load, wait_for
from tests.service.support.serving import Service, serving
from tests.service.support.shapes import check_answer, check_problem


@pytest.fixture
def folder(indices: Path, tmp_path: Path) -> Path:
    """Return an indices folder with a copy of `tiny`."""
    shutil.copytree(indices / "tiny", tmp_path / "indices" / "tiny")
    return tmp_path / "indices"


@pytest.fixture
def running(folder: Path, models: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, ["--indices", str(folder), "--models", str(models)]) as service:
        yield service
        assert service.end() == 0
        assert not [line for line in service.errors() if "traceback" in line]


def publish(collection: Path, version: str, digests: NDArray[np.uint8] | None = None, **changes: object) -> Path:
    """Publish a copy of the current version with these changes of its manifest and digests; return its folder."""
    now = current_version(collection)
    folder = Path(shutil.copytree(now, collection / "versions" / version))
    if digests is not None:
        np.save(folder / FILES.digests, digests)
    replace(Manifest.read(folder).with_checksums(folder), version=version, **changes).write(folder)  # type: ignore[arg-type]
    replace_text(collection / "current", version + "\n")
    return folder


def served(service: Service, name: str = "tiny") -> str:
    version: str = service.get(f"/collections/{name}").json()["version"]
    return version


def without_thumbnails(results: list[Any]) -> list[Any]:
    """Return an answer without the addresses that name the version."""
    return [{**result, "image": {**result["image"], "thumbnail": None}} for result in results]


def test_a_new_version_is_served_and_the_old_ones_cursors_go_on(running: Service, folder: Path) -> None:
    first = check_answer(running.get("/search/images", q="fox", limit=1), "images")
    [result] = first["results"]
    similar = check_answer(running.get(f"/images/{result['id']}/similar", limit=1), "images")
    publish(folder / "tiny", "second")
    wait_for(lambda: served(running) == "second", "serve the new version")
    again = check_answer(running.get("/search/images", q="fox", limit=1), "images")
    assert (again["version"], without_thumbnails(again["results"])) == (
        "second",
        without_thumbnails(first["results"]),
    )
    assert again["results"][0]["image"]["thumbnail"].endswith("?version=second")
    for path, cursor in (("/search/images", first["next"]), (f"/images/{result['id']}/similar", similar["next"])):
        following = check_answer(running.get(path, cursor=cursor, limit=1), "images")
        assert following["version"] == first["version"]
    assert running.get("/readyz").json() == {"status": "ready", "problems": {}}
    assert counter(running, "prompt_search_version_info", collection="tiny", version="second") == 1
    assert counter(running, "prompt_search_version_info", collection="tiny", version=first["version"]) == 0
    # The one before the one before is closed.
    publish(folder / "tiny", "third")
    wait_for(lambda: served(running) == "third", "serve the third version")
    check_problem(running.get("/search/images", cursor=first["next"]), 410, "cursor-gone")


def truncated_index(version: Path) -> None:
    index = version / "images.faiss"
    index.write_bytes(index.read_bytes()[:-40])


def truncated_vectors(version: Path) -> None:
    vectors = version / "prompts.f16.npy"
    vectors.write_bytes(vectors.read_bytes()[:-2])


def without_store(version: Path) -> None:
    (version / "items.sqlite").unlink()


def another_model(version: Path) -> None:
    manifest = Manifest.read(version)
    replace(manifest, model=replace(manifest.model, identity="0" * 64)).write(version)


def another_dimension(version: Path) -> None:
    manifest = Manifest.read(version)
    replace(manifest, model=replace(manifest.model, embedding_dim=16)).write(version)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncated_index, "images.faiss is damaged"),
        (truncated_vectors, "prompts.f16.npy is damaged"),
        (without_store, "items.sqlite is missing"),
        (another_model, "was built with another model"),
        (another_dimension, "the manifest expects (3, 16)"),
        (shutil.rmtree, "which does not exist"),
    ],
)
def test_a_bad_version_is_refused_and_the_old_one_stays(
    running: Service, folder: Path, spoil: object, reason: str
) -> None:
    old = served(running)
    good = check_answer(running.get("/search/images", q="fox"), "images")
    bad = Path(shutil.copytree(current_version(folder / "tiny"), folder / "tiny" / "versions" / "bad"))
    spoil(bad)  # type: ignore[operator]
    replace_text(folder / "tiny" / "current", "bad\n")
    wait_for(lambda: running.get("/readyz").json()["status"] == "degraded", "notice the bad version")
    ready = running.get("/readyz")
    assert ready.status_code == 200
    assert reason in ready.json()["problems"]["tiny"]
    assert running.get("/collections").json()["outdated"] == ready.json()["problems"]
    assert served(running) == old
    assert check_answer(running.get("/search/images", q="fox"), "images")["results"] == good["results"]
    assert counter(running, "prompt_search_reload_failures_total", collection="tiny") == 1
    # Another look at the disk, which finds a further collection, logs nothing twice.
    replace_text(Path(shutil.copytree(folder / "tiny", folder.parent / "other")) / "current", old + "\n")
    (folder.parent / "other").rename(folder / "other")
    wait_for(lambda: len(running.get("/collections").json()["collections"]) == 2, "look again")
    [line] = running.errors()
    assert line["message"].startswith(f"collection tiny stays at version {old}: ")
    replace_text(folder / "tiny" / "current", old + "\n")
    wait_for(lambda: running.get("/readyz").json()["status"] == "ready", "be content again")


def test_sighup_retries_refused_versions(running: Service, folder: Path) -> None:
    version = publish(folder / "tiny", "mended")
    wait_for(lambda: served(running) == "mended", "serve the new version")
    bad = publish(folder / "tiny", "bad")
    store = (bad / "items.sqlite").read_bytes()
    (bad / "items.sqlite").unlink()
    shutil.copytree(version, folder / "tiny" / "versions" / "other")
    wait_for(lambda: running.get("/readyz").json()["status"] == "degraded" or served(running) == "bad", "look")
    (bad / "items.sqlite").write_bytes(store)
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: served(running) == "bad", "try again")
    assert running.get("/readyz").json()["status"] == "ready"


def test_a_takedown_follows_its_picture_into_the_next_version(running: Service, folder: Path) -> None:
    page = check_answer(running.get("/search/images", q="fox", limit=1), "images")
    first, second, _ = (result["id"] for result in running.get("/search/images", q="fox", limit=3).json()["results"])
    opened = Collection(current_version(folder / "tiny"))
    pictures, rows = opened.pictures.digests([first, second]), opened.items.rows("images", [first, second])
    opened.close()
    replace_text(folder / "tiny" / "hidden", f"{Takedown(second, pictures[second])}\n")
    wait_for(lambda: running.get(f"/images/{second}").status_code == 404, "hide it")
    # Their files change names.
    digests = np.load(current_version(folder / "tiny") / FILES.digests)
    digests[rows] = digests[rows[::-1]]
    version = publish(folder / "tiny", "second", digests=digests)
    wait_for(lambda: served(running) == version.name, "serve the new version")
    for path in ("", "/similar", "/thumbnail", "/file"):
        check_problem(running.get(f"/images/{first}{path}"), 404, "unknown-id")
    results = check_answer(running.get("/search/images", q="fox", limit=3), "images")["results"]
    assert results[0]["id"] == second
    assert first not in [result["id"] for result in results]
    # In the version before, which a cursor still reaches, it is the other one.
    following = check_answer(running.get("/search/images", cursor=page["next"], limit=3), "images")
    assert following["version"] != version.name
    assert second not in [result["id"] for result in following["results"]]


def test_a_hidden_picture_is_not_served_under_the_name_of_another(
    folder: Path, models: Path, source_folder: Path, tmp_path: Path
) -> None:
    files = Path(shutil.copytree(source_folder, tmp_path / "files"))
    flags = ["--indices", str(folder), "--models", str(models), "--files", f"tiny={files}"]
    with serving(tmp_path, flags) as service:
        found = check_answer(service.get("/search/images", q="fox", limit=2), "images")["results"]
        (hidden, hidden_file), (shown, shown_file) = (
            (result["id"], files / result["image"]["source"]) for result in found
        )
        original = shown_file.read_bytes()
        shutil.copy(hidden_file, tmp_path / "kept")
        hidden_file.replace(shown_file)
        assert service.get(f"/images/{shown}/file").content == (tmp_path / "kept").read_bytes()
        hide(folder / "tiny", [hidden])
        wait_for(lambda: service.get(f"/images/{hidden}").status_code == 404, "hide it")
        etag = {"If-None-Match": service.get(f"/images/{shown}/thumbnail").headers["etag"]}
        for headers in ({}, {"Range": "bytes=0-9"}, etag):
            response = httpx.get(f"{service.url}/images/{shown}/file", headers=headers)
            assert "no longer holds the picture" in check_problem(response, 404, "no-file")
        shown_file.write_bytes(original)
        assert service.get(f"/images/{shown}/file").content == original
        assert service.end() == 0


def test_takedowns_apply_at_once(running: Service, folder: Path) -> None:
    before = check_answer(running.get("/search/images", q="fox", limit=3), "images")["results"]
    prompts = check_answer(running.get("/search/prompts", q="fox", limit=4), "prompts")["results"]
    page = check_answer(running.get("/search/images", q="fox", limit=1), "images")
    gone, kept, last = (result["id"] for result in before)
    replace_text(folder / "tiny" / "hidden", f"# asked for\n{gone}\n{prompts[0]['id']}\n")
    wait_for(lambda: running.get(f"/images/{gone}").status_code == 404, "hide it")
    for path in ("", "/similar", "/thumbnail", "/file"):
        check_problem(running.get(f"/images/{gone}{path}"), 404, "unknown-id")
    check_problem(running.get(f"/prompts/{prompts[0]['id']}"), 404, "unknown-id")
    after = check_answer(running.get("/search/images", q="fox", limit=3), "images")["results"]
    assert [result["id"] for result in after] == [kept, last]
    assert [result["id"] for result in running.get("/search/prompts", q="fox").json()["results"]] == [
        result["id"] for result in prompts[1:]
    ]
    # A cursor from before skips nothing and repeats nothing.
    assert [result["id"] for result in running.get("/search/images", cursor=page["next"]).json()["results"]] == [
        kept,
        last,
    ]
    assert gone not in running.get(f"/images/{kept}/similar").text
    publish(folder / "tiny", "second")
    wait_for(lambda: served(running) == "second", "serve the new version")
    check_problem(running.get(f"/images/{gone}"), 404, "unknown-id")
    (folder / "tiny" / "hidden").unlink()
    wait_for(lambda: running.get(f"/images/{gone}").status_code == 200, "show it again")
    again = check_answer(running.get("/search/images", q="fox", limit=3), "images")["results"]
    assert without_thumbnails(again) == without_thumbnails(before)


def test_new_collections_are_served(running: Service, folder: Path) -> None:
    shutil.copytree(folder / "tiny", folder.parent / "other")
    (folder.parent / "other").rename(folder / "other")
    wait_for(lambda: running.get("/collections/other").status_code == 200, "serve the new collection")
    answer = check_answer(running.get("/search/images", q="fox", collection="other"), "images")
    assert answer["results"][0]["image"]["thumbnail"].endswith(f"?collection=other&version={answer['version']}")
    assert check_answer(running.get("/search/images", q="fox"), "images")["collection"] == "tiny"


def test_a_version_that_is_deleted_is_served_on(running: Service, folder: Path) -> None:
    before = check_answer(running.get("/search/images", q="fox"), "images")["results"]
    shutil.rmtree(folder / "tiny" / "versions")
    for text in ("fox", "another", "and one more"):
        check_answer(running.get("/search/images", q=text), "images")
        check_answer(running.get("/search/prompts", q=text), "prompts")
    assert httpx.get(running.url + before[0]["image"]["thumbnail"]).status_code == 200
    shutil.rmtree(folder / "tiny")
    wait_for(lambda: running.get("/readyz").json()["status"] == "degraded", "notice")
    assert check_answer(running.get("/search/images", q="fox"), "images")["results"] == before


@pytest.mark.slow
def test_no_request_fails_while_versions_change(running: Service, folder: Path) -> None:
    texts = [f"text {number}" for number in range(50)]
    with under_load(f"{running.url}/search/images", 4, lambda number: {"q": texts[number % 50]}) as load:
        for number in range(200):
            publish(folder / "tiny", f"version-{number}")
            running.process.send_signal(signal.SIGHUP)
            if number >= 3:
                shutil.rmtree(folder / "tiny" / "versions" / f"version-{number - 3}")
            time.sleep(0.02)  # about as fast as they can be served
            if number % 16 == 0:
                wait_for(lambda wanted=f"version-{number}": wanted in load.versions, "serve a new version")  # type: ignore[misc]
        wait_for(lambda: served(running) == "version-199", "serve the last version")
    assert set(load.statuses) == {200}
    assert (load.broken, load.refused) == ([], 0)
    assert len(load.versions) > 10
    descriptors = Path(f"/proc/{running.process.pid}/fd")
    assert len([path for path in descriptors.iterdir() if "items.sqlite" in str(path.resolve())]) <= 4
