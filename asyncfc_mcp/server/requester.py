"""The client of one request while it waits: progress, log messages and questions on their way to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mcp.server.connection import allowed_log_levels
from mcp.shared.message import ServerMessageMetadata
from mcp_types import Notification, ServerNotification
from mcp_types import Request as WireRequest
from pydantic import BaseModel, ConfigDict, ValidationError

from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.questions.form import read_question
from asyncfc_mcp.server.doorway import Context, is_modern
from asyncfc_mcp.server.sessions import LEVELS, Session, client_faults


class RawResult(BaseModel):
    """Any result, as it came."""

    model_config = ConfigDict(extra="allow")


class RawRequest(WireRequest[dict[str, Any], str]):
    """Any request of a server, as it came."""


class RawLogMessage(Notification[dict[str, Any], str]):
    """A log message of a server, as it came."""

    method: str = "notifications/message"


class ContextRequester:
    """Reaches the client over the channel of its own request."""

    def __init__(self, context: Context, session: Session | None, caller: Caller) -> None:
        self.caller = caller
        self._context = context
        self._session = session
        self.shows_questions = is_modern(context)

    async def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Pass on progress, if the client asked for it."""
        await self._context.session.report_progress(done, total, message)

    async def log(self, params: Mapping[str, Any]) -> None:
        """Pass on a message, if the client wants messages of its level."""
        level = params.get("level")
        if level not in LEVELS:  # nobody can say whether such a message is wanted
            return
        if is_modern(self._context):
            is_wanted = level in allowed_log_levels(self._context.protocol_version, self._context.meta)
        else:
            is_wanted = self._session is None or self._session.wants(level)
        if is_wanted:
            message = cast("ServerNotification", RawLogMessage(params=dict(params)))
            await self._context.session.send_notification(message, self._context.request_id)

    async def ask(self, method: str, params: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        """Put a request of a server to a legacy client, in the course of this one of its own."""
        method, read = read_question({"method": method, "params": params})
        if not self.caller.claims.can_answer(method, read):
            raise InputRefused(f"the client cannot answer {method}")
        request = RawRequest(method=method, params=dict(read))
        metadata = ServerMessageMetadata(related_request_id=self._context.request_id)
        try:
            with client_faults(method, timeout_s):
                result = await self._context.session.send_request(request, RawResult, timeout_s, metadata)  # pyright: ignore[reportArgumentType]
        except ValidationError:  # its text would quote what the user typed
            raise InputRefused(f"what the client answered to {method} is not an answer to it") from None
        return result.model_dump()
