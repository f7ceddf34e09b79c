"""The settings of the service, from `PROMPT_SEARCH_*` variables and command-line flags of the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, CliImplicitFlag, NoDecode, SettingsConfigDict

from promptsearch.encoding.decode_memory import DECODE_MEMORY
from promptsearch.remote.cache import CACHE
from promptsearch.remote.store import is_url

from .access.rate_limiter import parse_rate

MEBIBYTE = 2**20
_OTHER_VARIABLES = ("URL", "API_KEY", "CONTAINERS")  # the clients', and that of the containers' tests


class Settings(BaseSettings):
    """Serve semantic search for images and prompts over HTTP. Each flag is also an environment variable: --port is
    PROMPT_SEARCH_PORT. Separate the items of a list with commas, or repeat the flag."""

    model_config = SettingsConfigDict(
        env_prefix="PROMPT_SEARCH_",
        cli_prog_name="python -m service",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        frozen=True,
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    # A string is the URL of an object store.
    models: Annotated[list[Path | str], NoDecode] = Field(
        default=[Path("models")], description="Folders of model bundles, or URLs such as s3://bucket/models."
    )
    indices: Annotated[list[Path | str], NoDecode] = Field(
        default=[Path("indices")], description="Folders of collections, or URLs such as s3://bucket/indices."
    )
    cache: Path = Field(default=CACHE, description="Folder for downloads from object stores.")
    collection: str | None = Field(default=None, description="Default collection (implied if only one is served).")
    precision: Literal["fp32", "int8"] = Field(default="fp32", description="Encoders to load: fp32 or int8.")
    files: Annotated[dict[str, Path], NoDecode] = Field(
        default={}, description="NAME=DIR: folder of a collection's originals, to serve them."
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default=[], description="Web origins that may call the service, such as https://example.org; * for all."
    )
    workers: int = Field(default=1, ge=1, description="Number of processes; each loads the models, files are shared.")
    max_connections: int = Field(
        default=10_000,
        ge=1,
        description="Maximum number of connections of a process, if it may open so many files.",
    )
    idle_timeout: float = Field(
        default=10.0, gt=0, description="Seconds without a byte after which a request that is being sent is ended."
    )
    request_timeout: float = Field(default=60.0, gt=0, description="Seconds within which a request must arrive.")
    queue: int = Field(default=256, ge=1, description="Maximum number of admitted requests; more get 503.")
    deadline: float = Field(
        default=5.0, gt=0, description="Seconds within which an admitted request is answered, else 503."
    )
    cache_bytes: int = Field(
        default=32 * MEBIBYTE, ge=0, description="Memory for cached vectors and answers, in bytes."
    )
    max_upload_bytes: int = Field(default=20 * MEBIBYTE, ge=1, description="Maximum request body, in bytes.")
    max_json_bytes: int = Field(
        default=MEBIBYTE, ge=1, description="Maximum JSON or form fields of a request, pictures aside, in bytes."
    )
    max_pixels: int = Field(default=50_000_000, ge=1, description="Maximum width times height of an uploaded picture.")
    decode_memory: int = Field(
        default=DECODE_MEMORY, ge=MEBIBYTE, description="Memory for pictures that are being decoded, in bytes."
    )
    image_urls: CliImplicitFlag[bool] = Field(
        default=False, description="Let /knn-service fetch pictures from public URLs that clients send."
    )
    api_keys: Annotated[list[SecretStr], NoDecode] = Field(
        default=[], description="API keys to accept. Prefer the variable: other users of the machine can see flags."
    )
    api_keys_file: Path | None = Field(default=None, description="File with API keys, one per line.")
    rate_limit: str | None = Field(
        default=None,
        description="Request limit per API key (without keys: per client address), such as 600/minute.",
    )
    otlp_endpoint: str | None = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="OTLP/HTTP endpoint for OpenTelemetry traces (default: OTEL_EXPORTER_OTLP_ENDPOINT).",
    )

    @field_validator("models", "indices", "cors_origins", "api_keys", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("files", mode="before")
    @classmethod
    def _split_pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if any(not name.strip() or not folder.strip() for name, _, folder in pairs):
            raise ValueError("expected NAME=DIR, such as emoji=/data/emoji")
        return {name.strip(): folder.strip() for name, _, folder in pairs}

    @field_validator("api_keys_file", mode="before")
    @classmethod
    def _drop_empty(cls, value: Any) -> Any:
        return None if value == "" else value  # as compose sets it without a secret

    @field_validator("rate_limit", mode="after")
    @classmethod
    def _check_rate(cls, value: str | None) -> str | None:
        if value is not None:
            parse_rate(value)
        return value

    @field_validator("models", "indices", mode="after")
    @classmethod
    def _strip_slashes(cls, value: list[Path | str]) -> list[Path | str]:
        if not value:
            raise ValueError("name at least one folder")
        return [str(place).rstrip("/") if is_url(place) else Path(place) for place in value]


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like a setting but is none, with the setting that may be meant."""
    prefix = str(Settings.model_config["env_prefix"])
    settings = [name.upper() for name in Settings.model_fields]
    lines = []
    for variable in sorted(environment):
        # Settings are read from names in any case.
        name = variable.upper().removeprefix(prefix)
        if variable.upper() == name or name in (*settings, *_OTHER_VARIABLES):
            continue
        close = get_close_matches(name, settings, 1)
        hint = f", {prefix}{close[0]} is" if close else ""
        lines.append(f"{variable} is no setting{hint}: it has no effect")
    return lines
