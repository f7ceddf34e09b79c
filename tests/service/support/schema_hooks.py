"""Rules for Schemathesis that the API's description cannot express; loaded by test_openapi.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext


@schemathesis.hook
def filter_case(_context: HookContext, case: Case[Any]) -> bool:
    """Leave out cases that are valid or invalid only by the description."""
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE:
        # In a form every value is a text: the number 1 as `q` is sent as "1".
        description = getattr(case.meta.phase.data, "description", None) or ""
        return case.media_type != "multipart/form-data" or "`type`" not in description
    if case.method != "GET":
        return True
    query = case.query or {}
    words = str(query.get("q", "")).strip() != ""
    ranked = words or not case.path.startswith("/search/")
    return ranked and _goes_together(case.path, query, words=words)


def _goes_together(path: str, query: Mapping[str, Any], *, words: bool) -> bool:
    """Return whether parameters agree; a description cannot express cursors, JSON as text and names of fields."""
    if not query.keys().isdisjoint(("cursor", "terms", "filter", "sort")):
        return False
    if query.get("mode", "semantic") != "semantic" and not words:
        return False
    ordered = query.get("diversity", 0) or query.get("deduplicate", False)
    if "via" in query and (path.startswith("/search/images") or path.endswith("/images") or ordered):
        return False
    if "via" in query and path.startswith("/images"):
        return False
    if "group_by" in query and not (path.startswith(("/search/images", "/images")) or path.endswith("/images")):
        return False
    return words or "images" not in path.rsplit("/", 1) or not (ordered or "min_score" in query)
