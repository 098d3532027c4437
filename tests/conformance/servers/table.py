"""An MCP server of both protocol eras from a table of tools; what a fixture answers is left to the fixture."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolRequestParams, PaginatedRequestParams

Json = dict[str, Any]
Context = ServerRequestContext[Any, Any]

STRING: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}


@dataclass(frozen=True, slots=True)
class Call:
    """One round of a request that a client may have to answer questions for."""

    context: Context
    arguments: Json
    answers: Json
    """The client's `inputResponses`; empty in the first round."""
    state: str | None
    """The `requestState` of the round before."""

    @classmethod
    def of(cls, context: Context) -> Call:
        params = dict(context.params or {})
        return cls(
            context, params.get("arguments") or {}, params.get("inputResponses") or {}, params.get("requestState")
        )

    def answered(self, question: str, name: str) -> Any:
        """The field `name` of an accepted form, or None."""
        answer: Json = self.answers.get(question, {})
        content: Json = answer.get("content", {})
        return content.get(name) if answer.get("action") == "accept" else None


Answer = Callable[[Call], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Table:
    """The tools of a server, in the order in which it lists them."""

    tools: dict[str, tuple[Json, Answer]] = field(default_factory=dict[str, tuple[Json, Answer]])

    def tool(self, name: str, description: str, schema: Json | None = None) -> Callable[[Answer], Answer]:
        described: Json = {"name": name, "description": description, "inputSchema": schema or form()}

        def add(answer: Answer) -> Answer:
            self.tools[name] = (described, answer)
            return answer

        return add

    def add_to(self, server: Server[Any]) -> None:
        """Serve the tools; what a round hands to the client to keep is sealed."""
        server.add_request_handler("tools/list", PaginatedRequestParams, self._list)
        server.add_request_handler("tools/call", CallToolRequestParams, self._call)
        server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name))

    async def _list(self, context: Context, params: PaginatedRequestParams) -> Json:
        return fresh(tools=[described for described, _ in self.tools.values()])

    async def _call(self, context: Context, params: CallToolRequestParams) -> Json:
        if params.name not in self.tools:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        return await self.tools[params.name][1](Call.of(context))


def form(**properties: Json) -> Json:
    """A JSON schema of an object that must have these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def complete(**result: Any) -> Json:
    """A result as 2026-07-28 wants it; the SDK leaves out what an older client does not know."""
    return {"resultType": "complete", **result}


def fresh(**result: Any) -> Json:
    """A list or a read that a client must not keep."""
    return complete(ttlMs=0, cacheScope="private", **result)


def content(*blocks: Json, **more: Any) -> Json:
    """The result of a tool."""
    return complete(content=list(blocks), **more)


def words(said: str) -> Json:
    return {"type": "text", "text": said}


def text(said: str) -> Json:
    return content(words(said))


def question(message: str, **properties: Json) -> Json:
    """A request for a form."""
    params = {"mode": "form", "message": message, "requestedSchema": form(**properties)}
    return {"method": "elicitation/create", "params": params}


def sampling(said: str) -> Json:
    """A request for what the client's model says to this."""
    message = {"role": "user", "content": words(said)}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}}


ROOTS: Json = {"method": "roots/list"}


def asks(state: str | None = None, **requests: Json) -> Json:
    """A result that asks the client first."""
    result: Json = {"resultType": "input_required", "inputRequests": requests}
    return result if state is None else {**result, "requestState": state}


def serve(server: Server[Any]) -> None:
    """Serve streamable HTTP on a free port of this machine and say on stdout which it is."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = server.streamable_http_app()
        print(listener.getsockname()[1], flush=True)  # noqa: T201  # whoever started this reads it
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
