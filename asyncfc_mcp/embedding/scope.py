"""One conversation with the gateway: what a loop lists, calls and asks for, and whose calls keep their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

from mcp.shared.exceptions import MCPError

from asyncfc_mcp.core.token import named
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.embedding.engine import Engine
from asyncfc_mcp.embedding.future import Future, WaitTimedOut, wait_seconds
from asyncfc_mcp.embedding.plain import NotJson, plain
from asyncfc_mcp.embedding.values import Result, Tool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.answering.turns import Wishes
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.words.shaping import text_block
from asyncfc_mcp.server.doorway import SCOPE_META_KEY
from asyncfc_mcp.server.schema import TOOL_META_KEY


class ForeignFuture(GatewayError):
    """A future stands in the arguments of a call where its token means another call."""

    def __init__(self, future: Future) -> None:
        super().__init__(
            f"{future} ({future.tool}) is a future of another gateway, run or scope, and that is the name of another "
            "call here: pass on what its `result()` gives, or choose names that differ"
        )
        self.future = future


class Scope:
    """A conversation of its own: its calls keep their order, and finished results are attached to its answers alone.

    Made by `Gateway.scope`; the gateway itself is the unnamed one. All scopes of a program see each other's tokens.
    """

    def __init__(self, engine: Callable[[], Engine], name: str | None) -> None:
        self._engine = engine
        self._name = name

    # What a model is told

    async def tools(self, *, wrapped: bool = True) -> tuple[Tool, ...]:
        """What a model is shown: the gateway's own tools, then those of the servers, in a stable order.

        The first time it waits up to 10 s for servers that have not listed their tools yet; 2 s for one that an earlier
        run with the same state folder waited for in vain.

        Args:
            wrapped: whether for a loop that calls them by `model_call`: schemas take a token where a value is wanted,
                there are `_wait_s` and `_as`, and descriptions say so. If not, the servers' tools as they list them,
                under the gateway's names: for a loop that calls them by `call` and keeps futures to itself.
        """
        engine = self._engine()
        with engine.in_use() as app:
            if not wrapped:
                return tuple(map(_as_listed, await app.pool.catalog.tools()))
            listed = (await (await engine.client()).list_tools()).tools
            return tuple(_as_shown(tool.model_dump(by_alias=True, mode="json", exclude_none=True)) for tool in listed)

    async def instructions(self) -> str:
        """What a model has to be told to use tokens well, for its system prompt; then what the servers say."""
        engine = self._engine()
        with engine.in_use():
            return (await engine.client()).instructions or ""

    async def model_call(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """Call a tool, one of the gateway's own too, and get just what a model is told through MCP.

        That is the value when it comes within the inline wait, else the text that teaches the token (`.token` has it),
        and with either the results of earlier calls that have finished meanwhile. A call that fails, or cannot be
        taken in, is a result with `is_error`, never an exception: the model is to read it. To cancel the task that
        waits here cancels the call.

        Raises:
            NotRunning: the gateway's block was left meanwhile.
        """
        engine = self._engine()
        meta: Any = {SCOPE_META_KEY: self._name} if self._name is not None else None
        with engine.in_use():
            try:
                sent = _wire(engine, engine.caller(self._name), arguments)
                answer = await (await engine.client()).call_tool(name, sent, meta=meta)
            except (MCPError, NotJson, ForeignFuture) as refused:
                return Result({"content": [text_block(str(refused))], "isError": True})
            return Result(answer.model_dump(by_alias=True, mode="json", exclude_none=True))

    # Calls

    async def submit(self, tool: str, arguments: Mapping[str, Any] | None = None, *, name: str | None = None) -> Future:
        """Have a tool called, and go on: the call runs as soon as nothing is in its way.

        A future, or a part of one, may stand for any value in the arguments; the call then waits for it by itself. It
        also waits for earlier calls of this scope that touch the same state, as the tools' labels say. Without labels
        every call is taken to touch everything: submit calls that may overlap side by side (`asyncio.gather`), or say
        in the configuration what they read and write.

        Args:
            tool: its name, as `tools` lists it.
            arguments: as its input schema wants them; tuples and futures are allowed.
            name: makes `fut_<name>` the token, unique among the scope's live futures.

        Raises:
            GatewayError: it cannot be taken in (`UnknownTool`, `UnknownToken` and others); the message says why.
            NotRunning: the gateway's block was left.
        """
        engine = self._engine()
        caller = engine.caller(self._name)
        with engine.in_use():
            # a token of its own from the start: the program holds it, however soon the call has settled
            token = named(name) if name is not None else await engine.new_token(caller, tool)
            with engine.taking_in(caller.scope, token):
                return await self._take_in(caller, tool, arguments, Wishes(wait_s=0, token=token))

    async def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Result:
        """Call a tool and wait for its value. To cancel this wait cancels the call.

        Args:
            tool: its name, as `tools` lists it.
            arguments: as for `submit`.
            timeout_s: how long to wait, in seconds. The call then goes on, and the error has its future.

        Raises:
            CallFailed: it failed.
            WaitTimedOut: not in time; also a `TimeoutError`. Its `future` can be waited for again.
            GatewayError: it cannot be taken in.
            NotRunning: the gateway's block was left meanwhile.
        """
        engine = self._engine()
        caller = engine.caller(self._name)
        wait_s = wait_seconds(timeout_s)
        with engine.in_use():
            future = await self._take_in(caller, tool, arguments, Wishes(wait_s=wait_s))
            if future.is_settled:
                return await future.result()
            engine.note_own(caller.scope, future.token)
        raise WaitTimedOut(future, wait_s)

    async def _take_in(self, caller: Caller, name: str, arguments: Mapping[str, Any] | None, wishes: Wishes) -> Future:
        engine = self._engine()
        tool = _waiting_as_wished(await engine.tool(name))
        sent = _wire(engine, caller, arguments)
        turn = await engine.app.gateway.call(caller, tool, sent, wishes, requester=engine.requester(caller))
        return Future(engine, turn.future, caller)

    # Futures

    def futures(self) -> tuple[Future, ...]:
        """All futures of this scope that can be waited for, oldest first; also those that a model was given."""
        engine = self._engine()
        caller = engine.caller(self._name)
        mine = (one for one in engine.now().gateway.futures(caller) if one.caller.scope == caller.scope)
        return tuple(Future(engine, one, caller) for one in mine)

    async def future(self, token: str) -> Future:
        """The future under a token, of any scope of this program.

        Raises:
            UnknownToken: there is none, or it has expired.
            NotRunning: the gateway's block was left.
        """
        engine = self._engine()
        caller = engine.caller(self._name)
        with engine.in_use() as app:
            await app.gateway.recall(caller, token)
            return Future(engine, app.gateway.get(caller, token), caller)


def _waiting_as_wished(tool: CatalogTool) -> CatalogTool:
    """The tool without the modes that are for models: a program says with each call whether it waits."""
    return dataclasses.replace(tool, policy=dataclasses.replace(tool.policy, mode="async"))


def _wire(engine: Engine, caller: Caller, arguments: object) -> dict[str, Any]:
    """Arguments as JSON: futures by their tokens.

    Raises:
        NotJson: something in them is none.
        ForeignFuture: the token of a future in them is that of another.
    """

    def token_of(value: object) -> object:
        if not isinstance(value, Future):
            return value
        gateway = engine.app.gateway
        known = gateway.table.find(caller, value.token)
        # one of an earlier run has its value here too where the store outlives us
        if known is not None and value != Future(engine, known, caller) and not gateway.remembers:
            raise ForeignFuture(value)
        return value.token

    if arguments is not None and not isinstance(arguments, Mapping):
        raise NotJson(f"they are of the type {type(arguments).__name__}")
    try:
        return plain(cast("object", arguments) or {}, token_of)
    except ValueError as odd:
        raise NotJson(str(odd)) from None


def _as_listed(tool: CatalogTool) -> Tool:
    return Tool(
        tool.name,
        tool.tool.get("description") or "",
        tool.input_schema,
        tool.server,
        tool.tool.get("annotations") or {},
    )


def _as_shown(tool: dict[str, Any]) -> Tool:
    meta: dict[str, Any] = tool.get("_meta") or {}
    origin: dict[str, Any] = meta.get(TOOL_META_KEY) or {}
    return Tool(
        tool["name"],
        tool.get("description") or "",
        tool["inputSchema"],
        origin.get("server"),
        tool.get("annotations") or {},
    )
