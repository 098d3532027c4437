"""The MCP server that clients talk to, on any transport and in both eras, put together from its parts."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import anyio
import mcp_types as types
from anyio.abc import TaskStatus
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from asyncfc_mcp import __version__
from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.following import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED
from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.calls import Calls
from asyncfc_mcp.server.changes import Changes, Kind
from asyncfc_mcp.server.crowd import Crowd
from asyncfc_mcp.server.doorway import Context, Doorway, claims_of
from asyncfc_mcp.server.future_resources import TEMPLATE
from asyncfc_mcp.server.instructions import instructions
from asyncfc_mcp.server.lists import Lists, is_sound
from asyncfc_mcp.server.log_levels import LogLevels
from asyncfc_mcp.server.passing import Passing
from asyncfc_mcp.server.roots import Roots
from asyncfc_mcp.server.sessions import Sessions
from asyncfc_mcp.server.spans import Spans
from asyncfc_mcp.server.tasks.extension import Tasks
from asyncfc_mcp.server.tool_list import ToolList

NAME = "asyncfc-mcp"
_KINDS: dict[str, Kind] = {TOOLS_CHANGED: "tools", PROMPTS_CHANGED: "prompts", RESOURCES_CHANGED: "resources"}
FIRST_LISTING_S = 2.0
"""How long a client is kept waiting as it connects for servers that were never listed before: it hears their
instructions only once. Servers that were waited for in vain before are not waited for here."""


class Handlers:
    """Answers MCP requests with what the gateway gives.

    Args:
        gateway: does the work.
        settings: how clients are shown things.
        doorway: who is behind a request.
    """

    def __init__(self, gateway: Gateway, settings: GatewaySettings, doorway: Doorway) -> None:
        self._gateway = gateway
        self._has_met_client = False
        self.server: Server[Any] = Server(NAME, version=__version__, title="AsyncFC gateway")
        crowd = Crowd()
        self.server.middleware[:] = [Spans(sdks_own) for sdks_own in self.server.middleware]
        self.server.middleware.append(crowd.bounded)
        self.server.middleware.append(self._meet)
        self.server.middleware.append(RequestStateBoundary(_sealing(settings, doorway), default_audience=NAME))
        self._offers = Offers(gateway.pool, is_sound, (TEMPLATE,))
        self._sessions = Sessions(doorway)
        self._changes = Changes(gateway, self._offers, self._sessions, doorway)
        self._levels = LogLevels(gateway, self._offers, self._sessions)
        self._tasks = Tasks(gateway, settings, doorway)
        roots = Roots(gateway.pool, self._sessions, doorway)
        parts = (
            ToolList(gateway.pool.catalog, settings, doorway, gateway.delivery),
            Calls(
                gateway,
                settings,
                doorway,
                self._sessions,
                self._tasks,
                offers=self._offers,
                roots=roots,
                crowd=crowd,
            ),
            Lists(gateway, self._offers, self._sessions, doorway),
            Passing(
                gateway,
                self._offers,
                self._sessions,
                doorway,
                embed=settings.embed,
                input_timeout_s=settings.input_timeout_s,
            ),
            self._sessions,
            self._changes,
        )
        for part in parts:
            part.register(self.server)
        self.server.add_notification_handler(
            "notifications/roots/list_changed", types.NotificationParams, self._pass_on_roots
        )
        gateway.questions.back_channel = self._sessions
        gateway.attribution.answer_outside = roots.answer_outside
        gateway.attribution.listen(self._on_notification)
        self.options: InitializationOptions = self.server.create_initialization_options(
            NotificationOptions(tools_changed=True, prompts_changed=True, resources_changed=True)
        )
        # only now: extensions are declared where each request says whether its client knows them
        self._tasks.register(self.server)
        self._announced = (gateway.pool.catalog.version, self._offers.known)
        self._say_instructions()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own what is sent to clients outside of answers, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for part in (self._sessions, self._tasks, self._changes, self._levels):
                await tasks.start(part.run)
            task_status.started()

    # Changes

    def announce_changes(self) -> None:
        """Tell every client which of the merged lists are not what they were."""
        self._say_instructions()
        self._levels.ask_new()
        (version, before), now = self._announced, (self._gateway.pool.catalog.version, self._offers.known)
        self._announced = now
        if version != now[0]:
            self._changes.announce("tools")
        if (before.resources, before.templates) != (now[1].resources, now[1].templates):
            self._changes.announce("resources")
        if before.prompts != now[1].prompts:
            self._changes.announce("prompts")

    def _on_notification(self, _: str, __: Sequence[Future], method: str, ___: Mapping[str, Any] | None) -> None:
        """A server says that a list has changed: passed on also where we can see no difference."""
        changed = _KINDS.get(method)
        if changed is None:
            return
        before, now = self._announced, (self._gateway.pool.catalog.version, self._offers.known)
        is_seen = before == now if changed != "tools" else before[0] == now[0]
        if is_seen:  # else `announce_changes` is about to say it
            self._changes.announce(changed)

    async def _pass_on_roots(self, _: Context, __: types.NotificationParams) -> None:
        await self._gateway.pool.notify_all("notifications/roots/list_changed")

    def expect_call(self, request: Hashable) -> None:
        """A transport has read a tool call: that HTTP request, or one of that id from the one client that there is."""
        self._gateway.delivery.expect_call(request)

    def drop_call(self, request: Hashable) -> None:
        """A call that was expected has been answered, by whomever."""
        self._gateway.delivery.take_expected_call(request)

    def connection(self, session: str) -> Connection | None:
        """The SDK's end of a session; None where it has ended, or has brought no request yet."""
        return self._sessions.connection(session)

    def end_session(self, session: str) -> None:
        """A transport has seen the end of a session or stream."""
        self._gateway.end_session(session)

    async def _meet(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """See the client's first request: what it says of itself is said to the servers that wait for it."""
        if not self._has_met_client and ctx.request_id is not None:
            self._has_met_client = True
            self._gateway.pool.claim(_first_claims(ctx))
            if ctx.method != "initialize":
                self._sessions.expect_none()
        if ctx.method in ("initialize", "server/discover"):
            await self._gateway.pool.catalog.tools(FIRST_LISTING_S, patience_with_missed_s=0)
            self._say_instructions()
        return await call_next(ctx)

    def _say_instructions(self) -> None:
        said = {key: status.instructions or "" for key, status in self._gateway.pool.statuses().items()}
        self.server.instructions = self.options.instructions = instructions(said)


def _first_claims(context: Context) -> Claims:
    if context.method == "initialize":
        return Claims.of("legacy", (context.params or {}).get("capabilities"))
    return claims_of(context)


def _sealing(settings: GatewaySettings, doorway: Doorway) -> RequestStateSecurity:
    """Questions are answered while they are open, by whom they were shown to, to this very process."""
    return RequestStateSecurity(
        keys=[secrets.token_bytes(32)],
        ttl=settings.input_timeout_s,
        bind_principal=lambda context: doorway.caller(context).principal,
    )
