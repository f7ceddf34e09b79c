"""What is refused at first sight, because even refusals take time."""

from __future__ import annotations

import re
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from promptsearch.errors import Overloaded
from service.problems import answer

READ = "read"  # in a scope's state: time.perf_counter() when the request began to be read

_WORK = re.compile(r"/+(search|images|prompts|embed|knn-service|metadata)(/|$)")  # and not health, metrics or the page
# Seconds that a request may have waited for the event loop. It is a lone one's whole time there many times over, and so
# little that the steps of what has been let in, which wait as long each, stay far from their deadline.
_LATE = 0.02


class Shedding:
    """ASGI middleware that refuses work where there is no room for it and the event loop comes late to it.

    To find out what is asked, and that its answer is known already, takes longer than to refuse it. While the loop
    keeps up, it is found out first.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_late(scope) and _WORK.match(scope["path"]):
            try:
                scope["app"].state.searching.require_room()
            except Overloaded as error:
                await answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_late(scope: Scope) -> bool:
    read: float | None = scope.get("state", {}).get(READ)
    return read is not None and time.perf_counter() - read > _LATE
