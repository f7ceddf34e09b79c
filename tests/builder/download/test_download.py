"""Downloads with img2dataset from `.venv-download` (`make setup-download`), and a web server on this machine."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from builder.__main__ import main
from builder.download.download import FORMATS, Format, download, find_python
from builder.sources import Item, open_source
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.image_io import open_picture
from promptsearch.errors import BuildError
from promptsearch.storage.manifest import Manifest, current_version
from tests.support.drawing import picture
from tests.support.web import Web, image, serving
from tests.support.workspace import ROOT

HERE = Path(sys.executable)  # an environment; inputs that are refused at once need no img2dataset
GOOD = ("good/0.png", "good/1.jpg", "redirect/2")
BAD = {
    "missing.png": "HTTP Error 404: Not Found",
    "page.png": "Image decoding error",
    "stalled": "timed out",
    "half": "timed out",
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving() as running:
        yield running


@pytest.fixture
def manifest(web: Web, tmp_path: Path) -> Path:
    """Write a manifest of all links of GOOD and BAD, a row without a link, and a local picture; return its path."""
    (tmp_path / "here.png").write_bytes(image("9.png"))
    return write(
        tmp_path / "manifest.csv",
        [
            *(
                [f"prompt of {place}", f"{web.url}/{place}", "", number, "7.5"]
                for number, place in enumerate([*GOOD, *BAD])
            ),
            ["only words", "", "", "", ""],
            ["here already", f"{web.url}/good/9.png", "here.png", "", ""],
        ],
    )


def write(path: Path, rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["prompt", "url", "image", "seed", "strength"], *rows])
    return path


def failed(out: Path) -> dict[str, str]:
    with (out / "failed.csv").open(newline="", encoding="utf-8") as file:
        return {row["link"]: row["reason"] for row in csv.DictReader(file)}


def items(out: Path) -> dict[str, Item]:
    read = list(open_source("img2dataset", out, None).items())
    assert all(isinstance(item, Item) for item in read), read
    return {item.source: item for item in read if isinstance(item, Item)}


@pytest.mark.download
@pytest.mark.parametrize("layout", FORMATS)
def test_links_are_fetched_with_their_metadata(web: Web, manifest: Path, tmp_path: Path, layout: Format) -> None:
    out = tmp_path / "out"
    done = download(open_source("manifest", manifest, None), out, layout=layout, timeout=1, shard_size=3)
    assert (done.links, done.fetched, done.failed, done.without, done.rejected) == (7, 3, 4, 2, 0)

    reasons = failed(out)
    assert reasons.keys() == {f"{web.url}/{place}" for place in BAD}
    for place, reason in BAD.items():
        assert reason in reasons[f"{web.url}/{place}"]
    assert done.reasons.total() == 4

    fetched = items(out)
    assert fetched.keys() == {f"{web.url}/{place}" for place in (*GOOD, *BAD)}
    for number, place in enumerate((*GOOD, *BAD)):
        item = fetched[f"{web.url}/{place}"]
        assert item.prompt == f"prompt of {place}"
        assert item.settings["seed"] == number
        assert item.extra["strength"] == "7.5"
        assert item.extra["source_key"].startswith("row {")
        assert (item.picture is not None) == (place in GOOD)
    for number, place in enumerate(GOOD):
        kept = fetched[f"{web.url}/{place}"].picture
        assert kept is not None
        pixels = np.asarray(open_picture(kept.read()), dtype=float)
        assert np.abs(pixels - np.asarray(picture(number, 60, 40), dtype=float)).mean() < 16  # noise, as JPEG keeps it
    jpeg = fetched[f"{web.url}/good/1.jpg"].picture
    assert jpeg is not None
    assert jpeg.read() == image("1.jpg")  # not encoded again


@pytest.mark.download
def test_done_shards_are_kept_and_failed_links_can_be_retried(web: Web, manifest: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    source = open_source("manifest", manifest, None)
    first = download(source, out, timeout=1)
    requests = web.requests.copy()
    assert download(source, out, timeout=1) == first
    assert web.requests == requests
    with pytest.raises(BuildError, match=r"holds a download with another format: choose another --out"):
        download(source, out, layout="webdataset")

    rest = download(open_source("img2dataset", out, None), again, timeout=1)
    assert (rest.links, rest.fetched, rest.without) == (4, 0, 3)
    assert {item.prompt for item in items(again).values()} == {f"prompt of {place}" for place in BAD}


@pytest.mark.download
def test_a_killed_download_resumes(web: Web, tmp_path: Path) -> None:
    web.release.clear()
    places = [f"good/{number}.png" for number in range(4)] + [f"held/{number}.png" for number in range(4, 12)]
    manifest = write(tmp_path / "manifest.csv", [[place, f"{web.url}/{place}", "", "", ""] for place in places])
    out = tmp_path / "out"
    command = ["download", "manifest", str(manifest), "--out", str(out), "--shard-size", "4", "--timeout", "60"]
    with subprocess.Popen([sys.executable, "-m", "builder", *command], cwd=ROOT) as builder:
        wait_for(lambda: (out / "00000_stats.json").is_file() and web.requests["/held/4.png"])
        workers = children(builder.pid)
        with pytest.raises(BuildError, match=r"another download to .* is running"):
            download(open_source("manifest", manifest, None), out)
        builder.kill()
    assert workers
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    (out / "00001").mkdir(exist_ok=True)
    (out / "00001" / "000019.jpg").write_bytes(b"left behind")
    (out / "00002_stats.json").write_text('{"cou')

    web.release.set()
    before = web.requests.copy()
    main(command)
    assert not any((web.requests - before)[f"/{place}"] for place in places[:4])
    fetched = items(out)
    assert {item.prompt for item in fetched.values()} == set(places)
    assert all(item.picture is not None for item in fetched.values())
    assert failed(out) == {}
    assert not list(out.rglob("000019.jpg"))


@pytest.mark.download
def test_downloaded_pictures_are_built(
    web: Web, manifest: Path, vit_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, indices = str(tmp_path / "out"), tmp_path / "indices"
    main(["download", "manifest", str(manifest), "--out", out, "--timeout", "1", "--format", "webdataset"])
    printed = capsys.readouterr().out
    assert f"downloaded 3 of 7 links to {out}: 4 failed" in printed
    assert "1 x HTTP Error 404: Not Found" in printed
    assert "failed.csv lists them all" in printed
    model = ["--model", str(vit_bundle.folder), "--collection", "fetched", "--indices", str(indices)]
    main(["build", "img2dataset", out, *model])
    counts = Manifest.read(current_version(indices / "fetched")).counts
    assert (counts["prompts"], counts["images"], counts["image_vectors"]) == (7, 7, 3)


@pytest.mark.download
def test_links_of_open_prompts_without_a_picture_are_fetched(web: Web, tmp_path: Path) -> None:
    with (tmp_path / "prompts.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [
            (
                f"prompt {number}",
                json.dumps({"raw_discord_data": {"image_uri": f"{web.url}/good/{number}.png", "seed": "5"}}),
            )
            for number in range(3)
        ]
        csv.writer(file).writerows([("prompt", "raw_data"), *rows, ("broken", "{")])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(image("1.png"))
    source = open_source("open-prompts", tmp_path / "prompts.csv", tmp_path / "images")
    done = download(source, tmp_path / "out", layout="parquet", timeout=5)
    assert (done.links, done.fetched, done.without, done.rejected) == (2, 2, 1, 1)
    fetched = items(tmp_path / "out")
    assert {(item.prompt, item.settings["seed"]) for item in fetched.values()} == {("prompt 0", 5), ("prompt 2", 5)}


def test_an_environment_without_img2dataset_is_an_error_with_the_command(manifest: Path, tmp_path: Path) -> None:
    source = open_source("manifest", manifest, None)
    with pytest.raises(BuildError, match=r"/python does not exist: run `make setup-download` in a checkout, or .*pip"):
        download(source, tmp_path / "out", python=tmp_path / "python")
    assert not (tmp_path / "out").exists()
    with pytest.raises(BuildError, match=r"1 of 1 shards are not done; see .*log\.txt; run the command again"):
        download(source, tmp_path / "out", python=HERE)
    assert "No module named 'img2dataset'" in (tmp_path / "out" / ".download" / "log.txt").read_text()


def test_a_folder_that_holds_something_else_is_left_alone(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"expected an empty folder or an earlier download, but .* is neither"):
        download(open_source("manifest", manifest, None), tmp_path, python=HERE)


def test_a_source_without_links_is_nothing_to_download(tmp_path: Path) -> None:
    manifest = write(tmp_path / "manifest.csv", [["only words", "", "", "", ""], ["", "", "", "", ""]])
    with pytest.raises(BuildError, match=r"nothing to download: .*\(1 such items, 1 rows rejected\): build the source"):
        download(open_source("manifest", manifest, None), tmp_path / "out", python=HERE)


@pytest.mark.parametrize("wrong", [{"shard_size": 0}, {"timeout": 0.0}, {"timeout": float("nan")}])
def test_numbers_that_make_no_sense_are_refused(manifest: Path, tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(BuildError, match="must be above 0"):
        download(open_source("manifest", manifest, None), tmp_path / "out", **wrong)  # type: ignore[arg-type]


def children(pid: int) -> set[int]:
    """Return the ids of all processes that descend from this one."""
    descendants: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            descendants |= {child, *children(child)}
    return descendants


def wait_for(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_environment_is_that_of_the_checkout_or_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    python = tmp_path / ".venv-download" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    own = ROOT / ".venv-download" / "bin" / "python"
    assert find_python() == (own if own.is_file() else python)
    assert find_python(python) == python
    with pytest.raises(BuildError, match="or pass --python FILE"):
        find_python(tmp_path / "missing")
