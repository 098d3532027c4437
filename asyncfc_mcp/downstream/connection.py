"""One supervised connection: kept up for ever, so that calls need only wait for it.

What goes over the wire during a call is `calls`'; what the servers offer together is `catalog`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import anyio
import structlog
from mcp.client.session import ClientSession
from mcp.client.subscriptions import listen
from mcp.shared.dispatcher import ProgressFnT
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.downstream.calls import Call
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.claims import EVERYTHING, Claims, Era
from asyncfc_mcp.downstream.exchange import RecordingDispatcher
from asyncfc_mcp.downstream.following import LIST_CHANGES, Lists
from asyncfc_mcp.downstream.handshake import CLIENT_INFO, Negotiation
from asyncfc_mcp.downstream.hooks import Hooks, OnInput, OnStatus
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.listing import KeptListing, Listing, fetch_listing
from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.downstream.patience import DEFAULT_PATIENCE, Patience
from asyncfc_mcp.downstream.sending import Live, RawNotification, Sender
from asyncfc_mcp.downstream.sign_in.auth import SignIn
from asyncfc_mcp.downstream.status import ServerStatus
from asyncfc_mcp.downstream.supervision import HANDSHAKE_LIMIT_S, START_TIMEOUT_S, Supervisor
from asyncfc_mcp.downstream.tasks.book import TaskBook
from asyncfc_mcp.downstream.vigil import Vigil

log = structlog.get_logger(__name__)

MAX_RESULT_BYTES = 64 * 2**20
_CLAIMS_LIMIT_S = 2.0
"""How long a server is kept waiting for what the client says of itself."""


class Connection:
    """The way to one server, from the start of the gateway to its end."""

    def __init__(
        self,
        entry: ServerEntry,
        *,
        kept: KeptListing | None = None,
        on_listing: Callable[[], None] | None = None,
        hooks: Hooks | None = None,
        claims: Claims = EVERYTHING,
        waits_for_claims: bool = False,
        primary: Connection | None = None,
        sign_in: SignIn | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        handshake_limit_s: float = HANDSHAKE_LIMIT_S,
        patience: Patience = DEFAULT_PATIENCE,
        max_result_bytes: int = MAX_RESULT_BYTES,
    ) -> None:
        self.entry = entry
        self.key = entry.key
        self.hooks = hooks
        self.claims = claims
        """In whose name the server is spoken to."""
        self.sign_in = primary.sign_in if primary else sign_in
        """How its requests are let in; None where the entry says all that there is to say."""
        self._primary = primary
        """The connection whose listing is that of the server, where this is a further one."""
        # A further connection hears of changes too, and has the primary one look.
        self._lists = primary._lists if primary else Lists(self.key, kept, self._note_listing, self._announce)  # noqa: SLF001
        self._on_listing = on_listing
        self._claimed = anyio.Event()
        self._book = TaskBook()
        self._negotiation = Negotiation()
        self._handshake_limit_s = handshake_limit_s
        self._patience = patience
        self._max_result_bytes = max_result_bytes
        self._supervisor = Supervisor(
            entry,
            self._talk_over,
            self.sign_in,
            start_timeout_s,
            handshake_limit_s,
            max_result_bytes=max_result_bytes,
            patience=patience,
        )
        self._uses = 0
        self._sent: set[Call] = set()
        """Calls that the server may be at work on; a task is also while the connection is down."""
        self._idle: anyio.Event | None = None
        """Set as nothing is in flight any more, where somebody waits for that."""
        self._wanted_at = time.monotonic()
        if not waits_for_claims:
            self._claimed.set()
            self._lists.load(claims)

    @property
    def listing(self) -> Listing | None:
        """The last known listing of the server: from this start, or kept from an earlier one."""
        return self._lists.known

    @property
    def status(self) -> ServerStatus:
        """How it stands right now."""
        listing = self.listing or Listing()
        return ServerStatus(
            state=self._supervisor.state,
            message=self._supervisor.message,
            starts=self._supervisor.starts,
            attempts=self._supervisor.attempts,
            retry_in_s=self._supervisor.retry_in_s,
            fails_fast=self._supervisor.fails_fast,
            is_given_up=self._supervisor.is_given_up,
            protocol_version=listing.protocol_version,
            server_name=listing.server_name,
            server_version=listing.server_version,
            instructions=listing.instructions,
        )

    @property
    def era(self) -> Era | None:
        """Which era it speaks with the server; None while it is down."""
        live = self._supervisor.usable
        return None if live is None else _era_of(live)

    async def era_when_up(self) -> Era:
        """Which era it speaks with the server, waiting for that while it starts.

        Raises:
            DownstreamUnavailable: It was not connected in time.
        """
        return _era_of(await self._supervisor.connected(is_call=False))

    @property
    def is_legacy(self) -> bool:
        """Whether it is up and speaks a revision with a handshake."""
        return self.era == "legacy"

    def claim(self, claims: Claims) -> None:
        """Say in whose name the server is spoken to, where that was waited for; the first one counts."""
        if self._claimed.is_set():
            return
        self.claims = claims
        self._claimed.set()
        if self._lists.load(claims):
            self._note_listing()

    async def call_tool(
        self,
        tool: str,
        arguments: dict[str, Any] | None,
        *,
        meta: dict[str, Any] | None = None,
        claims: Claims | None = None,
        on_progress: ProgressFnT | None = None,
        cancel_requested: CancelRequest | None = None,
        owner: object = None,
        on_input: OnInput | None = None,
        on_status: OnStatus | None = None,
        input_responses: dict[str, Any] | None = None,
        request_state: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Call a tool, waiting for the server while it starts, until its result is complete.

        Setting `cancel_requested` asks the server to cancel while its answer is still waited for; whoever does not
        want to wait any longer cancels this task. On modern HTTP asking ends the exchange, so no answer comes.

        `claims` are said on a modern connection, by default those of the connection; `owner` is what the hooks are told
        while the call is in flight. `on_input` gives what the server asks of the user, and the call is sent again with
        it; `input_responses` and `request_state` continue a call that asked somebody else. `check` is called when the
        server is connected and has listed its tools, right before it is sent; it may raise a DownstreamError.

        Raises:
            DownstreamUnavailable: It was not connected in time; the call was not sent.
            DownstreamLost: The connection ended during the call.
            ResultTooLarge: Its answer was dropped.
            DownstreamError: Any other way to end without a result.
        """

        def admit() -> None:
            check()
            self._sent.add(call)

        call = Call(
            self.key,
            tool,
            self._supervisor.connected,
            meta=meta,
            claims=claims,
            owner=owner,
            on_progress=on_progress,
            on_input=on_input,
            on_status=on_status,
            book=self._book,
            must_be_task=partial(self._must_be_task, tool),
            check=admit,
            max_result_bytes=self._max_result_bytes,
        )
        with self._in_use():
            try:
                return await call.run(
                    arguments, cancel_requested, input_responses=input_responses, request_state=request_state
                )
            finally:
                self._sent.discard(call)

    def _must_be_task(self, tool: str) -> bool:
        return self.listing is not None and tool in self.listing.must_be_tasks

    async def request(
        self,
        method: str,
        params: dict[str, Any] | None,
        *,
        claims: Claims | None = None,
        owner: object = None,
        on_progress: ProgressFnT | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Send any other request, waiting for the server while it starts; the raw result, with its `resultType`.

        `name` is the `Mcp-Name` header of methods that are not the protocol's own.

        Raises:
            MalformedResult: The result is none of that method; the error holds it.
            DownstreamError: As `call_tool`.
        """
        sender = Sender(
            self.key, method, self._supervisor.connected, claims=claims, owner=owner, on_progress=on_progress
        )
        with self._in_use():
            return await sender.send(method, params, name=name)

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification; it is dropped when the server is not connected, which then knows nothing of us."""
        live = self._supervisor.usable
        if live is not None:
            # The session takes any notification as it is; its type names those of the protocol alone.
            await live.session.send_notification(RawNotification(method=method, params=params))  # pyright: ignore[reportArgumentType]

    async def listen(self, uris: Sequence[str], on_open: Callable[[], None] | None = None) -> None:
        """Have a modern server tell the hooks of changes to these resources until its stream ends.

        `on_open` is called when the server has agreed.

        Raises:
            DownstreamUnavailable: It was not connected in time.
            MCPError: The server refuses.
            SubscriptionLost: The stream broke off; open another one.
        """
        live = await self._supervisor.connected(is_call=False)
        async with listen(live.session, resource_subscriptions=uris) as subscription:
            if on_open is not None:
                on_open()
            async for _ in subscription:
                pass

    async def until_lost(self) -> None:
        """Wait for the end of the connection that is up now, or comes up next; the server has forgotten us then.

        Raises:
            DownstreamUnavailable: None came up in time.
        """
        live = await self._supervisor.connected(is_call=False)
        await live.lost.wait()

    @property
    def idle_s(self) -> float:
        """How long ago it was last wanted; 0 while anything is in flight."""
        return 0.0 if self._uses else time.monotonic() - self._wanted_at

    def touch(self) -> None:
        """Note that it is wanted."""
        self._wanted_at = time.monotonic()

    @contextmanager
    def _in_use(self) -> Generator[None]:
        self._uses += 1
        try:
            yield
        finally:
            self._uses -= 1
            self.touch()
            if self._idle is not None and not self._uses:
                self._idle.set()

    @property
    def is_needed(self) -> bool:
        """Whether it is up, or an answer may yet come over it; what else waits for it was not sent."""
        return self._supervisor.is_up or bool(self._sent)

    async def until_idle(self) -> None:
        """Wait until nothing is in flight that has an answer."""
        while self._uses:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def listing_or_failure(self) -> None:
        """Wait until there is a listing, or little hope of one soon."""
        await self._supervisor.until(lambda: self.listing is not None or self._supervisor.has_little_hope)

    @property
    def was_missed(self) -> bool:
        """Whether it has not been listed since clients waited for that in vain."""
        return self.listing is None and self._lists.was_missed

    async def note_missed(self) -> None:
        """Have it known that clients waited in vain, where there still is no listing."""
        await self._lists.note_missed(self.claims)

    def take_up(self, entry: ServerEntry) -> None:
        """Have other settings of the same server count from now on."""
        self.entry = entry
        self._supervisor.take_up(entry)

    async def run(self) -> None:
        """Keep the connection up until `stop`."""
        await self._supervisor.run()

    def stop(self) -> None:
        """Begin to end: calls in flight fail, then the transport closes in good order and `run` returns."""
        self._supervisor.stop()

    async def _talk_over(self, link: Link) -> None:
        await self._wait_for_claims()
        dispatcher = RecordingDispatcher(link, claims=self.claims, ears=self, book=self._book)
        async with ClientSession(dispatcher=dispatcher, client_info=CLIENT_INFO) as session:
            with anyio.fail_after(self._handshake_limit_s):
                said = await self._negotiation.settle(session, self.claims)
                capabilities = cast("dict[str, Any]", said.get("capabilities") or {})
                await self._list_at_start(session, capabilities)
            live = Live(session, dispatcher, link.lost, link.trouble)
            with self._supervisor.ready(live):
                log.info("server_ready", server=self.key, tools=len(self.listing.tools) if self.listing else 0)
                async with anyio.create_task_group() as tasks:
                    if self._primary is None:
                        tasks.start_soon(self._lists.follow, session, capabilities, self.claims)
                    if link.hearing is not None:
                        tasks.start_soon(Vigil(live, link.hearing, self._supervisor, self._patience).run)
                    await link.lost.wait()
                    tasks.cancel_scope.cancel()

    async def _wait_for_claims(self) -> None:
        with anyio.move_on_after(_CLAIMS_LIMIT_S):
            await self._claimed.wait()
        self.claim(EVERYTHING)

    async def _list_at_start(self, session: ClientSession, capabilities: dict[str, Any]) -> None:
        if self._primary is None:
            await self._lists.fetch(session, capabilities, self.claims)
        elif session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            # The session has to know the tools, for the headers that their schemas ask for.
            await fetch_listing(session, self.key, {})

    async def answer(
        self, owners: tuple[object, ...], method: str, params: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Answer what a server asks of the user; with nobody to ask, the session refuses it."""
        if self.hooks is None:
            return None
        return await self.hooks.answer(self.key, owners, method, dict(params) if params is not None else None)

    def notified(self, owners: tuple[object, ...], method: str, params: Mapping[str, Any] | None) -> None:
        """Take what the server says by itself."""
        if method in LIST_CHANGES:
            self._lists.note({method})
        else:
            self._tell_hooks(owners, method, params)

    def _note_listing(self) -> None:
        self._supervisor.tell_waiters()
        if self._on_listing is not None:
            self._on_listing()

    def _announce(self, method: str) -> None:
        self._tell_hooks((), method, None)

    def _tell_hooks(self, owners: tuple[object, ...], method: str, params: Mapping[str, Any] | None) -> None:
        if self.hooks is not None:
            self.hooks.notified(self.key, owners, method, dict(params) if params is not None else None)


def _era_of(live: Live) -> Era:
    return "legacy" if live.session.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS else "modern"
