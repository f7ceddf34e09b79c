"""The commands for built collections: list, show, hide, unhide and delete-version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.__main__ import main
from builder.versions.versions import versions
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.items import item_id
from tests.builder.cli.running import fails
from tests.support import source
from tests.support.vectors import build, random_vectors


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
    assert "unknown ids in c: x. Nothing was changed" in fails(capsys, "hide", "c", "x", *where)
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
    assert "names the version 'gone', which does not exist: restore" in capsys.readouterr().out
    assert "there is no folder" in fails(capsys, "list", "--indices", tmp_path / "missing")


def test_programs_read_results_as_json(
    capsys: pytest.CaptureFixture[str], vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    def answer(*arguments: str) -> Any:
        main([*arguments, "--json", "--indices", str(tmp_path)])
        return json.loads(capsys.readouterr().out)

    command = ["build", "manifest", str(source_folder), "--model", str(vit_bundle.folder), "--collection", "c"]
    first = answer(*command)
    assert (first["published"], first["counts"]) == (True, source.COUNTS)
    assert (first["hidden"], first["old_versions"]) == ([], [])
    assert answer(*command) == {**first, "published": False}
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
