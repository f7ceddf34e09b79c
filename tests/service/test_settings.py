"""Settings come from flags and variables of the same names; flags win."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import CliApp

from service.http.problems import describe
from service.settings import Settings, unknown_variables

A, B = Path("a"), Path("b")


@pytest.fixture(autouse=True)
def _no_settings_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PROMPT_SEARCH_{name.upper()}", raising=False)


def read(flags: Sequence[str]) -> Settings:
    return CliApp.run(Settings, cli_args=list(flags))


def test_unknown_variables_are_named_with_a_suggestion() -> None:
    set_variables = {"PROMPT_SEARCH_PORT": "1", "PROMPT_SEARCH_URL": "", "prompt_search_host": "", "PATH": ""}
    assert unknown_variables(set_variables) == []
    assert unknown_variables({**set_variables, "PROMPT_SEARCH_PROT": "1", "PROMPT_SEARCH_ZZZZZZZZZZZZZZ": ""}) == [
        "PROMPT_SEARCH_PROT is no setting, PROMPT_SEARCH_PORT is: it has no effect",
        "PROMPT_SEARCH_ZZZZZZZZZZZZZZ is no setting: it has no effect",
    ]


def test_settings_have_defaults() -> None:
    settings = read([])
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.models, settings.indices) == ([Path("models")], [Path("indices")])
    assert (settings.collection, settings.precision, settings.files, settings.cors_origins) == (None, "fp32", {}, [])
    assert (settings.max_upload_bytes, settings.max_pixels) == (20 * 2**20, 50_000_000)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (["--models", "a,b"], "models", [A, B]),
        (["--models", "a", "--models", "b"], "models", [A, B]),
        (["--models=a, b ,"], "models", [A, B]),
        (["--indices", "a"], "indices", [A]),
        (["--indices", "a", "--indices", "b"], "indices", [A, B]),
        (["--indices", "s3://bucket/indices/,a"], "indices", ["s3://bucket/indices", A]),
        (["--models", "s3://bucket/models"], "models", ["s3://bucket/models"]),
        (["--cache", "a"], "cache", A),
        (["--files", "x=a"], "files", {"x": A}),
        (["--files", "x=a,y=b"], "files", {"x": A, "y": B}),
        (["--files", "x=a", "--files", "y=b"], "files", {"x": A, "y": B}),
        (["--files", "x=a=b"], "files", {"x": Path("a=b")}),
        (["--port", "0"], "port", 0),
        (["--host", "::1"], "host", "::1"),
        (["--collection", "emoji"], "collection", "emoji"),
        (["--cors-origins", "https://example.org,https://example.com"], "cors_origins",
         ["https://example.org", "https://example.com"]),
        (["--max-upload-bytes", "5"], "max_upload_bytes", 5),
        (["--max-pixels", "5"], "max_pixels", 5),
    ],
)  # fmt: skip
def test_flags(flags: list[str], name: str, value: Any) -> None:
    assert getattr(read(flags), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("MODELS", "a,b", [A, B]),
        ("INDICES", "a", [A]),
        ("FILES", "x=a,y=b", {"x": A, "y": B}),
        ("PORT", "9000", 9000),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("COLLECTION", "emoji", "emoji"),
        ("PRECISION", "int8", "int8"),
        ("CORS_ORIGINS", "*", ["*"]),
    ],
)
def test_variables(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: Any) -> None:
    monkeypatch.setenv(f"PROMPT_SEARCH_{variable}", text)
    assert getattr(read([]), variable.lower()) == value


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_SEARCH_PORT", "9000")
    monkeypatch.setenv("PROMPT_SEARCH_MODELS", "a")
    settings = read(["--port", "9001", "--models", "b"])
    assert (settings.port, settings.models) == (9001, [B])


@pytest.mark.parametrize(
    ("flags", "finding"),
    [
        (["--port", "70000"], "port: input should be less than or equal to 65535"),
        (["--port", "-1"], "port: input should be greater than or equal to 0"),
        (["--port", "http"], "port: input should be a valid integer"),
        (["--models", ","], "models: name at least one folder"),
        (["--indices", ""], "indices: name at least one folder"),
        (["--files", "emoji"], "files: expected NAME=DIR, such as emoji=/data/emoji"),
        (["--files", "=a"], "files: expected NAME=DIR"),
        (["--max-pixels", "0"], "max_pixels: input should be greater"),
        (["--max-upload-bytes", "20MB"], "max_upload_bytes: input should be a valid integer"),
        (["--precision", "fp8"], "precision: input should be 'fp32' or 'int8'"),
    ],
)
def test_bad_settings(flags: list[str], finding: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(flags)
    assert describe(caught.value.errors()).startswith(finding)


def test_settings_are_passed_on_and_never_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read([]).port = 1
