"""Answers as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from promptsearch.client.results import AnyPage, Field, Generation, ImageResult, PromptResult

_VALUES = 5  # of a field
_SOURCES = 3  # of a prompt's images


def render_page(page: AnyPage) -> RenderableType:
    table = _table("score", "id")
    for title in ("prompt", "settings", "source") if page.kind == "images" else ("prompt", "images", "sources"):
        table.add_column(title, overflow="fold", justify="right" if title == "images" else "left")
    for result in page:
        score = "" if result.score is None else f"{result.score:.3f}"
        table.add_row(*map(_text, (score, result.id, *_described(result))))
    notes = [_text(note, "yellow") for note in page.notes]
    return Group(*notes, table if len(page) else _text("nothing found"))


def render_fields(fields: Sequence[Field]) -> RenderableType:
    table = _table("field", "type", "images", "different", "from", "to")
    table.add_column("most frequent (images)", overflow="fold")
    for field in fields:
        bounds = ("" if bound is None else str(bound) for bound in (field.least, field.greatest))
        values = ", ".join(f"{value} ({count:,})" for value, count in field.values[:_VALUES])
        row = (field.name, field.type, f"{field.count:,}", f"{field.distinct:,}", *bounds, values)
        table.add_row(*map(_text, row))
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _described(result: ImageResult | PromptResult) -> tuple[str, str, str]:
    if isinstance(result, PromptResult):
        sources = [image.image.source for image in result.images[:_SOURCES]]
        return result.text, f"{result.image_count:,}", ", ".join(sources)
    return "" if result.prompt is None else result.prompt.text, _settings(result), result.image.source


def _settings(image: Generation) -> str:
    said: Mapping[str, Any] = image.settings
    return " ".join(f"{name}={value}" for name, value in said.items())


def _text(text: str, style: str = "") -> Text:
    """Other people's text: neither markup nor anything else that a terminal would obey."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text), style)
