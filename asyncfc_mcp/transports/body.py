"""How large a request may be."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_BODY_BYTES = 16 * 2**20
"""Of one request: enough for a file as an argument. The transports of the SDK hold it too, for bodies that do not say
how long they are."""


class BodyLimit:
    """Refuses what says that it is too large, before any of it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > MOST_BODY_BYTES:
            text = (
                f"The request has {declared} bytes, and at most {MOST_BODY_BYTES} are taken. Leave large values where "
                "they are and pass the token of the call that gave them.\n"
            )
            return PlainTextResponse(text, 413)(scope, receive, send)
        return self._app(scope, receive, send)
