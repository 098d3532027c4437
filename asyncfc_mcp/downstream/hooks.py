"""What a connection needs from whoever owns the calls on it: answers for its server, and ears for its notifications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

OnInput = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Answers the `inputRequests` of one call with its `inputResponses`, both as on the wire; raises `InputRefused`."""

OnStatus = Callable[[str], None]
"""Takes what a task of a server says about itself, in words."""


class Hooks(Protocol):
    """Both are told the `owner` of every call that runs on the connection at that moment, oldest first."""

    async def answer(
        self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Answer a request of a legacy server (elicitation, sampling, roots), raw; raises MCPError to refuse it."""
        ...

    def notified(self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None) -> None:
        """Take a notification that is not the connection's own business; never raises.

        Log messages, `resources/updated`, changed lists of any kind (after the listing was fetched again), and
        whatever else a server sends.
        """
        ...
