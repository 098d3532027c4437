"""What an SDK client sees of a server: its introduction, its tools, and its answers to a fixed set of calls.

Kept is the JSON of the wire, as it reached the client, so that nothing a model class would leave out is overlooked.
What the SDK itself makes of an answer is kept beside it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import MCPError

from tests.fidelity.doors import LIMIT_S, Door, Json


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
        return replace(answer, body=steady_text(answer.body, folder), complaint=steady_text(answer.complaint, folder))

    return Recording(
        steady_text(recording.introduction, folder),
        steady_text(recording.listing, folder),
        tuple(map(steady, recording.answers)),
        {position: steady(answer) for position, answer in recording.answers_to_converted.items()},
    )


def steady_text(value: Any, folder: Path) -> Any:
    """The JSON without the folder and every moment."""
    if isinstance(value, str):
        text = value.replace(str(folder), "<folder>")
        for pattern in (_MOMENT, _JAVASCRIPT_MOMENT, _CLOCK):
            text = pattern.sub("<moment>", text)
        return text
    if isinstance(value, list):
        return [steady_text(item, folder) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: steady_text(_readable(key, item), folder) for key, item in cast("Json", value).items()}
    return value


def _readable(key: str, value: Any) -> Any:
    """A blob that holds text as that text, since some of it tells the time."""
    if key != "blob" or not isinstance(value, str):
        return value
    try:
        return f"base64 of {base64.b64decode(value).decode()}"
    except UnicodeDecodeError:
        return value


def filled(call: Call, folder: Path) -> Call:
    """The call with the recording's own folder where its arguments say `<folder>`."""

    def fill(arguments: Json | None) -> Any:
        return json.loads(json.dumps(arguments).replace("<folder>", str(folder)))

    return replace(call, arguments=fill(call.arguments), converted=fill(call.converted))
