"""Download the pictures behind a source's links with img2dataset, into a folder that the source `img2dataset` reads.

img2dataset runs in an environment of its own, because its dependencies conflict with the builder's. In the output
folder, `.download/` holds the links with their metadata and img2dataset's log; finished shards have a `_stats.json`.
Interrupted downloads resume with the first unfinished shard.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pyarrow import parquet

from promptsearch.encoding.image_io import MAX_PIXELS
from promptsearch.errors import BuildError
from promptsearch.system.cpus import available_cores
from promptsearch.system.files import replace_text, to_json
from promptsearch.system.locks import exclusive_lock

from ..progress import Progress
from ..sources import Source
from . import fetch
from .links import shards_of_links, survey, write_links

Format = Literal["files", "webdataset", "parquet"]
FORMATS: tuple[Format, ...] = ("files", "webdataset", "parquet")
ENVIRONMENT = Path(".venv-download")  # of the checkout, or of the current folder
INSTALL = "python3 -m venv .venv-download && .venv-download/bin/pip install img2dataset==1.47.0 standard-imghdr"
SHARD_SIZE = 1000
TIMEOUT = 10.0
THREADS = 32  # links at once in each process
RETRIES = 1
POLL = 0.2  # seconds between two counts of finished shards
QUALITY = 95  # of JPEG, which other formats are converted to, at full size

_SHARD = re.compile(r"(\d{5,})(\.tar|\.parquet|_stats\.json)?")
_SUCCESS = "success"


@dataclass(frozen=True)
class Downloaded:
    """The outcome of a download."""

    links: int
    fetched: int
    reasons: Counter[str] = field(default_factory=Counter)  # number of failed links by reason
    without: int = 0  # items without a link, or with a picture
    rejected: int = 0  # rows of the source that could not be read

    @property
    def failed(self) -> int:
        """Return the number of links that failed."""
        return self.reasons.total()


def download(
    source: Source,
    out: Path,
    *,
    layout: Format = "files",
    timeout: float = TIMEOUT,
    shard_size: int = SHARD_SIZE,
    python: Path | None = None,
) -> Downloaded:
    """Fetch the picture of every item that has a link and no picture, into shards below `out`.

    Prompts become captions; the item's key, settings and further metadata of the source are columns of each shard.
    `out/failed.csv` names each link that failed with the reason. `timeout`: seconds without a byte. `python` is that of
    an environment with img2dataset (default: see `find_python`).

    Raises BuildError if img2dataset is not installed, if no item has a link, if `out` is used by something else, or if
    img2dataset ends before every shard is done; the next run resumes.
    """
    if shard_size < 1 or not timeout > 0:
        raise BuildError(f"--shard-size and --timeout must be above 0, got {shard_size} and {timeout}")
    python = find_python(python)
    state = out / ".download"
    if out.exists() and not state.is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise BuildError(f"expected an empty folder or an earlier download, but {out} is neither: choose another --out")
    state.mkdir(parents=True, exist_ok=True)
    with _locked(state / "lock", out):
        links = survey(source)
        if not links.links:
            raise BuildError(
                f"nothing to download: every item has a picture or no http(s) link ({links.without} such items, "
                f"{links.rejected} rows rejected): build the source directly, or name one with links"
            )
        plan = {"links": links.digest, "format": layout, "shard_size": shard_size}
        _prepare(out, state, plan, lambda folder: write_links(source, folder, links.types, shard_size))
        shards = -(-links.links // shard_size)
        _discard_unfinished(out)
        if len(_done(out)) < shards:
            columns = list(links.types)
            _fetch(
                python, _arguments(out, state, layout, timeout, shard_size, shards, columns), out, state, links.links
            )
        if missing := shards - len(_done(out)):
            raise BuildError(
                f"{missing} of {shards} shards are not done; see {state / 'log.txt'}; run the command again to resume"
            )
        reasons = _report(out, state)
    return Downloaded(links.links, links.links - reasons.total(), reasons, links.without, links.rejected)


def find_python(named: Path | None = None) -> Path:
    """Return the Python that img2dataset runs in: `named`, else that of `.venv-download` in the checkout or here.

    Raises BuildError if there is none, with the command that creates it.
    """
    environments = (Path(__file__).parents[2] / ENVIRONMENT, ENVIRONMENT.absolute())
    candidates = [environment / "bin" / "python" for environment in environments] if named is None else [named]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BuildError(
        f"expected img2dataset's environment, but {candidates[-1]} does not exist: run `make setup-download` "
        f"in a checkout, or `{INSTALL}` here, or pass --python FILE"
    )


@contextlib.contextmanager
def _locked(path: Path, out: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(path, wait=False))
        except BlockingIOError:
            raise BuildError(f"another download to {out} is running: wait until it ends") from None
        yield


def _prepare(out: Path, state: Path, plan: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Write the links of this plan to `state/links`. Raises BuildError if `out` holds shards of another plan."""
    plan_file, links = state / "plan.json", state / "links"
    written = json.loads(plan_file.read_text(encoding="utf-8")) if plan_file.is_file() else None
    if written == plan:
        return
    if written is not None and _done(out):
        changed = ", ".join(name for name in plan if written.get(name) != plan[name])
        raise BuildError(f"{out} holds a download with another {changed}: choose another --out")
    plan_file.unlink(missing_ok=True)
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir()
    write(links)
    replace_text(plan_file, to_json(plan))


def _arguments(
    out: Path, state: Path, layout: Format, timeout: float, shard_size: int, shards: int, columns: list[str]
) -> dict[str, Any]:
    """Return the arguments of `img2dataset.download`. Pictures keep their size, and JPEGs their bytes."""
    return {
        "url_list": str(state.resolve() / "links"),
        "input_format": "parquet",
        "url_col": "url",
        "caption_col": "caption",
        "save_additional_columns": columns,
        "output_folder": str(out.resolve()),
        "output_format": layout,
        "number_sample_per_shard": shard_size,
        "processes_count": min(available_cores(), shards),
        "thread_count": THREADS,
        "timeout": timeout,
        "retries": RETRIES,
        "resize_mode": "no",
        "skip_reencode": True,
        "encode_format": "jpg",
        "encode_quality": QUALITY,
        "extract_exif": False,
        "compute_hash": None,
        "incremental_mode": "incremental",
        "user_agent_token": "prompt-search",
    }


def _fetch(python: Path, arguments: dict[str, Any], out: Path, state: Path, links: int) -> None:
    environment = {
        **os.environ,
        "NO_ALBUMENTATIONS_UPDATE": "1",  # it would ask the package index at each start
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    }
    size = arguments["number_sample_per_shard"]
    with (state / "log.txt").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [python, "-I", fetch.__file__],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        assert child.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended at once; the log contains the reason
                child.stdin.write(json.dumps(arguments).encode() + b"\n")
                child.stdin.flush()
            with Progress("links", links) as progress:
                done, ended = 0, False
                while not ended:
                    ended = child.poll() is not None
                    now = min(links, size * sum(1 for _ in out.glob("*_stats.json")))
                    progress.add(now - done)
                    done = now
                    time.sleep(POLL)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()


def _done(out: Path) -> set[int]:
    """Return the numbers of the shards with statistics, which img2dataset writes last."""
    done = set()
    for path in out.glob("*_stats.json"):
        if (match := _SHARD.fullmatch(path.name)) and _is_json(path):
            done.add(int(match[1]))
    return done


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:  # cut off while it was written
        return False
    return True


def _discard_unfinished(out: Path) -> None:
    """Delete the files of unfinished shards: some would stay beside those of the next run."""
    done = _done(out)
    shutil.rmtree(out / "_tmp", ignore_errors=True)
    for path in list(out.iterdir()):
        match = _SHARD.fullmatch(path.name)
        if match is None or int(match[1]) in done:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _report(out: Path, state: Path) -> Counter[str]:
    """Write `failed.csv`; return how often each reason occurs."""
    reasons: Counter[str] = Counter()
    target = out / "failed.csv"
    draft = state / "failed.csv"
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("link", "reason"))
        for shard, links in enumerate(shards_of_links(state / "links")):
            results = _results(out / f"{shard:05}.parquet")
            for number, link in enumerate(links):
                reason = results.get(number, "img2dataset reported nothing; .download/log.txt may say why")
                if reason is not None:
                    writer.writerow((link, reason))
                    reasons[reason] += 1
    draft.replace(target)
    return reasons


def _results(table: Path) -> dict[int, str | None]:
    """Return the reason why each link of a shard failed, None if it did not, by the link's place in the shard."""
    rows = parquet.read_table(table, columns=["key", "status", "error_message"]).to_pylist()
    # A key is the shard's number and, in as many digits as the shard's size needs, the link's place: the lowest is 0.
    digits = len(rows[0]["key"]) - 5 if rows else 0
    return {
        int(row["key"][-digits:] if digits else 0): None
        if row["status"] == _SUCCESS
        else (row["error_message"] or row["status"])
        for row in rows
    }
