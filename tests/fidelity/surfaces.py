"""What an SDK client sees of everything but tools: lists, reads, prompts, completions, and what comes by itself.

A step is one request of a fixed script, with what the client does around it to hear of what the request brings about.
Clients of the two eras do that in different ways; what they hear is recorded in the same form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import MCPError
from mcp_types import Request
from pydantic import BaseModel, ValidationError

from tests.fidelity.doors import LIMIT_S, Action, Door, Json

LISTS = {
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
UPDATED = "notifications/resources/updated"
MESSAGE = "notifications/message"
LIST_CHANGES = tuple(f"notifications/{kind}/list_changed" for kind in ("prompts", "resources", "tools"))
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
HEARING_S = 8.0
"""How long what should come by itself is waited for; then it is missing in the recording."""


class _Anything(BaseModel):
    """Any result; what it was is on the tape."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what the client does around it."""

    method: str
    params: Json = field(default_factory=dict[str, Any])
    """As the server itself is asked: with its own names."""
    meta: Json | None = None
    with_progress: bool = False
    log_level: str | None = None
    """What the client asks for; in the handshake era before the request, later with it."""
    watches: tuple[str, ...] = ()
    """Subscribed to before, and no longer afterwards."""
    follows_lists: bool = False
    """Whether it asks to be told of lists that change; in the handshake era nobody has to ask."""
    hears: tuple[str, ...] = ()
    """The methods of the notifications to come; one that comes twice stands here twice."""
    user: Action = "accept"

    def __str__(self) -> str:
        return f"{self.method} {self.params}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one step."""

    body: Json
    """`{"result": …}` or `{"error": …}` of the wire."""
    complaint: str | None
    """What the SDK client raised instead of returning the result."""
    progress: tuple[tuple[float, float | None, str | None], ...]
    heard: tuple[Json, ...]
    """Of the kinds that the step listens for."""
    questions: tuple[Json, ...]
    """What the user was asked. Roots are left out: a server may ask for these at any time, and says what it got."""


async def record_lists(door: Door) -> dict[str, Json]:
    """The three lists by their methods, all pages of each; an error instead where a server has none."""
    return {method: await _whole_list(door, method) for method in LISTS}


async def _whole_list(door: Door, method: str) -> Json:
    items: list[Json] = []
    cursor: str | None = None
    while True:
        seen = await take(door, Step(method, {"cursor": cursor} if cursor else {}))
        if "error" in seen.body:
            return seen.body
        page = seen.body["result"]
        items.extend(page[LISTS[method]])
        cursor = page.get("nextCursor")
        if cursor is None:
            return {**page, LISTS[method]: items}


async def record_steps(door: Door, steps: Sequence[Step], translated: Callable[[Step], Step]) -> tuple[Seen, ...]:
    """What comes of the whole script, one step after the other."""
    return tuple([await take(door, translated(step)) for step in steps])


async def take(door: Door, step: Step) -> Seen:
    """Take one step."""
    tape = door.tape
    if door.user is not None:
        door.user.action = step.user
    meta = dict(step.meta or {})
    with anyio.fail_after(LIMIT_S + HEARING_S):
        if step.log_level is not None and door.is_modern:
            meta[LOG_LEVEL] = step.log_level
        elif step.log_level is not None:
            await _send(door, "logging/setLevel", {"level": step.log_level})
        async with _listening(door, step):
            first_heard, first_question = len(tape.heard), len(tape.questions)
            tape.answered.pop(step.method, None)
            complaint, progress = await _answered(door, step, meta)
            with anyio.move_on_after(HEARING_S):
                await tape.until(lambda: not Counter(step.hears) - Counter(_methods(tape.heard[first_heard:])))
            heard = [one for one in tape.heard[first_heard:] if one["method"] in step.hears]
    questions = [one for one in tape.questions[first_question:] if one["method"] != "roots/list"]
    return Seen(tape.answered[step.method], complaint, tuple(progress), _in_order(heard), tuple(questions))


async def _answered(
    door: Door, step: Step, meta: Json
) -> tuple[str | None, list[tuple[float, float | None, str | None]]]:
    steps: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total, message))

    callback = note if step.with_progress else None
    params, given = step.params, meta or None
    complaint = None
    try:
        # these two may be answered with a question, and the client has to drive them to their end
        if step.method == "tools/call":
            arguments = params.get("arguments")
            await door.client.call_tool(params["name"], arguments, progress_callback=callback, meta=given)  # pyright: ignore[reportArgumentType]
        elif step.method == "prompts/get":
            await door.client.get_prompt(params["name"], params.get("arguments"), meta=given)  # pyright: ignore[reportArgumentType]
        else:
            await _send(door, step.method, {**params, **({"_meta": meta} if meta else {})}, callback)
    except MCPError as error:
        complaint = f"{error.error.code}: {error.error.message}"
    except (RuntimeError, ValidationError) as error:
        complaint = str(error)
    return complaint, steps


async def _send(door: Door, method: str, params: Json, progress_callback: Any = None) -> None:
    request = Request[dict[str, Any], str](method=method, params=params)
    await door.client.session.send_request(request, _Anything, progress_callback=progress_callback)


@asynccontextmanager
async def _listening(door: Door, step: Step) -> AsyncGenerator[None]:
    if not (step.watches or step.follows_lists):
        yield
    elif door.is_modern:
        lists = step.follows_lists
        async with door.client.listen(
            resource_subscriptions=step.watches,
            tools_list_changed=lists,
            prompts_list_changed=lists,
            resources_list_changed=lists,
        ):
            yield
    else:
        for uri in step.watches:
            await _send(door, "resources/subscribe", {"uri": uri})
        yield
        for uri in step.watches:
            await _send(door, "resources/unsubscribe", {"uri": uri})


def _methods(heard: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one["method"] for one in heard]


def _in_order(heard: Sequence[Json]) -> tuple[Json, ...]:
    """In the order in which they came; but that a list has changed is said in any order, and again is not more."""
    changes = {one["method"]: one for one in heard if one["method"] in LIST_CHANGES}
    return (*(one for one in heard if one["method"] not in LIST_CHANGES), *(changes[name] for name in sorted(changes)))
