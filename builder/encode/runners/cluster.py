"""A Spark cluster: start an application with what a build needs, and report its errors in one line."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.errors import BuildError

from .shards import Shards

if TYPE_CHECKING:
    from pyspark import SparkContext

_ATTEMPTS = 4  # at a task before a build fails: Spark's default, except for `local[N]`, which allows one
_PACKAGES = (__name__.partition(".")[0], "promptsearch")  # the installed builder has another name


@dataclass(frozen=True)
class Cluster:
    """The address and settings of Spark."""

    master: str | None  # None: that of Spark's own configuration
    settings: Mapping[str, str] = field(default_factory=dict)  # Spark's, such as spark.task.cpus
    shards: str | None = None  # a path or URL that all workers reach; None: the collection's own folder

    @contextmanager
    def application(self, name: str) -> Iterator[SparkContext]:
        """Run Spark until the block ends. Its workers get this program's code, and need its dependencies installed.

        Raises BuildError if Spark is missing or does not start.
        """
        context = _start(f"prompt-search: {name}", self.master, self.settings)
        from py4j.protocol import Py4JError

        try:
            with tempfile.TemporaryDirectory(prefix="prompt-search-") as folder:
                code = Path(folder) / "prompt-search.zip"
                _pack_code(code)
                context.addPyFile(str(code))
                yield context
        except Py4JError as error:
            # Such as a master that has not answered for a minute.
            raise BuildError(
                f"Spark at --master {self.master} has ended: {message(error)}; see its log above"
            ) from error
        finally:
            context.stop()

    def shards_of(self, collection: Path, name: str) -> Shards:
        """Return the folder for this collection's shards of that name. Raises BuildError if it is not writable."""
        return Shards.at(self.shards or str(collection.absolute() / "cache"), f"{collection.name}-{name}.shards")


def _start(name: str, master: str | None, settings: Mapping[str, str]) -> SparkContext:
    try:
        from pyspark import SparkConf, SparkContext
    except ImportError as error:
        raise BuildError("--runner spark needs pyspark: install prompt-search[spark]") from error
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        raise BuildError("--runner spark needs Java 17 or later: install a runtime, or set JAVA_HOME")
    conf = SparkConf().setAppName(name)
    conf.set("spark.ui.showConsoleProgress", "false")  # the build shows its own progress
    if master is not None:
        conf.setMaster(re.sub(r"^local(?:\[([\d*]+)\])?$", lambda cores: f"local[{cores[1] or 1},{_ATTEMPTS}]", master))
    for key, value in settings.items():
        conf.set(key, value)
    try:
        with warnings.catch_warnings():
            # About its data frames, which are not used here.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            context = SparkContext(conf=conf)
    except Exception as error:  # from Java, py4j or pyspark, without a common base
        raise BuildError(
            f"Spark does not start with --master {master}: {message(error)}; a master is local[N], spark://HOST:PORT, "
            "yarn or k8s://…, and Java has to be 17 or later"
        ) from error
    if "PYSPARK_PYTHON" not in os.environ:
        context.pythonExec = sys.executable  # Spark's default is the machine's python3
    return context


def _pack_code(path: Path) -> None:
    """Write the code of this program as a zip file, so that workers run what the driver runs."""
    with zipfile.ZipFile(path, "w") as archive:
        for package in _PACKAGES:
            folder = Path(import_module(package).__path__[0])
            for file in sorted(folder.rglob("*.py")):
                archive.write(file, package / file.relative_to(folder))


def message(error: BaseException) -> str:
    """Return the message of an exception whose text has the stack traces of two languages."""
    text = str(error) or type(error).__name__
    _, python, trace = text.rpartition("Traceback (most recent call last):\n")
    if python:  # a task's own exception: what follows the frames of its trace, which are indented
        trace = re.split(r"\n\s*SQLSTATE|\n\tat ", trace)[0]
        return " ".join(line for line in trace.splitlines() if not line.startswith("  ")).strip()
    java = re.search(r"^: (.*)", text, re.MULTILINE)
    return (java[1] if java else text.splitlines()[0]).rstrip(".")
