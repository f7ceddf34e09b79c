"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from promptsearch.client.page import AnyPage
from promptsearch.client.results import Field, Generation, ImageResult, PromptResult

_VALUES = 5  # frequent values shown of a field
_SOURCES = 3  # images whose source is shown with a prompt


def render_page(page: AnyPage) -> RenderableType:
    """Return a table of the page's results, under its notes."""
    table = _table("score", "id")
    for title in ("prompt", "settings", "source") if page.kind == "images" else ("prompt", "images", "sources"):
        table.add_column(title, overflow="fold", justify="right" if title == "images" else "left")
    for result in page:
        score = "" if result.score is None else f"{result.score:.3f}"
        table.add_row(*map(_text, (score, result.id, *_columns(result))))
    notes = [_text(note, "yellow") for note in page.notes]
    return Group(*notes, table if len(page) else _text("nothing found"))


def render_fields(fields: Sequence[Field]) -> RenderableType:
    """Return a table of the fields, with their ranges and most frequent values."""
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


def _columns(result: ImageResult | PromptResult) -> tuple[str, str, str]:
    if isinstance(result, PromptResult):
        sources = [image.image.source for image in result.images[:_SOURCES]]
        return result.text, f"{result.image_count:,}", ", ".join(sources)
    return "" if result.prompt is None else result.prompt.text, _settings(result), result.image.source


def _settings(image: Generation) -> str:
    settings: Mapping[str, Any] = image.settings
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _text(text: str, style: str = "") -> Text:
    """Return other people's text without markup and without control characters for the terminal."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text), style)
