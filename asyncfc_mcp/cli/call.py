"""`asyncfc-mcp call`: one call of one tool through a gateway; its result on stdout, how it went on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import anyio
import click
from mcp.shared.exceptions import MCPError
from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from asyncfc_mcp.cli.arguments import BadArguments, arguments_from
from asyncfc_mcp.cli.files import chosen_file
from asyncfc_mcp.cli.gateways import Session, own_gateway, running_gateway
from asyncfc_mcp.cli.interrupts import Interrupts, run_interruptible
from asyncfc_mcp.cli.tables import harmless
from asyncfc_mcp.cli.watching import Sight, Watch
from asyncfc_mcp.downstream.naming import RESERVED_NAMES, likely_names
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.telemetry.logs import configure_logs


class UnknownTool(GatewayError):
    """No server of the gateway has a tool of that name."""

    def __init__(self, name: str, known: list[str], down: list[str]) -> None:
        near = likely_names(name, {one: one for one in known})
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        missing = f"; not up: {', '.join(down)}" if down else ""
        super().__init__(f"there is no tool {name!r}{missing}; {meant}`asyncfc-mcp tools` lists them")
        self.name = name


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be called, as it was written."""

    tool: str
    words: tuple[str, ...]
    whole: str | None
    """All arguments as JSON; `-`: it stands on stdin."""
    wait_s: float | None
    """How long to wait for the result; None: until it is there."""
    as_json: bool


class _End(NamedTuple):
    """What a call came to."""

    result: CallToolResult | None
    """None when there was none in time."""
    exit_code: int


def run_call(wish: Wish, config: Path | None, url: str | None, token_file: Path | None) -> None:
    """Make the call; exit code 1 when it failed, was cancelled or took too long, 2 when it could not be made."""
    configure_logs("critical")  # what matters of it is in the answer
    result: CallToolResult | None = None
    try:
        opened = running_gateway(url, token_file) if url is not None else own_gateway(chosen_file(config))
        # read before anything is started: while a loop runs, Ctrl-C could not end a read
        whole = _stdin() if wish.whole == "-" else wish.whole
        interrupts = Interrupts()
        asked = replace(wish, whole=whole)
        result, code = run_interruptible(partial(_call, asked, opened, url, interrupts), interrupts)
    except* (GatewayError, MCPError, click.UsageError) as group:
        click.echo(f"asyncfc-mcp: {_first(group)}", err=True)
        code = 2
    if result is not None:
        _print(result, as_json=wish.as_json)
    sys.exit(code)


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise BadArguments(f"--args on stdin is no text: {error}") from None


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", group).exceptions[0]
    return group


async def _call(
    wish: Wish, opened: AbstractAsyncContextManager[Session], url: str | None, interrupts: Interrupts
) -> _End:
    async with opened as session:
        tool = await _tool(session, wish.tool)
        arguments = arguments_from(wish.words, wish.whole, tool.input_schema)
        watch = Watch(session.client, _show)
        result: CallToolResult | None = None
        with anyio.CancelScope() as interruptible, interrupts.cancelling(interruptible):
            result = await _result(watch, wish, tool, arguments)
        if result is not None:
            return _End(result, 1 if result.is_error else 0)
        return _End(None, await _left(watch, wish, None if interruptible.cancel_called else url))


async def _result(watch: Watch, wish: Wish, tool: Tool, arguments: dict[str, Any]) -> CallToolResult | None:
    """The result, if it is there in time. With a token the call is made first, and then waited for."""
    takes_wait = "_wait_s" in (tool.input_schema.get("properties") or {}) and tool.name not in RESERVED_NAMES
    if takes_wait and "_wait_s" not in arguments:
        result = await watch.start(tool.name, {**arguments, "_wait_s": 0})
        with anyio.move_on_after(wish.wait_s):
            return result if result is not None else await watch.result()
        return None
    with anyio.move_on_after(wish.wait_s):
        result = await watch.start(tool.name, arguments)
        return result if result is not None else await watch.result()
    return None


async def _left(watch: Watch, wish: Wish, url: str | None) -> int:
    """The end of a call that is not waited for any longer; it goes on where the gateway does."""
    if url is not None and watch.token is not None:
        way = f"asyncfc-mcp call await_future futures={watch.token} --url {url}"
        click.echo(f"it goes on; wait for it with: {way}", err=True)
        click.echo(json.dumps({"token": watch.token}) if wish.as_json else watch.token)
        return 0 if wish.wait_s == 0 else 1
    await watch.cancel()
    click.echo("asyncfc-mcp: the call was cancelled before it had a result", err=True)
    return 1


async def _tool(session: Session, name: str) -> Tool:
    tools: list[Tool] = []
    cursor: str | None = None
    while True:
        page = await session.client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    found = next((tool for tool in tools if tool.name == name), None)
    if found is None:
        raise UnknownTool(name, [tool.name for tool in tools], _without_tools(session))
    return found


def _without_tools(session: Session) -> list[str]:
    """The servers that might have it, but did not come up."""
    if session.app is None:
        return []
    pool = session.app.pool
    listed = {tool.server for tool in pool.catalog.known}
    return [key for key in pool.statuses() if key not in listed]


def _show(sight: Sight) -> None:
    called = f" {sight.token}" if sight.token else ""
    words = f": {sight.words}" if sight.words else ""
    click.echo(harmless(f"{sight.after_s:7.2f} s{called} {sight.state}{words}"), err=True)


def _print(result: CallToolResult, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.model_dump(by_alias=True, mode="json", exclude_none=True), indent=2))
        return
    for block in result.content:
        text = _text_of(block)
        click.echo(text if not sys.stdout.isatty() else "\n".join(map(harmless, text.split("\n"))))


def _text_of(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return f"[{block.type} {block.mime_type}, {len(block.data.rstrip('=')) * 3 // 4} bytes]"
        case ResourceLink():
            return f"[resource {block.uri}]"
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[resource {block.resource.uri}]"
