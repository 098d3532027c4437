"""The legacy sessions that are alive: what is sent to them outside of any request, and the log level of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.connection import Connection
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError, NoBackChannelError

from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.requester import ClientGone
from asyncfc_mcp.server.doorway import Context, Doorway

MOST_WAITING = 256
"""Messages for a session that its client has not taken yet."""
OUTSIDE_TIMEOUT_S = 30.0
"""For what a server asks while it runs no call: roots, which no human has to type."""
MOST_SCOPES = 256
"""Parts that one session is known to be split into."""

Params = dict[str, Any] | None
Message = tuple[str, Params]
"""A notification: its method and its parameters."""

LEVELS: tuple[str, ...] = get_args(types.LoggingLevel)
"""From the most verbose to the least."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Session:
    """One client that did a handshake, from its first message until its connection ends."""

    caller: Caller
    """Behind its first message."""
    identity: str
    connection: Connection
    outbox: MemoryObjectSendStream[Message]
    inbox: MemoryObjectReceiveStream[Message]
    level: str | None = None
    """Log messages below it are not wanted; None as long as the client has not said."""
    scopes: dict[str, None] = field(default_factory=dict[str, None])
    """Those of its requests, the newest last."""
    is_behind: bool = False
    """Whether there was no room for its last message."""

    def wants(self, level: object) -> bool:
        """Whether log messages of that level are wanted."""
        if self.level is None or level not in LEVELS:
            return True
        return LEVELS.index(str(level)) >= LEVELS.index(self.level)


class Sessions:
    """All legacy sessions. Nothing here waits for a client: one that does not read loses what it subscribed to.

    Args:
        doorway: who is behind a request, and who can be reached.
    """

    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway
        self._by_identity: dict[str, Session] = {}
        self._has_met_client = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._on_end: list[Callable[[Session], None]] = []
        self._on_level: list[Callable[[Caller], None]] = []

    def register(self, server: Server[Any]) -> None:
        """Handle what clients say of their sessions."""
        server.add_notification_handler("notifications/initialized", types.NotificationParams, self._initialized)
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the task of each session until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            for session in self._by_identity.values():
                self._tasks.start_soon(_send_all, session)
            task_status.started()
            await anyio.sleep_forever()

    def on_end(self, listener: Callable[[Session], None]) -> None:
        """Have it told of each session that ends, or whose client does not read; it must neither await nor raise."""
        self._on_end.append(listener)

    def on_level(self, listener: Callable[[Caller], None]) -> None:
        """Have it told of each change of the level that is wanted in all; it must neither await nor raise."""
        self._on_level.append(listener)

    # Coming and going

    def seen(self, context: Context, caller: Caller) -> Session | None:
        """The session behind a request, which is known from now on; None where there is none."""
        if caller.session is None:
            return None
        connection = _connection_of(context)
        session = self._by_identity.get(caller.session)
        if session is None or session.connection is not connection:
            session = self._begin(caller, caller.session, connection)
        session.scopes.pop(caller.scope, None)
        session.scopes[caller.scope] = None
        if len(session.scopes) > MOST_SCOPES:
            del session.scopes[next(iter(session.scopes))]
        return session

    def _begin(self, caller: Caller, identity: str, connection: Connection) -> Session:
        session = Session(caller, identity, connection, *anyio.create_memory_object_stream[Message](MOST_WAITING))
        before = self._by_identity.get(identity)
        if before is not None:
            self._end(before)
        self._by_identity[identity] = session
        self._has_met_client.set()
        connection.exit_stack.callback(self._end, session)
        if self._tasks is not None:
            self._tasks.start_soon(_send_all, session)
        return session

    def expect_none(self) -> None:
        """The client has begun without a handshake: what is to be asked of its session need not wait for one."""
        self._has_met_client.set()

    def _end(self, session: Session) -> None:
        if self._by_identity.get(session.identity) is not session:
            return
        del self._by_identity[session.identity]
        session.outbox.close()
        for listener in self._on_end:
            listener(session)

    # Sending

    def __iter__(self) -> Iterator[Session]:
        """Every session that is alive."""
        return iter(list(self._by_identity.values()))

    def send(self, session: Session, method: str, params: Params = None) -> None:
        """Send a notification as soon as the client takes it."""
        try:
            session.outbox.send_nowait((method, params))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            log.debug("session_has_ended", method=method)
        except anyio.WouldBlock:
            if not session.is_behind:
                session.is_behind = True
                log.warning("client_does_not_read", waiting=MOST_WAITING, effect="its subscriptions have ended")
            for listener in self._on_end:
                listener(session)
        else:
            session.is_behind = False

    def send_all(self, method: str) -> None:
        """Send a notification to every session."""
        for session in self:
            self.send(session, method)

    def log(self, scopes: Collection[str], params: Mapping[str, Any]) -> None:
        """Pass a server's log message on to the sessions that it belongs to, as far as they want it."""
        for session in self._belonging(scopes):
            if session.wants(params.get("level")):
                self.send(session, "notifications/message", dict(params))

    def pass_on(self, scopes: Collection[str], method: str, params: Mapping[str, Any]) -> None:
        """Pass a server's notification on to the sessions that it belongs to."""
        for session in self._belonging(scopes):
            self.send(session, method, dict(params))

    def _belonging(self, scopes: Collection[str]) -> list[Session]:
        """The sessions that have one of these scopes; without any, all those of the only user, if there is but one."""
        if scopes:
            return [session for session in self if any(scope in session.scopes for scope in scopes)]
        known = [session for session in self if not session.caller.is_anonymous]
        return known if len({session.caller.principal for session in known}) == 1 else []

    def connection(self, session: str) -> Connection | None:
        """The SDK's end of it; None where it has ended, or has brought no request yet."""
        known = self._by_identity.get(session)
        return known.connection if known is not None else None

    def reaches(self, session: str) -> bool:
        """Whether a message outside of any request would reach that session now."""
        return session in self._by_identity and self._doorway.reaches(session)

    async def ask(
        self, session: str, method: str, params: Mapping[str, Any] | None, timeout_s: float
    ) -> dict[str, Any]:
        """Put a server's request to the client of a session, outside of any request of its own; the raw result.

        Raises:
            InputRefused: the client refused it, or took too long.
            ClientGone: the session has ended, or nothing reaches it.
        """
        known = self._by_identity.get(session)
        if known is None:
            raise ClientGone(f"the session that is to answer {method} has ended")
        with client_faults(method, timeout_s):
            return await known.connection.send_raw_request(method, params, {"timeout": timeout_s})

    async def answer_outside(self, server: str, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Answer what a server asks while it runs no call; only where there is but one client that can be meant.

        Raises:
            InputRefused: there is not, or it cannot answer that.
            ClientGone: the session has ended.
        """
        only = self._doorway.only_session
        if only is not None:
            # servers ask for roots as soon as they are connected, which is before the client's own handshake has ended
            with anyio.move_on_after(OUTSIDE_TIMEOUT_S):
                await self._has_met_client.wait()
        session = self._by_identity.get(only) if only is not None else None
        if session is None or not self.reaches(session.identity):
            raise InputRefused(f"{method} of server {server!r} belongs to no running call, and no one client is meant")
        if not session.caller.claims.can_answer(method, params):
            raise InputRefused(f"the client cannot answer {method}")
        return await self.ask(session.identity, method, params, OUTSIDE_TIMEOUT_S)

    # Log levels

    def wanting_logs(self, caller: Caller) -> Caller:
        """With the log level that its session asked for, which a modern server hears with each request."""
        session = self._by_identity.get(caller.session) if caller.session is not None else None
        if session is None or session.level is None:
            return caller
        return replace(caller, claims=replace(caller.claims, log_level=session.level))

    @property
    def most_verbose_level(self) -> str | None:
        """What servers have to send for every session to get what it wants; None where none has said."""
        levels = [session.level for session in self._by_identity.values() if session.level is not None]
        return min(levels, key=LEVELS.index, default=None)

    async def _initialized(self, context: Context, _: types.NotificationParams) -> None:
        self.seen(context, self._doorway.caller(context))

    async def _set_level(self, context: Context, params: types.SetLevelRequestParams) -> dict[str, Any]:
        caller = self._doorway.caller(context)
        session = self.seen(context, caller)
        if session is not None:
            session.level = params.level
            for listener in self._on_level:
                listener(caller)
        return {}


@contextmanager
def client_faults(method: str, timeout_s: float) -> Generator[None]:
    """Say of a client that is being asked whether it refused, or is not there.

    Raises:
        InputRefused: the client refused it, or took too long.
        ClientGone: it cannot be reached.
    """
    try:
        yield
    except NoBackChannelError:
        raise ClientGone(f"nothing reaches the client that is to answer {method}") from None
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        raise ClientGone(f"the client that is to answer {method} has gone") from None
    except MCPError as error:
        if error.code == types.CONNECTION_CLOSED:
            raise ClientGone(f"the client that is to answer {method} has gone") from None
        if error.code == types.REQUEST_TIMEOUT:
            raise InputRefused(f"the client did not answer {method} within {timeout_s:g} s") from None
        raise InputRefused(f"the client refused {method}: {error.message} (JSON-RPC error {error.code})") from None


async def _send_all(session: Session) -> None:
    with session.inbox:
        async for method, params in session.inbox:
            await session.connection.notify(method, params)


def _connection_of(context: Context) -> Connection:
    # The SDK has no public way from a request to its connection; this is the one place that goes there.
    return context.session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
