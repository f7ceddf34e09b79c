"""What Schemathesis must know beyond the API's description, which cannot say it; loaded by test_schema.py."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext


@schemathesis.hook
def filter_case(_context: HookContext, case: Case[Any]) -> bool:
    """Leaves out what is valid by the description alone, and what is invalid by it alone."""
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE:
        # In a form every value is a text: the number 1 as `q` is sent as "1".
        description = getattr(case.meta.phase.data, "description", None) or ""
        return case.media_type != "multipart/form-data" or "`type`" not in description
    if case.method != "GET":
        return True
    query = case.query or {}
    asked = not case.path.startswith("/search/") or str(query.get("q", "")).strip() != ""
    return asked and "cursor" not in query  # nobody makes up a cursor
