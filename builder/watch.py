"""Follow a folder: wait until files in it have changed, and until what is being written is whole."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from watchfiles import watch

from promptsearch.errors import BuildError

SETTLED = 0.5  # seconds that a file stays the same until it counts as whole
PATIENCE = 10.0  # seconds after which the others are not held up by a file that is still growing
RECHECK = 900.0  # seconds without a change after which the folder is looked through all the same: events may get lost
_TICK = 200  # milliseconds between two looks at files that are being written

State = tuple[int, int, int] | None  # inode, size and time of a file; None if there is none


@dataclass
class _Changed:
    state: State
    since: float  # when it was first seen in this state


class FolderWatch:
    """The changes below a folder since the start of the `with` block, also while nobody waits for them."""

    def __init__(self, folder: Path, ignored: Path, *, polling: bool = False) -> None:
        """Watch `folder`, but not what is below `ignored` or hidden.

        `polling` looks at all files regularly, which network drives need.
        """
        self._folder, self._ignored = folder.resolve(), ignored.resolve()
        self._polling = polling or None  # None: as the environment variable WATCHFILES_FORCE_POLLING says
        self._events: queue.Queue[set[str] | Exception] = queue.Queue()
        self._changed: dict[str, _Changed] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def wait(self) -> Set[str]:
        """Wait until files have changed and are whole; return those that are still being written.

        Those are paths below the folder, with forward slashes. Raises BuildError if the folder cannot be watched, or if
        it is away: events of another one in its place would not come.
        """
        begun, first = time.monotonic(), None
        while True:
            self._collect()
            self._require_folder()
            now = time.monotonic()
            growing = self._growing(now)
            if not self._changed:
                if now - begun > RECHECK:
                    break
                continue
            first = first or now
            if not growing or (len(growing) < len(self._changed) and now - first > PATIENCE):
                break
        self._changed = {path: self._changed[path] for path in growing}
        return frozenset(Path(path).relative_to(self._folder).as_posix() for path in growing)

    def _growing(self, now: float) -> Set[str]:
        """Look at the changed files; return those that were seen in another state a moment ago."""
        for path, changed in self._changed.items():
            if (state := _state(path)) != changed.state:
                self._changed[path] = _Changed(state, now)
        return {path for path, changed in self._changed.items() if now - changed.since < SETTLED}

    def _require_folder(self) -> None:
        if _identity(self._folder) != self._identity:
            raise BuildError(
                f"{self._folder} is no longer there, or another folder is in its place (is a drive not mounted?): what "
                "is published stays; start again when it is back"
            )

    def _collect(self) -> None:
        """Wait for the next events, which come at least every tick, and note all files that they name."""
        events = [self._events.get()]
        while not self._events.empty():
            events.append(self._events.get())
        now = time.monotonic()
        for paths in events:
            if isinstance(paths, Exception):
                raise BuildError(
                    f"{self._folder} cannot be followed: {paths}. On Linux, allow more watches with `sysctl "
                    "fs.inotify.max_user_watches=524288`, or look at all files from time to time with --poll"
                ) from paths
            for path in paths:
                self._changed[path] = _Changed(_state(path), now)

    def _watch(self) -> None:
        try:
            for changes in watch(
                self._folder,
                watch_filter=lambda _, path: self.is_followed(Path(path)),
                debounce=_TICK,
                rust_timeout=_TICK,
                yield_on_timeout=True,
                stop_event=self._stop,
                force_polling=self._polling,
                ignore_permission_denied=True,
            ):
                self._events.put({path for _, path in changes})
        except Exception as error:  # the waiting thread reports it
            self._events.put(error)

    def is_followed(self, path: Path) -> bool:
        """Return whether changes of a path below the folder count."""
        inner = path.relative_to(self._folder)
        return not any(part.startswith(".") for part in inner.parts) and not path.is_relative_to(self._ignored)

    def __enter__(self) -> FolderWatch:
        self._identity = _identity(self._folder)
        self._thread.start()
        self._collect()  # whatever happens from the first events on is seen
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _state(path: str) -> State:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
