"""An API key exchanged for a cookie, so that the page's pictures load, and back; only if keys are set."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from ...access.keys import COOKIE, SESSION, ApiKeys

router = APIRouter(tags=["service"])


@router.post("/session", status_code=HTTPStatus.NO_CONTENT, summary="A cookie for an API key", response_class=Response)
async def session(request: Request) -> Response:
    """Return a cookie that is valid for twelve hours. Send the key as `Authorization: Bearer`."""
    keys: ApiKeys = request.app.state.keys
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        keys.session(request.headers.get("authorization")),
        max_age=SESSION,
        httponly=True,
        samesite="strict",
        # Whoever claims to come through TLS gets a cookie for TLS alone: that needs no trust.
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
    )
    return response


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT, summary="Remove the cookie", response_class=Response)
async def end_session() -> Response:
    """Have the browser forget the cookie. A copy of it stays valid until it expires or its key is removed."""
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
