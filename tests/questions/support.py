"""Clients whose user answers, and the server that asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    Root,
    TextContent,
)

ASKING = Path(__file__).parent / "servers" / "asking.py"
FORM = {
    "mode": "form",
    "message": "Which colour?",
    "requestedSchema": {"type": "object", "properties": {"colour": {"type": "string"}}},
}
RED = {"action": "accept", "content": {"colour": "red"}}


def asking(**settings: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(ASKING)], "asyncfc": {"prefix": "", **settings}}


class User:
    """Somebody in front of a client, who answers every form with the same content and remembers what was asked."""

    def __init__(self, content: dict[str, Any] | None = None, *, action: str = "accept") -> None:
        self.content = content if content is not None else {"colour": "red"}
        self.action = action
        self.asked: list[str] = []
        self.was_asked = anyio.Event()
        self.may_answer = anyio.Event()
        self.may_answer.set()

    async def elicit(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        self.asked.append(params.message)
        self.was_asked.set()
        await self.may_answer.wait()
        content = self.content if self.action == "accept" else None
        return ElicitResult(action=self.action, content=content)  # pyright: ignore[reportArgumentType]

    async def sample(self, _: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        self.asked.append("sampling")
        return CreateMessageResult(
            role="assistant", content=TextContent(type="text", text="Paris"), model="stub", stop_reason="endTurn"
        )

    async def roots(self, _: ClientRequestContext) -> ListRootsResult:
        self.asked.append("roots")
        return ListRootsResult(roots=[Root(uri="file:///project", name="project")])  # pyright: ignore[reportArgumentType]

    @property
    def options(self) -> dict[str, Callable[..., Any]]:
        """For `Client`: it can do everything."""
        return {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.roots,
        }
