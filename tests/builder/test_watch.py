"""Builds that follow a folder: after each change, the served version is that of a build from scratch."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL.PngImagePlugin import PngInfo

from builder.versions.verify import verify
from builder.versions.versions import versions
from builder.watch import FolderWatch
from promptsearch.encoding.bundle import Bundle
from promptsearch.search.collection import Collection
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest, current_version
from tests.service.support.serving import serving
from tests.support.drawing import as_bytes, picture
from tests.support.following import ROOT, Running, running


def save(path: Path, seed: int, prompt: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if prompt is None:
        path.write_bytes(as_bytes(picture(seed, 40, 30)))
    else:
        info = PngInfo()
        info.add_text("parameters", f"{prompt}\nSteps: {seed}, Sampler: Euler, Seed: {seed}")
        path.write_bytes(as_bytes(picture(seed, 40, 30), pnginfo=info))


def remove(folder: Path, numbers: Sequence[int]) -> None:
    for number in numbers:
        (folder / f"{number}.png").unlink()


@contextmanager
def following(folder: Path, bundle: Bundle, indices: Path, *more: str) -> Iterator[Running]:
    arguments = ["build", "folder", folder, "--model", bundle.folder, "--collection", "c", "--indices", indices]
    with running("builder", *arguments, "--watch", *more, log=indices.parent / "watch.log") as process:
        yield process


def content(collection: Path) -> dict[str, Any]:
    """Return what a collection answers, by the ids of its items: vectors, metadata, thumbnails, fields."""
    with closing(Collection.open(collection)) as opened:
        images, prompts = opened.manifest.counts["images"], opened.manifest.counts["prompts"]
        texts = opened.items.prompts(range(prompts))
        shown: dict[str, Any] = {"counts": dict(opened.manifest.counts)}
        for row, image in opened.items.images(range(images)).items():
            prompt = None if image.prompt is None else texts[image.prompt]
            thumbnail = opened.thumbnails.get(row) if opened.thumbnails else None
            has_vector = row < opened.manifest.counts["image_vectors"]
            shown[image.id] = (
                image.source, image.width, image.height, image.settings, image.extra, thumbnail,
                prompt and (prompt.id, prompt.text, prompt.image_count),
                opened.vector("images", row).tobytes() if has_vector else None,
            )  # fmt: skip
        for row, text in texts.items():
            shown[text.id] = opened.vector("prompts", row).tobytes()
        shown["fields"] = [
            (one.name, one.type, one.count, one.distinct, one.least, one.greatest, sorted(one.values, key=str))
            for one in opened.fields
        ]
        return shown


def scratch(folder: Path, bundle: Bundle, indices: Path) -> dict[str, Any]:
    """Build the folder into an empty place; return the content of the collection."""
    shutil.rmtree(indices, ignore_errors=True)
    arguments = ["build", "folder", folder, "--model", bundle.folder, "--collection", "c", "--indices", indices]
    with running("builder", *arguments, log=indices.parent / "scratch.log") as build:
        assert build.process.wait(120) == 0, build.output
    return content(indices / "c")


@pytest.mark.slow
def test_each_change_is_published_as_a_build_from_scratch_would(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    for number in range(6):
        save(folder / "a" / f"{number}.png", number, f"prompt {number // 2}" if number < 4 else None)

    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")

        def change_published(published: int) -> None:
            watch.wait_until(lambda: current_version(indices / "c").name != before)
            watch.wait_for("published", times=published)
            assert content(indices / "c") == scratch(folder, vit_bundle, tmp_path / "scratch")

        changes: tuple[Callable[[], object], ...] = (
            lambda: save(folder / "b" / "new.png", 10, "prompt 0"),
            lambda: save(folder / "a" / "0.png", 11, "another prompt"),
            lambda: (folder / "a" / "1.png").rename(folder / "renamed.png"),
            lambda: shutil.rmtree(folder / "b"),
            lambda: (folder / "a" / "5.txt").write_text("beside the picture"),
            lambda: (folder / "a" / "5.txt").unlink(),
            lambda: remove(folder / "a", (2, 3, 4, 5)),
        )
        for published, change in enumerate(changes, start=2):
            before = current_version(indices / "c").name
            change()
            change_published(published)
        assert Manifest.read(current_version(indices / "c")).build["encoded"] == {"images": 0, "prompts": 0}
        verify(indices / "c")
        assert watch.end() == 130


@pytest.mark.slow
def test_a_running_service_follows_and_a_takedown_holds(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    for number in range(4):
        save(folder / f"{number}.png", number)
    ids = {name: item_id("image", name) for name in ("0.png", "moved.png", "new.png")}
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        flags = ("--indices", str(indices), "--models", str(vit_bundle.folder.parent))
        with serving(tmp_path, flags) as service:

            def status(name: str) -> int:
                return service.get(f"/images/{ids[name]}").status_code

            save(folder / "new.png", 9)
            watch.wait_until(lambda: status("new.png") == 200)
            with running("builder", "hide", "c", ids["0.png"], "--indices", indices, log=tmp_path / "hide") as hide:
                assert hide.process.wait(60) == 0, hide.output
            (folder / "0.png").rename(folder / "moved.png")
            (folder / "new.png").unlink()
            watch.wait_until(lambda: status("new.png") == 404)
            assert (status("0.png"), status("moved.png")) == (404, 404)


@pytest.mark.slow
def test_files_being_written_are_read_when_complete(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    save(folder / "0.png", 0)
    whole = as_bytes(picture(1, 300, 200))
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        with (folder / "1.png").open("wb", buffering=0) as file:
            for start in range(0, len(whole), len(whole) // 20):
                file.write(whole[start : start + len(whole) // 20])
        watch.wait_for("published", times=2)
        assert Manifest.read(current_version(indices / "c")).counts["quarantined"] == 0
        assert Manifest.read(current_version(indices / "c")).counts["image_vectors"] == 2


@pytest.mark.slow
def test_a_killed_watch_loses_nothing(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    save(folder / "0.png", 0)
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        save(folder / "1.png", 1)
        os.kill(watch.process.pid, signal.SIGKILL)
        watch.process.wait(60)
    (folder / "0.png").rename(folder / "2.png")
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        assert content(indices / "c") == scratch(folder, vit_bundle, tmp_path / "scratch")


@pytest.mark.slow
def test_removing_the_folder_ends_the_watch(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    save(folder / "0.png", 0)
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        folder.rename(tmp_path / "away")
        assert watch.process.wait(60) == 1
        assert f"error: {folder} is no longer there" in watch.output
    assert len(versions(indices / "c")) == 1


@pytest.mark.slow
def test_a_folder_without_pictures_keeps_the_collection(vit_bundle: Bundle, tmp_path: Path) -> None:
    folder, indices = tmp_path / "pictures", tmp_path / "indices"
    save(folder / "0.png", 0)
    with following(folder, vit_bundle, indices) as watch:
        watch.wait_for("following")
        (folder / "0.png").unlink()
        watch.wait_for("not updated: the source has nothing to build from")
        save(folder / "0.png", 0)
        watch.wait_for("nothing new")
    assert len(versions(indices / "c")) == 1


def test_hidden_files_and_the_indices_are_not_followed(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, tmp_path / "indices")
    assert watch.is_followed(tmp_path / "a" / "b.png")
    assert not watch.is_followed(tmp_path / "indices" / "c" / "current")
    assert not watch.is_followed(tmp_path / "a" / ".partial.png")
    assert not watch.is_followed(tmp_path / ".thumbnails" / "a.png")


@pytest.mark.parametrize("polling", [False, True])
def test_a_change_ends_the_wait(tmp_path: Path, polling: bool) -> None:
    with FolderWatch(tmp_path, tmp_path / "indices", polling=polling) as watch:
        (tmp_path / "a.png").touch()
        assert watch.wait() == frozenset()


def test_only_a_folder_can_be_followed(source_folder: Path, vit_bundle: Bundle, tmp_path: Path) -> None:
    arguments = ["build", "manifest", source_folder, "--model", vit_bundle.folder, "--collection", "c"]
    with running("builder", *arguments, "--indices", tmp_path, "--watch", log=tmp_path / "log", cwd=ROOT) as build:
        assert build.process.wait(60) == 1
        assert "--watch is for the source folder" in build.output
