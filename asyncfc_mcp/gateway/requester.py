"""The client's side of one request that is being answered, as far as the gateway needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller


class ClientGone(GatewayError):
    """The client has vanished while it was asked; somebody else may be."""


@runtime_checkable
class Requester(Protocol):
    """Reaches the client of a request while that request waits."""

    caller: Caller
    """Whose request it is."""
    shows_questions: bool
    """Whether a question for the user ends the wait, because the client takes it as the result of its request. Where
    not, `ask` puts it to the client and the request goes on waiting."""

    async def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Pass on how far the call is; nothing happens when the client did not ask for it."""
        ...

    async def log(self, params: Mapping[str, Any]) -> None:
        """Pass on a log message of the server, if the client wants messages of that level."""
        ...

    async def ask(self, method: str, params: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        """Put a server's request to the client; the raw result.

        Raises:
            InputRefused: the client refused it, or took too long.
            ClientGone: nobody is there to answer any more.
        """
        ...
