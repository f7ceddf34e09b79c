"""Errors of a missing Spark, of one that does not start, and of tasks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builder.__main__ import main
from builder.encode.runners.cluster import Cluster, message
from promptsearch.errors import BuildError

JAVA = "\n\tat org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:1097)\n\tat java.lang.Thread.run"
TASK = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 4327, in invoke_udf
    run_process()
    ^^^^^^^^^^^^^
ValueError: this is wrong: 7
and that, too
 SQLSTATE: 38000"""
CRASH = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TASK + JAVA, "ValueError: this is wrong: 7 and that, too"),
        (CRASH + JAVA, "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"),
        ("one line", "one line"),
        ("", "ValueError"),
    ],
)
def test_a_message_has_no_stack_traces(text: str, expected: str) -> None:
    assert message(ValueError(text)) == expected


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with (
        pytest.raises(BuildError, match=r"--runner spark needs pyspark: install prompt-search\[spark\]"),
        Cluster("local[2]").application("c"),
    ):
        pass


@pytest.mark.spark
def test_a_missing_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with (
        pytest.raises(BuildError, match="--runner spark needs Java 17 or later"),
        Cluster("local[2]").application("c"),
    ):
        pass


@pytest.mark.spark
@pytest.mark.usefixtures("spark_home")
def test_an_invalid_master_is_named() -> None:
    expected = (
        r"Spark does not start with --master local\[x\]: .*Could not parse Master URL: 'local\[x\]'; a master is local"
    )
    with pytest.raises(BuildError, match=expected), Cluster("local[x]").application("c"):
        pass


@pytest.mark.parametrize("flag", ["--master=local[2]", "--shards=/tmp", "--conf=spark.task.cpus=2"])
def test_spark_flags_require_the_spark_runner(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "manifest", "builder/demo/emoji", "--model", "models/emoji", "--collection", "none", flag])
    assert (
        capsys.readouterr().err
        == f"error: {flag.partition('=')[0]} is used with --runner spark only: add that, or leave it out\n"
    )


def test_a_setting_has_a_name_and_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["index", "--collection", "none", "--runner", "spark", "--conf", "executor.memory"])
    assert "expected a Spark setting, spark.KEY=VALUE, got 'executor.memory'" in capsys.readouterr().err
