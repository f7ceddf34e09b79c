"""A service whose collections and models are in an object store: its downloads, and what works without them."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.versions.upload import upload_collection, upload_model
from promptsearch.remote.store import Store
from promptsearch.storage.manifest import Manifest, current_version
from promptsearch.system.files import replace_text
from tests.service.support.load import counter, wait_for
from tests.service.support.serving import Service, failing, serving
from tests.service.support.shapes import check_answer
from tests.support.object_store import ObjectStore
from tests.support.workspace import free_port

pytestmark = pytest.mark.slow

LATER = "30000101T000000.000000Z"


@pytest.fixture
def local(indices: Path, models: Path, store: ObjectStore, tmp_path: Path) -> Path:
    """Return a copy of `tiny`; the store has it and the model."""
    local = Path(shutil.copytree(indices / "tiny", tmp_path / "local" / "tiny"))
    upload(local, store)
    upload_model(models / "tiny", Store(f"{store.url}/models"))
    store.requests.clear()
    return local


@pytest.fixture
def flags(store: ObjectStore, tmp_path: Path) -> Sequence[str]:
    return ("--indices", f"{store.url}/indices", "--models", f"{store.url}/models", "--cache", str(tmp_path / "cache"))


def upload(local: Path, store: ObjectStore) -> None:
    upload_collection(local, Store(f"{store.url}/indices"))


def publish(local: Path, version: str) -> None:
    folder = Path(shutil.copytree(current_version(local), local / "versions" / version))
    replace(Manifest.read(folder), version=version).write(folder)
    replace_text(local / "current", version + "\n")


def search(service: Service, **parameters: str | int) -> dict[str, Any]:
    return check_answer(service.get("/search/images", q="fox", **parameters), "images")


def without_addresses(answer: dict[str, Any]) -> list[Any]:
    return [{**result, "image": {**result["image"], "file": None, "thumbnail": None}} for result in answer["results"]]


def large(keys: Sequence[str]) -> list[str]:
    """Return the keys without those of objects that name others, which are read again at each start."""
    return [key for key in keys if key.rpartition("/")[2] not in ("current", "hidden", "manifest.json", "model.json")]


def test_answers_equal_those_from_a_folder_and_follow_uploads(
    local: Path, store: ObjectStore, flags: Sequence[str], server: Service, tmp_path: Path
) -> None:
    files = large(sorted(key for key in store.objects() if "LICENSES" not in key))
    with serving(tmp_path, flags) as service:
        assert sorted(large(store.sent())) == files
        first = search(service)
        assert without_addresses(first) == without_addresses(search(server))
        assert service.get("/readyz").json() == {"status": "ready", "problems": {}}
        page = search(service, limit=1)
        publish(local, LATER)
        upload(local, store)
        service.process.send_signal(signal.SIGHUP)  # sooner than by itself
        wait_for(lambda: search(service)["version"] == LATER, "serve the new version")
        following = check_answer(service.get("/search/images", cursor=page["next"], limit=1), "images")
        assert following["version"] == first["version"]
        gone = first["results"][0]["id"]
        store.write("indices/tiny/hidden", f"{gone}\n".encode())
        wait_for(lambda: service.get(f"/images/{gone}").status_code == 404, "hide it")
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        assert {line["level"] for line in service.errors()} == {"INFO"}
    store.requests.clear()
    with serving(tmp_path, flags) as again:
        assert search(again)["version"] == LATER
        assert large(store.sent()) == []
        assert again.end() == 0


def test_a_damaged_object_is_named_and_the_old_version_is_served_until_it_is_mended(
    local: Path, store: ObjectStore, flags: Sequence[str], tmp_path: Path
) -> None:
    with serving(tmp_path, flags) as service:
        first = search(service)
        publish(local, LATER)
        key = f"indices/tiny/versions/{LATER}"
        for path in current_version(local).iterdir():
            store.write(f"{key}/{path.name}", b"x" if path.name == "images.faiss" else path.read_bytes())
        store.write("indices/tiny/current", LATER.encode())
        wait_for(lambda: service.get("/readyz").json()["status"] == "degraded", "notice it")
        [problem] = service.get("/readyz").json()["problems"].values()
        assert problem.startswith(f"{store.url}/{key}/images.faiss is damaged: expected SHA-256 ")
        assert ", found 2d711642" in problem
        assert service.get("/collections").json()["outdated"] == {"tiny": problem}
        assert search(service) | {"took_ms": 0} == first | {"took_ms": 0}
        assert counter(service, "prompt_search_reload_failures_total", collection="tiny") == 1
        store.requests.clear()
        # What a look at the store leads to has begun by the time of the next: nothing is fetched again.
        wait_for(lambda: sum("prefix=indices/&" in line for line in store.requests) >= 2, "look at the store twice")
        assert large(store.sent()) == []
        [line] = [line for line in service.errors() if line["level"] == "ERROR"]
        assert line["message"] == f"collection tiny stays at version {first['version']}: {problem}"
        upload(local, store)
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: search(service)["version"] == LATER, "serve what was mended")
        assert f"{key}/images.faiss" in store.sent()
        assert f"{key}/field-0.npy" not in store.sent()  # it was fetched before the one that is damaged
        wait_for(lambda: service.get("/readyz").json()["status"] == "ready", "be content again")


def test_a_store_that_cannot_be_reached(
    local: Path, store: ObjectStore, flags: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with serving(tmp_path, flags) as service:
        first = search(service)
        store.break_down()
        wait_for(lambda: service.get("/readyz").json()["status"] == "degraded", "notice it")
        [problem] = service.get("/readyz").json()["problems"].values()
        assert problem.startswith(f"{store.url}/indices cannot be reached: ")
        assert search(service) | {"took_ms": 0} == first | {"took_ms": 0}
        store.mend()
        wait_for(lambda: service.get("/readyz").json()["status"] == "ready", "be content again")
        assert len([line for line in service.errors() if line["level"] == "ERROR"]) == 1
        assert service.end() == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    done = failing(flags)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {store.url}/indices cannot be reached: Could not connect")
    assert done.stderr.count("\n") == 1


def test_several_that_start_at_once_on_one_cache(
    local: Path, store: ObjectStore, flags: Sequence[str], tmp_path: Path
) -> None:
    files = large(sorted(key for key in store.objects() if "LICENSES" not in key))
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        begun = []
        for workers in "12":
            folder = tmp_path / workers
            folder.mkdir()
            begun.append(pool.submit(stack.enter_context, serving(folder, [*flags, "--workers", workers])))
        first, other = (search(started.result()) | {"took_ms": 0} for started in begun)
        assert first == other
        assert sorted(large(store.sent())) == files


def test_a_folder_of_collections_with_models_of_a_store(
    local: Path, store: ObjectStore, flags: Sequence[str], tmp_path: Path
) -> None:
    good = store.read("models/tiny/text.onnx")
    shutil.copytree(local, local.parent / "other")
    mixed = ["--indices", str(local.parent), *flags[2:]]
    with serving(tmp_path, mixed) as service:
        assert len(search(service, collection="tiny")["results"]) == 3
    assert not [key for key in store.sent() if key.startswith("indices/")]
    shutil.rmtree(tmp_path / "cache")
    store.write("models/tiny/text.onnx", good[:-1])
    done = failing(mixed)
    assert done.returncode == 1
    assert f"{store.url}/models/tiny/text.onnx is damaged" in done.stderr
