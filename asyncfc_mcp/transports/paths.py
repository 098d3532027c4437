"""What is answered where nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


def pointing_to(path: str) -> dict[int, Callable[[Request, Exception], Awaitable[Response]]]:
    """For an application that serves MCP at `path` alone: addresses are often given without it, or with the other's."""

    async def say(_: Request, __: Exception) -> Response:
        return PlainTextResponse(f"There is nothing at this path; MCP is at {path} here.\n", 404)

    return {404: say}
