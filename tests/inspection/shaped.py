"""An MCP server with the faults that its argument, a JSON object, asks for; with nothing but the standard library."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

SHAPE: dict[str, Any] = json.loads(sys.argv[1])


def say(line: str, stream: TextIO) -> None:
    stream.write(line + "\n")
    stream.flush()


def send(message: dict[str, Any]) -> None:
    say(json.dumps({"jsonrpc": "2.0", **message}), sys.stdout)


def answer(request: dict[str, Any]) -> None:
    match request["method"]:
        case "initialize" if "refuses" in SHAPE:
            send({"id": request["id"], "error": {"code": -32000, "message": SHAPE["refuses"]}})
            return
        case "initialize":
            result: Any = {
                "protocolVersion": SHAPE.get("version", "2025-11-25"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "shaped", "version": "1"},
            }
        case "tools/list":
            result = {"tools": SHAPE.get("tools", [])}
        case "tools/call" if "result" in SHAPE:
            result = SHAPE["result"]
        case _:
            send({"id": request["id"], "error": {"code": -32601, "message": "unknown method"}})
            return
    send({"id": request["id"], "result": result})


def main() -> None:
    for line in SHAPE.get("stderr", []):
        say(line, sys.stderr)
    for line in SHAPE.get("noise", []):
        say(line, sys.stdout)
    if "exit" in SHAPE:
        sys.exit(SHAPE["exit"])
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request and "method" in request and not SHAPE.get("silent"):
            answer(request)


main()
