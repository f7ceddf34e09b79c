"""A Spark application: started with what a build needs, and its errors in a line."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from promptsearch.errors import BuildError

if TYPE_CHECKING:
    from pyspark import SparkContext

_ATTEMPTS = 4  # at a task before a build fails: what Spark allows by itself but for `local[N]`, which allows one


def start(name: str, master: str | None, settings: Mapping[str, str]) -> SparkContext:
    """`master` None: that of Spark's own configuration. Raises BuildError where Spark is missing or does not start."""
    try:
        from pyspark import SparkConf, SparkContext
    except ImportError as error:
        raise BuildError("--runner spark needs pyspark: install prompt-search[spark]") from error
    if not any(shutil.which("java", path=place) for place in (os.environ.get("JAVA_HOME", "") + "/bin", None)):
        raise BuildError("--runner spark needs Java, 17 or later: install a runtime, or set JAVA_HOME to one")
    conf = SparkConf().setAppName(name)
    conf.set("spark.ui.showConsoleProgress", "false")  # the build has a bar of its own
    if master is not None:
        conf.setMaster(re.sub(r"^local(?:\[([\d*]+)\])?$", lambda cores: f"local[{cores[1] or 1},{_ATTEMPTS}]", master))
    for key, value in settings.items():
        conf.set(key, value)
    try:
        context = SparkContext(conf=conf)
    except Exception as error:  # from Java, py4j or pyspark, without a common base
        raise BuildError(
            f"Spark does not start with --master {master}: {said(error)}; a master is local[N], spark://HOST:PORT, "
            "yarn or k8s://…, and Java has to be 17 or later"
        ) from error
    if "PYSPARK_PYTHON" not in os.environ:
        context.pythonExec = sys.executable  # Spark's default is whatever python3 is
    return context


def said(error: BaseException) -> str:
    """What went wrong, of an exception that carries the stack traces of two languages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A task's own exception is the last line before Java's part; Spark's own message is the first that names one.
    python = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception|Exit|TooLarge|Mismatch)\b.*: ", line)]
    own = [line for line in python if not line.startswith(("org.", "java.", "py4j."))]
    return (own or python or lines or [type(error).__name__])[-1 if own else 0]
