"""Clients that hang up before they have been answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. It is cancelled when the client hangs up, and ClientDisconnect raised for nobody to hear.

    The request's body must have been read: what comes after it can only be the end.
    """
    waiting = asyncio.current_task()
    assert waiting is not None
    gone = asyncio.create_task(_departure(request))
    left = False

    def leave(_: object) -> None:
        nonlocal left
        left = True
        waiting.cancel()

    gone.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if left and not waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        gone.remove_done_callback(leave)
        gone.cancel()


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
