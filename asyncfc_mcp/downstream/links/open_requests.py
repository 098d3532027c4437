"""Which requests a server has not answered yet, for an answer that can no longer say which of them it belongs to."""

from __future__ import annotations

from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

from asyncfc_mcp.downstream.links.framing import Line, looks_like_an_answer, response_id

_STAYS_OPEN = "subscriptions/listen"
"""Answered as it ends, and with next to nothing."""


class OpenRequests:
    """The requests that were written on one stream."""

    def __init__(self) -> None:
        self._ids: set[RequestId] = set()

    def note_sent(self, message: JSONRPCMessage) -> None:
        """A message goes to the server."""
        if isinstance(message, JSONRPCRequest):
            if message.method != _STAYS_OPEN:
                self._ids.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            # Most servers never answer it then.
            self._ids.discard((message.params or {}).get("requestId", ""))

    def note_received(self, message: JSONRPCMessage) -> None:
        """A message has come from it."""
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._ids.discard(message.id)

    def meant_by(self, line: Line) -> RequestId | None:
        """The request that a message answers of which only the two ends are known; None when nothing says it.

        With several open ones a guess would fail a stranger's call; theirs is for the time-outs to say.
        """
        if (said := response_id(line)) is not None or not looks_like_an_answer(line):
            return said
        return next(iter(self._ids)) if len(self._ids) == 1 else None
