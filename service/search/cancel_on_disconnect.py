"""Work is cancelled when the client that waits for it disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns. When the client disconnects, cancel it and raise ClientDisconnect.

    The request's body must have been read: the only message that can still arrive is the disconnect.
    """
    waiting = asyncio.current_task()
    assert waiting is not None
    watcher = asyncio.create_task(_disconnect(request))
    disconnected = False

    def cancel(_: object) -> None:
        nonlocal disconnected
        disconnected = True
        waiting.cancel()

    watcher.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        if disconnected and not waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watcher.remove_done_callback(cancel)
        watcher.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
