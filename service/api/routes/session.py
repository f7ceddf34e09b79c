"""An API key exchanged for a cookie, so that the page's pictures load; only where keys are set."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from ...access.keys import COOKIE, SESSION, Keys

router = APIRouter(tags=["service"])


@router.post("/session", status_code=HTTPStatus.NO_CONTENT, summary="A cookie for an API key", response_class=Response)
async def session(request: Request) -> Response:
    """Send the key as `Authorization: Bearer`; the cookie stands for it until it ends after twelve hours."""
    keys: Keys = request.app.state.keys
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        keys.session(request.headers.get("authorization")),
        max_age=SESSION,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
