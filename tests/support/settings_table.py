"""Write the table of docs/settings.md from the service's settings: `python -m tests.support.settings_table`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from service.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
HEAD = "| flag | default | meaning |\n|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


def table() -> str:
    """Return the table in Markdown, one row for each setting."""
    rows = [
        f"| `--{name.replace('_', '-')}` | {_format(field.default)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "".join(rows)


def _format(default: Any) -> str:
    if isinstance(default, list):
        default = ",".join(map(str, default))
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, int) and default >= 100_000:
        return f"{default:,}"
    return f"`{default}`" if isinstance(default, str | int | float | Path) and default != "" else "none"


def main() -> None:
    """Replace the table in the page."""
    PAGE.write_text(TABLE.sub(table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
