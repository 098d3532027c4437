"""A stdio server with nothing but the standard library, whose calls take as long as they are told to.

They wait on timers of one thread: 64 threads that wake at once would measure themselves.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

STRING, NUMBER = {"type": "string"}, {"type": "number"}
NOTES: list[str] = []


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "inputSchema": schema}


TOOLS = [
    tool("relay", "Gives the text back after some seconds.", text=STRING, seconds=NUMBER),
    tool("note", "Writes the text down after some seconds.", text=STRING, seconds=NUMBER),
    tool("notes", "Gives what was written down, as a JSON list."),
]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name == "note":
        NOTES.append(arguments["text"])
    text = json.dumps(NOTES) if name == "notes" else arguments["text"]
    return {"content": [{"type": "text", "text": text}]}


def send(request: dict[str, Any], **answer: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}) + "\n")
    sys.stdout.flush()


def take(request: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
    params: dict[str, Any] = request.get("params") or {}
    match request["method"]:
        case "initialize":
            info = {"name": "benchmark", "version": "1"}
            send(request, result={"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info})
        case "tools/list":
            send(request, result={"tools": TOOLS})
        case "tools/call":
            arguments: dict[str, Any] = params.get("arguments") or {}
            name: str = params["name"]
            loop.call_later(arguments.get("seconds", 0), lambda: send(request, result=call(name, arguments)))
        case "ping":
            send(request, result={})
        case _:
            send(request, error={"code": -32601, "message": "Method not found"})


async def main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        message = json.loads(line)
        if "id" in message and "method" in message:
            take(message, loop)


if __name__ == "__main__":
    asyncio.run(main())
