"""Connected SDK clients, with a tape of all that comes over the wire and a user who answers what is asked."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

LIMIT_S = 20.0
"""The bound of everything that could hang."""

Era = Literal["legacy", "auto"]
Action = Literal["accept", "decline", "cancel"]
Json = dict[str, Any]

ROOTS = ("file:///home/ada/%C3%BC", "file:///project")


@dataclass(slots=True)
class Tape:
    """What came over the wire."""

    asked: dict[types.RequestId, str] = field(default_factory=dict[types.RequestId, str])
    answered: dict[str, Json] = field(default_factory=dict[str, Json])
    """The last answer to each kind of request."""
    heard: list[Json] = field(default_factory=list[Json])
    """Every notification."""
    questions: list[Json] = field(default_factory=list[Json])
    """Every request of the server's, whether it came by itself or in a result."""
    _more: anyio.Event = field(default_factory=anyio.Event)

    def note_sent(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self.asked[message.id] = message.method

    def note_received(self, message: types.JSONRPCMessage) -> None:
        wire = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
        said = {key: wire[key] for key in ("method", "params") if key in wire}
        match message:
            case types.JSONRPCNotification():
                self.heard.append(said)
                self._more.set()
                self._more = anyio.Event()
            case types.JSONRPCRequest():
                self.questions.append(said)
            case types.JSONRPCResponse() | types.JSONRPCError() if message.id is not None:
                result = wire.get("result", {})
                if result.get("resultType") == "input_required":
                    self.questions.extend(result["inputRequests"].values())
                self.answered[self.asked[message.id]] = {key: wire[key] for key in ("result", "error") if key in wire}
            case _:  # an error that answers nothing
                pass

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for notifications, as long as it takes."""
        while not is_so():
            await self._more.wait()


@dataclass(slots=True)
class User:
    """Somebody in front of the client, who answers everything in the same way."""

    action: Action = "accept"

    async def elicit(self, _: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        is_form = isinstance(params, types.ElicitRequestFormParams)
        content: Any = {"name": "Ada ü", "check": True, "integer": 7} if is_form and self.action == "accept" else None
        return types.ElicitResult(action=self.action, content=content)

    async def sample(self, _: Any, __: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        said = types.TextContent(text="Paris")
        return types.CreateMessageResult(role="assistant", content=said, model="stub", stop_reason="endTurn")

    async def roots(self, _: Any) -> types.ListRootsResult:
        roots = [types.Root.model_validate({"uri": uri, "name": uri.rpartition("/")[2]}) for uri in ROOTS]
        return types.ListRootsResult(roots=roots)

    @property
    def callbacks(self) -> dict[str, Any]:
        """For `Client`: it can do everything."""
        return {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.roots,
        }


@dataclass(frozen=True, slots=True)
class Door:
    """A connected client, and the tape of its connection."""

    client: Client
    tape: Tape
    user: User | None = None

    @property
    def is_modern(self) -> bool:
        return self.client.protocol_version >= "2026"


@asynccontextmanager
async def connected(
    command: Sequence[str],
    era: Era,
    *,
    env: Mapping[str, str] | None = None,
    errors: Path | None = None,
    user: User | None = None,
) -> AsyncGenerator[Door]:
    """An SDK client of a server that is started for it; nothing of the server's is left afterwards."""
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env={**os.environ, **(env or {})})
    with (errors or Path(os.devnull)).open("w") as errlog:
        async with _door(stdio_client(parameters, errlog=errlog), era, user) as door:
            yield door


@asynccontextmanager
async def connected_to(url: str, era: Era, *, user: User | None = None) -> AsyncGenerator[Door]:
    """An SDK client of a server that is there, over HTTP."""
    async with _door(streamable_http_client(url), era, user) as door:
        yield door


@asynccontextmanager
async def _door(transport: Any, era: Era, user: User | None) -> AsyncGenerator[Door]:
    tape = Tape()
    async with Client(_taped(transport, tape), mode=era, **(user.callbacks if user else {})) as client:
        yield Door(client, tape, user)


@asynccontextmanager
async def _taped(transport: Any, tape: Tape) -> AsyncGenerator[Any]:
    """The transport with every message noted."""
    async with transport as (read, write), anyio.create_task_group() as tasks:
        to_client, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, from_client = anyio.create_memory_object_stream[SessionMessage](0)
        tasks.start_soon(_pump, read, to_client, tape.note_received)
        tasks.start_soon(_pump, from_client, write, tape.note_sent)
        try:
            yield incoming, outgoing
        finally:
            incoming.close()
            outgoing.close()
            tasks.cancel_scope.cancel()


async def _pump(source: Any, sink: Any, note: Callable[[types.JSONRPCMessage], None]) -> None:
    # the client goes first when it is done, and what still comes then is for nobody
    async with source, sink:
        async for item in source:
            if isinstance(item, SessionMessage):
                note(item.message)
            with suppress(anyio.BrokenResourceError):
                await sink.send(item)
