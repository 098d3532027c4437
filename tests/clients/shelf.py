"""A small MCP server of the handshake era with a resource and a prompt, with nothing but the standard library."""

from __future__ import annotations

import json
import sys
from typing import Any

NOTE = "shelf://note"
RESOURCE = {"uri": NOTE, "name": "note", "mimeType": "text/plain"}
PROMPT = {"name": "greet", "arguments": [{"name": "name", "required": True}]}


def answer(method: str, params: dict[str, Any]) -> Any:
    """The result of a request, or None for one that this server does not know."""
    match method, params.get("uri"), params.get("name"):
        case "initialize", _, _:
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {"resources": {}, "prompts": {}},
                "serverInfo": {"name": "shelf", "version": "1"},
            }
        case "resources/list", _, _:
            return {"resources": [RESOURCE]}
        case "resources/templates/list", _, _:
            return {"resourceTemplates": []}
        case "resources/read", uri, _ if uri == NOTE:
            return {"contents": [{"uri": NOTE, "mimeType": "text/plain", "text": "Water the plants."}]}
        case "prompts/list", _, _:
            return {"prompts": [PROMPT]}
        case "prompts/get", _, "greet":
            greeting = {"type": "text", "text": f"Greet {params['arguments']['name']}."}
            return {"messages": [{"role": "user", "content": greeting}]}
        case "ping", _, _:
            return {}
        case _:
            return None


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message["method"], message.get("params") or {})
        outcome = {"error": {"code": -32601, "message": "unknown"}} if result is None else {"result": result}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **outcome}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
