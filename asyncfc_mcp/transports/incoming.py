"""The messages of one client on their way to the SDK, which takes in each as it comes."""

from __future__ import annotations

from mcp_types import JSONRPCRequest

from asyncfc_mcp.downstream.links.arrivals import Arrivals

_MOST_BEFORE_REQUEST = 8
"""Messages that are kept of a client that has not said yet what it wants."""


class Incoming(Arrivals):
    """Ends with the client."""

    async def first_request(self) -> JSONRPCRequest | None:
        """The first request, which stays where it is; None when there is none before the end."""
        while True:
            for one in self._messages:
                if isinstance(one.message, JSONRPCRequest):
                    return one.message
            while len(self._messages) > _MOST_BEFORE_REQUEST:
                self._messages.pop()
            if self._is_over:
                return None
            await self._arrived()

    async def aclose(self) -> None:
        """Take nothing more."""
        self.end()
        self._messages.clear()
