"""The command line: what it prints where, and how it exits. In this process, and as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from builder.__main__ import main
from builder.versions.versions import versions
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.image_io import FORMATS
from promptsearch.search.collection import Collection
from promptsearch.storage.items import item_id
from tests.support import source
from tests.support.vectors import build, random_vectors

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "builder", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What stands on stderr after `error: `, in its one line."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("error: ")


def test_build_embeds_indexes_and_publishes(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    main(["build", "manifest", str(source_folder), "--model", str(vit_bundle.folder), "--collection", "c",
          "--indices", str(tmp_path)])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("embedded 4 prompts, 6 images (3 with a vector) in ")
    assert lines[1] == "  5 rows or pictures could not be read; quarantine.csv says why"
    assert lines[2] == "indexed 3 images as Flat: recall@10 1.000 for images, 1.000 for texts"
    assert lines[3] == "indexed 4 prompts as Flat: recall@10 1.000 for images, 1.000 for texts"
    assert lines[4].startswith("published c version 2")
    collection = Collection.open(tmp_path / "c")
    assert collection.manifest.counts == source.COUNTS
    collection.close()
    quarantine = lines.index(f"  5 in quarantine, {collection.folder / 'quarantine.csv'} names each:")
    assert sorted(lines[quarantine + 1 : quarantine + 6]) == [
        "    1: image '../up.png' leaves the pictures' folder",
        "    1: neither image nor prompt",
        "    1: no such file (.png)",
        "    1: the picture is damaged (.png)",
        f"    1: this is not a picture that can be read; readable are {', '.join(FORMATS)} (.png)",
    ]
    assert (collection.folder / "quarantine.csv").is_file()

    main(["verify", "c", "--indices", str(tmp_path)])
    built = f"all {len(collection.manifest.files)} files are intact, 4 prompts, 6 images"
    assert built in capsys.readouterr().out
    (collection.folder / "prompts.faiss").write_bytes(b"x")
    assert "prompts.faiss is damaged" in fails(capsys, "verify", "c", "--indices", tmp_path)


def test_the_steps_can_be_taken_one_by_one_and_in_order_only(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    where = ["--collection", "c", "--indices", str(tmp_path)]
    assert "nothing is staged for c" in fails(capsys, "index", *where)
    assert "nothing is staged for c" in fails(capsys, "publish", *where)
    main(["embed", "manifest", str(source_folder), "--model", str(vit_bundle.folder), *where])
    capsys.readouterr()
    assert "run `python -m builder index` first" in fails(capsys, "publish", *where)
    main(["index", *where])
    main(["publish", *where])
    collection = Collection.open(tmp_path / "c")
    assert collection.manifest.build["engine"] == "onnx"
    collection.close()


def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    model = ["--model", vit_bundle.folder]
    where = ["--collection", "c", "--indices", tmp_path]
    assert "is not a model bundle" in fails(capsys, "build", "manifest", source_folder, "--model", tmp_path, *where)
    assert "there is no" in fails(capsys, "build", "manifest", tmp_path / "missing", *model, *where)
    assert "has no manifest.csv" in fails(capsys, "build", "manifest", tmp_path, *model, *where)
    assert "is not a folder" in fails(
        capsys, "build", "manifest", source_folder, *model, *where, "--images", source_folder / "a.png"
    )
    assert "has no column raw_data" in fails(
        capsys, "build", "open-prompts", source_folder / "manifest.csv", *model, *where
    )
    assert "is not a published collection" in fails(capsys, "verify", "c", "--indices", tmp_path)
    (tmp_path / "file").touch()
    under_a_file = ["--collection", "c", "--indices", tmp_path / "file"]
    assert "is no folder" in fails(capsys, "build", "manifest", source_folder, *model, *under_a_file)


def test_hidden_ids_whose_picture_is_gone_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    vectors = random_vectors(4, 4)
    build(tmp_path / "c", vectors, None)
    gone, kept = item_id("image", "3.png"), item_id("image", "0.png")
    main(["hide", "c", gone, kept, "--indices", str(tmp_path)])
    build(tmp_path / "c", vectors[:3], None)
    capsys.readouterr()
    main(["show", "c", "--indices", str(tmp_path)])
    out = capsys.readouterr().out
    assert f"    {gone} is not in this version; it stays hidden if it comes back\n" in out
    assert f"    {kept}" not in out


def test_versions_and_takedowns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    vectors = random_vectors(3, 4)
    where = ["--indices", str(tmp_path)]
    for _ in range(2):
        build(tmp_path / "c", vectors, vectors)
    old, current = [version.name for version in versions(tmp_path / "c")]

    main(["list", *where])
    name, newest, oldest = capsys.readouterr().out.splitlines()
    assert name == "c"
    assert newest.startswith(f" * {current}  ")
    assert oldest.startswith(f"   {old}  ")
    assert newest.endswith("KB  3 prompts, 3 images (3 with a vector)")

    image, prompt = item_id("image", "0.png"), item_id("prompt", "prompt 1")
    main(["hide", "c", image, prompt, *where])
    assert capsys.readouterr().out == (
        f"hidden in c: 2\n  {image} image 0.png: 'prompt 0'\n  {prompt} prompt 'prompt 1'\n"
    )
    main(["hide", "c", image, *where])
    assert capsys.readouterr().out == "hidden in c: nothing that was not hidden before\n"
    assert "no image or prompt of c: x; nothing was changed" in fails(capsys, "hide", "c", "x", *where)
    main(["unhide", "c", prompt, *where])
    assert capsys.readouterr().out == f"shown again in c: 1\n  {prompt} prompt 'prompt 1'\n"

    main(["show", "c", *where])
    out = capsys.readouterr().out
    assert out.startswith(f"c version {current}, built ")
    assert "  3 images as Flat: recall@10 1.000 for images, 1.000 for texts\n" in out
    assert "  images.faiss: 93 B\n" in out
    assert out.endswith("  0 in quarantine\n  1 ids hidden, 1 old version kept\n")

    assert "is the version of c that is served" in fails(capsys, "delete-version", "c", current, *where)
    main(["delete-version", "c", old, *where])
    assert capsys.readouterr().out.startswith(f"deleted version {old} of c: ")
    (tmp_path / "c" / "versions" / current / "manifest.json").write_text("{")
    main(["list", *where])
    assert "manifest.json cannot be read" in capsys.readouterr().out
    assert "cannot be read" in fails(capsys, "show", "c", *where)
    (tmp_path / "c" / "current").write_text("gone")
    main(["list", *where])
    assert "names the version 'gone', which is not there" in capsys.readouterr().out
    assert "there is no folder" in fails(capsys, "list", "--indices", tmp_path / "missing")


def test_programs_read_results_as_json(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    def answer(*arguments: str) -> Any:
        main([*arguments, "--json", "--indices", str(tmp_path)])
        return json.loads(capsys.readouterr().out)

    build = ["build", "manifest", str(source_folder), "--model", str(vit_bundle.folder), "--collection", "c"]
    first = answer(*build)
    assert (first["published"], first["counts"], first["hidden"], first["old_versions"]) == (
        True,
        source.COUNTS,
        [],
        [],
    )
    assert answer(*build) == {**first, "published": False}
    shown = answer("show", "c")
    assert {**shown, "published": True} == first
    assert answer("verify", "c") == shown
    [version] = versions(tmp_path / "c")
    listed = {"version": version.name, "bytes": shown["bytes"], "counts": source.COUNTS}
    assert answer("list") == [{"collection": "c", "current": version.name, "versions": [listed]}]
    (version / "manifest.json").write_text("{")
    assert "manifest.json cannot be read" in answer("list")[0]["versions"][0]["error"]
    (tmp_path / "c" / "current").write_text("gone")
    assert "names the version 'gone'" in answer("list")[0]["error"]


@pytest.mark.parametrize("name", ["", ".", "..", "../c", "a/b", "/c", ".hidden"])
def test_a_collections_name_is_that_of_a_folder(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path, name: str
) -> None:
    where = ["--collection", name, "--indices", tmp_path / "indices"]
    error = fails(capsys, "build", "manifest", source_folder, "--model", vit_bundle.folder, *where)
    assert "a collection's name is that of a folder in" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["build", "album", "."],
        ["export", "--out", "m"],
        ["export", "RN50", "--checkpoint", "x", "--out", "m"],
        ["build", "manifest", ".", "--model", "m", "--collection", "c", "--engine", "jax"],
        ["index", "--collection", "c", "--max-memory", "4 bananas"],
        ["index", "--collection", "c", "--recall", "98"],
        ["index", "--collection", "c", "--recall", "nan"],
        ["publish", "--collection", "c", "--keep", "-1"],
        ["hide", "c"],
        ["delete-version", "c"],
    ],
)
def test_wrong_usage_exits_with_2_and_says_how_it_is_used(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m builder" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_process_it_builds_and_fails_without_traceback(
    vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    arguments = ["manifest", source_folder, "--collection", "c", "--indices", tmp_path, "--model"]
    built = run("build", *arguments, vit_bundle.folder)
    assert built.returncode == 0, built.stderr
    assert "published c version" in built.stdout
    assert "Traceback" not in built.stderr
    assert run("verify", "c", "--indices", tmp_path).returncode == 0

    again = run("build", *arguments, vit_bundle.folder)
    assert "nothing new: c stays at version" in again.stdout
    quiet = run("build", *arguments, vit_bundle.folder, "--recall", "0.9", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert len(versions(tmp_path / "c")) == 2

    failed = run("build", *arguments, tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == f"error: {tmp_path} is not a model bundle: it has no model.json\n"
    assert run("build").returncode == 2
    assert run("--help").returncode == 0


@pytest.mark.slow
def test_a_user_may_stop_a_build(vit_bundle: Bundle, tmp_path: Path) -> None:
    rows = "\n".join(f"prompt number {number} of very many" for number in range(500_000))
    (tmp_path / "manifest.csv").write_text(f"prompt\n{rows}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "builder", "build", "manifest", tmp_path, "--model", vit_bundle.folder,
         "--collection", "c", "--indices", tmp_path],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TQDM_DISABLE": "1"},
        # A runner that was itself started in the background has Ctrl-C switched off, and what it starts inherits that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not (tmp_path / "c" / "staging" / "items.sqlite").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "stopped; nothing was published\n")
    assert not (tmp_path / "c" / "current").exists()
