"""`prompt-search up FOLDER`: build a folder of pictures, serve it, and follow it, until Ctrl-C.

The builder and the service are processes of their own. The builder follows the folder and publishes; the service starts
with the first version and serves each new one.
"""

from __future__ import annotations

import argparse
import re
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from promptsearch.encoding.bundle import FILES as BUNDLE_FILES
from promptsearch.errors import BundleError, CollectionError, SourceError, StartError, UnknownCollection
from promptsearch.storage.manifest import FILES, current_version
from promptsearch.system.files import replace_text
from promptsearch.system.packages import package_of

HOST = "127.0.0.1"
DEFAULT_MODEL = "ViT-B-32/laion2b_s34b_b79k"
DEMO_MODEL = "emoji"  # knows nothing but emoji, so it is used only if it is named
SOURCE = "folder"  # file in a collection's folder: the folder that its pictures are in
_LOOK = 0.2  # seconds between two looks at the processes
_END = 30.0  # seconds that a process has to end

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Plan:
    """The folder that is served, and how."""

    folder: Path
    name: str  # of the collection
    model: Path  # the bundle's folder
    indices: Path
    port: int
    follow: bool
    browse: bool
    allow_removal: bool


class _Ended(Exception):
    """A process ended by itself; `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def add_command(command: argparse.ArgumentParser) -> None:
    """Add the options of `up`."""
    command.add_argument("folder", type=Path, metavar="FOLDER", help="folder with your pictures")
    command.add_argument("--model", metavar="NAME|DIR", help="model bundle (implied if there is only one in --models)")
    command.add_argument("--name", metavar="NAME", help="name of the collection (default: that of the folder)")
    command.add_argument("--port", type=int, default=8000, metavar="N", help="port to serve at (default: 8000)")
    command.add_argument("--no-watch", action="store_true", help="build and serve once, without following the folder")
    command.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    command.add_argument(
        "--allow-removal", action="store_true", help="build even if more than half of the pictures are gone"
    )
    for kind in ("indices", "models"):
        command.add_argument(
            f"--{kind}", type=Path, default=Path(kind), metavar="DIR", help=f"folder of {kind} (default: {kind})"
        )
    command.set_defaults(run=run_up, json=False)


def run_up(parsed: argparse.Namespace) -> None:
    """Build, serve and follow; exit with the status of a process that fails. Raises StartError and other errors."""
    plan = Plan(
        parsed.folder.resolve(),
        _name(parsed.folder.resolve(), parsed.name),
        find_model(parsed.model, parsed.models),
        parsed.indices,
        parsed.port,
        not parsed.no_watch,
        not parsed.no_browser,
        parsed.allow_removal,
    )
    if not plan.folder.is_dir():
        raise SourceError(f"{parsed.folder} is not a folder: name the folder that holds your pictures")
    _require_free_port(plan.port)
    _claim(plan, is_named=parsed.name is not None)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            _run(plan, stack)
    except _Ended as ended:
        sys.exit(ended.status)


def find_model(wanted: str | None, models: Path) -> Path:
    """Return the folder of a bundle by name or path; without either, of the only one. Raises BundleError."""
    if wanted is not None:
        for path in (models / wanted, Path(wanted)):
            if (path / BUNDLE_FILES.model).is_file():
                return path
        return fetch(wanted, models)
    bundles = {path.parent.name: path.parent for path in sorted(models.glob(f"*/{BUNDLE_FILES.model}"))}
    bundles.pop(DEMO_MODEL, None)
    if len(bundles) > 1:
        raise BundleError(f"{models} has several models, expected one: choose with --model: {', '.join(bundles)}")
    return next(iter(bundles.values()), None) or fetch(DEFAULT_MODEL, models)


def fetch(name: str, models: Path) -> Path:
    """Return the folder of a published model, fetched into `models`. Raises BundleError if it cannot be."""
    folder = models / name.replace("/", "-")
    raise BundleError(
        f"there is no model {name} in {models}: export it with `python -m builder export {name} --out {folder}`, "
        "or name another with --model"
    )


def _name(folder: Path, wanted: str | None) -> str:
    """Return the name of the collection. Raises SourceError for one that is not that of a folder."""
    if wanted is None:
        return re.sub(r"[,=]", "-", folder.name).lstrip(".") or "pictures"
    if Path(wanted).name != wanted or wanted.startswith(".") or re.search(r"[,=]", wanted):
        raise SourceError(f"--name must be a name without slashes, commas, '=' or a leading dot, got {wanted!r}")
    return wanted


def _claim(plan: Plan, *, is_named: bool) -> None:
    """Record which folder the collection is of. Raises SourceError if it is another's, unless the user named it."""
    collection = plan.indices / plan.name
    record = collection / SOURCE
    owner = record.read_text(encoding="utf-8").strip() if record.is_file() else None
    is_taken = owner is not None or (collection / FILES.current).exists()
    if is_taken and owner != str(plan.folder) and not is_named:
        raise SourceError(
            f"the collection {plan.name} holds the pictures of {owner or 'another source'}: choose another name with "
            f"--name, or, if they have moved to {plan.folder}, add --name {plan.name}"
        )
    collection.mkdir(parents=True, exist_ok=True)
    replace_text(record, f"{plan.folder}\n")


def _require_free_port(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError) as error:
        raise StartError(f"port {port} cannot be used: {error}; choose another with --port") from error


def _run(plan: Plan, stack: ExitStack) -> None:
    builder = stack.enter_context(_started("builder", _build(plan)))
    while not _is_published(plan):
        if builder.poll() is not None and not _is_published(plan):
            raise _Ended(builder.returncode or 1)
        time.sleep(_LOOK)
    service = stack.enter_context(_started("service", _serve(plan)))
    while not _answers(plan.port):
        _require_running(service)
        time.sleep(_LOOK)
    if plan.browse:
        webbrowser.open(f"http://{HOST}:{plan.port}")
    while True:
        _require_running(service)
        if plan.follow or builder.poll():
            _require_running(builder)
        time.sleep(_LOOK)


def _build(plan: Plan) -> list[str]:
    flags = ["--watch"] if plan.follow else []
    flags += ["--allow-removal"] if plan.allow_removal else []
    return ["build", "folder", str(plan.folder), "--model", str(plan.model), "--collection", plan.name,
            "--indices", str(plan.indices), *flags]  # fmt: skip


def _serve(plan: Plan) -> list[str]:
    return ["--host", HOST, "--port", str(plan.port), "--collection", plan.name, "--indices", str(plan.indices),
            "--models", str(plan.model.parent), "--files", f"{plan.name}={plan.folder}"]  # fmt: skip


def _is_published(plan: Plan) -> bool:
    with suppress(UnknownCollection, CollectionError):
        return current_version(plan.indices / plan.name).is_dir()
    return False


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=_LOOK):
        return True
    return False


def _require_running(process: Process) -> None:
    if process.poll() is not None:
        raise _Ended(process.returncode if process.returncode > 0 else 1)


@contextmanager
def _started(program: str, arguments: Sequence[str]) -> Iterator[Process]:
    """Run one of the two programs until the block ends."""
    command = [sys.executable, "-m", package_of(program), *arguments]
    process = subprocess.Popen(command)  # noqa: S603 - the project's own programs
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
