"""The README's table of settings, made from the code: `python -m tests.support.settings_table` writes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from service.settings import Settings

README = Path(__file__).parents[2] / "README.md"
HEAD = "| flag | default | what it is |\n|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


def table() -> str:
    rows = [
        f"| `--{name.replace('_', '-')}` | {_shown(field.default)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "".join(rows)


def _shown(default: Any) -> str:
    if isinstance(default, list):
        default = ",".join(map(str, default))
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, int) and default >= 100_000:
        return f"{default:,}"
    return f"`{default}`" if isinstance(default, str | int | float) and default != "" else "none"


def main() -> None:
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(table(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
