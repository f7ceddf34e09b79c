"""Every setting of the service, from `PROMPT_SEARCH_*` variables and command-line flags of the same names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, CliImplicitFlag, NoDecode, SettingsConfigDict

from promptsearch.remote.collections import CACHE
from promptsearch.remote.store import is_url

from .access.rates import parse_rate

MEBIBYTE = 2**20


class Settings(BaseSettings):
    """Search images and prompts by meaning, over HTTP. Each flag is also an environment variable: --port is
    PROMPT_SEARCH_PORT. Lists are written with commas, or the flag is repeated."""

    model_config = SettingsConfigDict(
        env_prefix="PROMPT_SEARCH_",
        cli_prog_name="python -m service",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        frozen=True,
    )

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for every network")
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one")
    # A place that is a string is the URL of an object store.
    models: Annotated[list[Path | str], NoDecode] = Field(
        default=[Path("models")], description="folders of model bundles, or URLs such as s3://bucket/models"
    )
    indices: Annotated[list[Path | str], NoDecode] = Field(
        default=[Path("indices")], description="folders of collections, or URLs such as s3://bucket/indices"
    )
    cache: Path = Field(default=CACHE, description="folder for what is brought from URLs")
    collection: str | None = Field(
        default=None, description="the one that is meant where a request names none; the only one is"
    )
    precision: Literal["fp32", "int8"] = Field(default="fp32", description="which encoders of a bundle are loaded")
    files: Annotated[dict[str, Path], NoDecode] = Field(
        default={}, description="NAME=DIR: the folder of a collection's original pictures, if they may be served"
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default=[], description="web origins whose pages may call this service, such as https://example.org, or *"
    )
    workers: int = Field(default=1, ge=1, description="processes; each has the models in memory, files are shared")
    queue: int = Field(default=256, ge=1, description="requests that may be under way; more are answered 503")
    deadline: float = Field(default=5.0, gt=0, description="seconds in which what is accepted is answered, or 503")
    cache_bytes: int = Field(default=32 * MEBIBYTE, ge=0, description="for vectors and answers to repeated queries")
    max_upload_bytes: int = Field(default=20 * MEBIBYTE, ge=1, description="largest request body")
    max_pixels: int = Field(default=50_000_000, ge=1, description="largest uploaded picture, width times height")
    image_urls: CliImplicitFlag[bool] = Field(
        default=False, description="/knn-service may fetch pictures from public addresses that its clients name"
    )
    api_keys: Annotated[list[SecretStr], NoDecode] = Field(
        default=[],
        description="keys of which each request must bring one; a flag can be seen by others, a variable cannot",
    )
    api_keys_file: Path | None = Field(default=None, description="a file with such keys, one a line")
    rate_limit: str | None = Field(
        default=None,
        description="how often one key (without keys: one address) may ask, such as 600/minute",
    )
    otlp_endpoint: str | None = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="where OpenTelemetry traces are sent, over HTTP; OTEL_EXPORTER_OTLP_ENDPOINT says it as well",
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
            raise ValueError("write NAME=DIR, such as emoji=/data/emoji")
        return {name.strip(): folder.strip() for name, _, folder in pairs}

    @field_validator("rate_limit", mode="after")
    @classmethod
    def _a_rate(cls, value: str | None) -> str | None:
        if value is not None:
            parse_rate(value)
        return value

    @field_validator("models", "indices", mode="after")
    @classmethod
    def _places(cls, value: list[Path | str]) -> list[Path | str]:
        if not value:
            raise ValueError("name at least one folder")
        return [str(place).rstrip("/") if is_url(place) else Path(place) for place in value]
