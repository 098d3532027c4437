"""What an SDK client sees of a server: its introduction, its tools, and its answers to a fixed set of calls.

Kept is the JSON of the wire, as it reached the client, so that nothing a model class would leave out is overlooked.
What the SDK itself makes of an answer is kept beside it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.message import SessionMessage

LIMIT_S = 20.0
"""The bound of everything that could hang."""

Era = Literal["legacy", "auto"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the fixed set."""

    tool: str
    """The server's own name for it."""
    arguments: Json | None = None
    """None: the request has no arguments at all."""
    with_progress: bool = False
    converted: Json | None = None
    """What the gateway makes of the arguments where clients were shown that text is allowed as well."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    body: Json
    """`{"result": …}` or `{"error": …}` of the wire."""
    complaint: str | None
    """What the SDK client raised instead of returning the result."""
    progress: tuple[tuple[float, float | None, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One server as one client saw it."""

    introduction: Json
    """The result of `initialize` or `server/discover`."""
    listing: Json
    """The result of `tools/list`, all pages."""
    answers: tuple[Answer, ...]
    answers_to_converted: Mapping[int, Answer]
    """By the position of the call: the answer to its arguments in their converted form."""


@dataclass(slots=True)
class Tape:
    """The last answer to each kind of request, as it came over the wire."""

    asked: dict[types.RequestId, str] = field(default_factory=dict[types.RequestId, str])
    answered: dict[str, Json] = field(default_factory=dict[str, Json])

    def note_sent(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self.asked[message.id] = message.method

    def note_received(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError) and message.id is not None:
            wire = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
            self.answered[self.asked[message.id]] = {key: wire[key] for key in ("result", "error") if key in wire}


@dataclass(frozen=True, slots=True)
class Door:
    """A connected client, and the tape of its connection."""

    client: Client
    tape: Tape


@asynccontextmanager
async def connected(
    command: Sequence[str], era: Era, *, env: Mapping[str, str] | None = None, errors: Path | None = None
) -> AsyncGenerator[Door]:
    """An SDK client of a server that is started for it; nothing of the server's is left afterwards."""
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env={**os.environ, **(env or {})})
    tape = Tape()
    with (errors or Path(os.devnull)).open("w") as errlog:
        async with Client(_taped(stdio_client(parameters, errlog=errlog), tape), mode=era) as client:
            yield Door(client, tape)


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


async def record(door: Door, calls: Sequence[Call], name_of: Callable[[str], str]) -> Recording:
    """Everything about one server."""
    listed = await _listing(door)
    answers = [await _answer(door, call, call.arguments, name_of(call.tool)) for call in calls]
    converted = {
        position: await _answer(door, call, call.converted, name_of(call.tool))
        for position, call in enumerate(calls)
        if call.converted is not None
    }
    return Recording(_introduction(door), listed, tuple(answers), converted)


def _introduction(door: Door) -> Json:
    answered = door.tape.answered
    body = answered["initialize"] if "result" in answered.get("initialize", {}) else answered["server/discover"]
    return body["result"]


async def _listing(door: Door) -> Json:
    whole: Json = {"tools": []}
    cursor: str | None = None
    with anyio.fail_after(LIMIT_S):
        while True:
            await door.client.list_tools(cursor=cursor, cache_mode="refresh")
            page = door.tape.answered["tools/list"]["result"]
            whole = {**page, "tools": [*whole["tools"], *page["tools"]]}
            cursor = whole.pop("nextCursor", None)
            if cursor is None:
                return whole


async def _answer(door: Door, call: Call, arguments: Json | None, name: str) -> Answer:
    steps: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total, message))

    complaint = None
    door.tape.answered.pop("tools/call", None)
    with anyio.fail_after(LIMIT_S):
        try:
            await door.client.call_tool(name, arguments, progress_callback=note if call.with_progress else None)
        except MCPError as error:
            complaint = f"{error.error.code}: {error.error.message}"
        except RuntimeError as error:
            complaint = str(error)
    return Answer(door.tape.answered["tools/call"], complaint, tuple(steps))


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?")
_JAVASCRIPT_MOMENT = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[^\"\n\\]*")
_CLOCK = re.compile(r"\b\d{1,2}:\d\d:\d\d(\.\d+)?( [AP]M)?\b")


def steadied(recording: Recording, folder: Path) -> Recording:
    """The recording without what differs between any two: its own folder and every moment."""

    def steady(answer: Answer) -> Answer:
        return replace(answer, body=_steady(answer.body, folder), complaint=_steady(answer.complaint, folder))

    return Recording(
        _steady(recording.introduction, folder),
        _steady(recording.listing, folder),
        tuple(map(steady, recording.answers)),
        {position: steady(answer) for position, answer in recording.answers_to_converted.items()},
    )


def _steady(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        text = value.replace(str(folder), "<folder>")
        for pattern in (_MOMENT, _JAVASCRIPT_MOMENT, _CLOCK):
            text = pattern.sub("<moment>", text)
        return text
    if isinstance(value, list):
        return [_steady(item, folder) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _steady(_readable(key, item), folder) for key, item in cast("Json", value).items()}
    return value


def _readable(key: str, value: Any) -> Any:
    """A blob that holds text as that text, since some of it tells the time."""
    if key != "blob" or not isinstance(value, str):
        return value
    try:
        return {"base64 of": base64.b64decode(value).decode()}
    except UnicodeDecodeError:
        return value


def filled(call: Call, folder: Path) -> Call:
    """The call with the recording's own folder where its arguments say `<folder>`."""

    def fill(arguments: Json | None) -> Any:
        return json.loads(json.dumps(arguments).replace("<folder>", str(folder)))

    return replace(call, arguments=fill(call.arguments), converted=fill(call.converted))
