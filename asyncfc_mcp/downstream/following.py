"""A server's lists over time: kept from an earlier start, fetched, followed as they change, and announced."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import anyio
import anyio.to_thread
import structlog
from mcp.client.session import ClientSession
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.handshake import explanation
from asyncfc_mcp.downstream.listing import KeptListing, Listing, fetch_listing
from asyncfc_mcp.downstream.retrying import delay_s

log = structlog.get_logger(__name__)

TOOLS_CHANGED = "notifications/tools/list_changed"
RESOURCES_CHANGED = "notifications/resources/list_changed"
PROMPTS_CHANGED = "notifications/prompts/list_changed"
LIST_CHANGES = frozenset({TOOLS_CHANGED, RESOURCES_CHANGED, PROMPTS_CHANGED})
_LIST_LIMIT_S = 60.0


class Lists:
    """The listing of one server: kept from an earlier start, fetched, and fetched again whenever it changed.

    `on_listing` is called when it differs; `announce` with every list_changed that clients are to hear of.
    """

    def __init__(
        self,
        server: str,
        kept: KeptListing | None,
        on_listing: Callable[[], None],
        announce: Callable[[str], None],
    ) -> None:
        self.known: Listing | None = None
        """The last known listing."""
        self.was_missed = False
        """Whether clients have waited for the very first one in vain, in this start or an earlier one."""
        self._server = server
        self._kept = kept
        self._on_listing = on_listing
        self._announce = announce
        self._noted = anyio.Event()
        self._told: set[str] = set()

    def load(self, claims: Claims) -> bool:
        """Start from what was kept for such a client, if anything was."""
        kept = self._kept.load(claims) if self._kept else None
        self.known = self.known or kept
        if self.known is None and self._kept is not None:
            self.was_missed = self.was_missed or self._kept.was_missed(claims)
        return kept is not None

    async def note_missed(self, claims: Claims) -> None:
        """Have it known at the next start, too, that clients waited in vain; nothing where there is a listing."""
        if self.known is not None or self.was_missed or self._kept is None:
            return
        self.was_missed = True
        await anyio.to_thread.run_sync(self._kept.note_missed, claims)

    def note(self, methods: Collection[str] = ()) -> None:
        """Have the lists looked at again, and these changes announced even if nothing differs then."""
        self._told.update(methods)
        self._noted.set()

    async def fetch(self, session: ClientSession, capabilities: dict[str, Any], claims: Claims) -> None:
        """Fetch them for the first time on a connection.

        Raises:
            MCPError: The connection ended, or the tools cannot be listed.
        """
        await self._take(await fetch_listing(session, self._server, capabilities, self.known), claims)

    async def follow(self, session: ClientSession, capabilities: dict[str, Any], claims: Claims) -> None:
        """Fetch them again whenever the server says that they changed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold_list_subscription, session, self.note)
            while True:
                await self._noted.wait()
                self._noted = anyio.Event()
                told, self._told = self._told, set()
                await self._take(await self._refetched(session, capabilities), claims, told)

    async def _refetched(self, session: ClientSession, capabilities: dict[str, Any]) -> Listing:
        try:
            with anyio.fail_after(_LIST_LIMIT_S):
                return await fetch_listing(session, self._server, capabilities, self.known)
        except (MCPError, TimeoutError) as error:
            log.warning("server_list_not_refreshed", server=self._server, why=explanation(error, None))
        return self.known or Listing()

    async def _take(self, listing: Listing, claims: Claims, told: Collection[str] = ()) -> None:
        if listing != self.known and self._kept is not None:
            # first, so that a client which has seen it and leaves at once finds it again
            await anyio.to_thread.run_sync(self._kept.save, listing, claims)
        before, self.known = self.known, listing
        if listing != before:
            self._on_listing()
        # In this order: who hears of a change may look at once.
        for method in sorted({*told, *_differences(before, listing)}):
            self._announce(method)


def _differences(before: Listing | None, after: Listing) -> set[str]:
    """The lists, tools apart, that differ; the merged list of tools has its own announcement."""
    known = before or Listing()
    changed: set[str] = set()
    if (known.resources, known.templates) != (after.resources, after.templates):
        changed.add(RESOURCES_CHANGED)
    if known.prompts != after.prompts:
        changed.add(PROMPTS_CHANGED)
    return changed


async def hold_list_subscription(session: ClientSession, on_open: Callable[[], None]) -> None:
    """Keep a modern server telling us of list changes; its notifications go where all others go."""
    capabilities = session.server_capabilities
    if session.protocol_version not in MODERN_PROTOCOL_VERSIONS or capabilities is None:
        return
    tools = bool(capabilities.tools and capabilities.tools.list_changed)
    prompts = bool(capabilities.prompts and capabilities.prompts.list_changed)
    resources = bool(capabilities.resources and capabilities.resources.list_changed)
    if not (tools or prompts or resources):
        return
    failures = 0
    while True:
        try:
            async with listen(
                session, tools_list_changed=tools, prompts_list_changed=prompts, resources_list_changed=resources
            ) as subscription:
                # What changed before the stream was open was told to nobody.
                on_open()
                async for _ in subscription:
                    failures = 0
        except SubscriptionLost:
            log.debug("server_subscription_lost")
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return
        failures += 1
        await anyio.sleep(delay_s(failures))
