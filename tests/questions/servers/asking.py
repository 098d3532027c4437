"""A server of 2026-07-28 that asks its user in the middle of calls, by results that require input; over stdio."""

from __future__ import annotations

import json
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TOOLS = {
    "greet": "Asks for a name.",
    "quiz": "Asks two questions, one after the other.",
    "need_state_only": "Sends the client away once, with nothing but a state.",
    "claimed": "What the client of this very request can do.",
}


def question(message: str, answer: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {answer: {"type": "string"}}, "required": [answer]}
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


def text(said: str) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": said}]}


def required(requests: dict[str, Any] | None, state: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"resultType": "input_required"}
    if requests:
        result["inputRequests"] = requests
    if state is not None:
        result["requestState"] = state
    return result


async def list_tools(_: ServerRequestContext[Any, Any], __: types.PaginatedRequestParams) -> dict[str, Any]:
    tools = [{"name": name, "description": said, "inputSchema": {"type": "object"}} for name, said in TOOLS.items()]
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": tools}


async def refuse_handshakes(source: Any, sink: Any, passed_on: Any) -> None:
    """The SDK's server speaks both eras; this one must look as if it had never heard of the older one."""
    async with passed_on:
        async for item in source:
            message = item.message if isinstance(item, SessionMessage) else None
            if isinstance(message, types.JSONRPCRequest) and message.method == "initialize":
                data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": "2025-11-25"}
                error = types.ErrorData(code=types.UNSUPPORTED_PROTOCOL_VERSION, message="not spoken here", data=data)
                await sink.send(SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=message.id, error=error)))
            else:
                await passed_on.send(item)


async def call_tool(context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams) -> dict[str, Any]:
    raw: dict[str, Any] = dict(context.params or {})
    responses: dict[str, Any] = raw.get("inputResponses") or {}
    state: str | None = raw.get("requestState")
    match params.name:
        case "greet":
            if "name" not in responses:
                return required({"name": question("What is your name?", "name")})
            answer: dict[str, Any] = responses["name"]
            content: dict[str, Any] = answer.get("content") or {}
            return text(f"{answer['action']}: {content.get('name')}")
        case "quiz":
            if state is None:
                return required({"one": question("First?", "a")}, "1")
            if state == "1":
                return required({"two": question("Second?", "b")}, json.dumps([responses["one"]["content"]["a"]]))
            return text(json.dumps([*json.loads(state), responses["two"]["content"]["b"]]))
        case "need_state_only":
            return text("here you are") if state == "come again" else required(None, "come again")
        case _:
            capabilities = context.session.client_capabilities
            return text("none" if capabilities is None else capabilities.model_dump_json(exclude_none=True))


async def main() -> None:
    server: Server[Any] = Server("asking", version="1")
    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    passed_on, incoming = anyio.create_memory_object_stream[Any](0)
    async with stdio_server() as (source, outgoing), anyio.create_task_group() as tasks:
        tasks.start_soon(refuse_handshakes, source, outgoing, passed_on)
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
