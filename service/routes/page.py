"""The web page at `/`: plain files, which may load from this service and from nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

FOLDER = Path(__file__).parent.parent / "page"

HEADERS = {
    # blob: is the preview of a picture that someone dropped.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address has what was searched for
    "Cache-Control": "no-cache",  # kept, but asked for again (304): the files' names stay the same when they change
}


class Page(StaticFiles):
    """The page's files under the headers that keep it to itself."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True)

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update(HEADERS)
        return response
