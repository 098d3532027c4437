"""A server that lists and answers exactly what it is told to, however wrong: JSON text in, the same text out.

Its first argument is the JSON of its tool list. A call of any tool answers with the JSON text in `result`, and says
what it received when there is none.
"""

from __future__ import annotations

import json
import sys
from typing import Any, cast

TOOLS = sys.argv[1] if len(sys.argv) > 1 else '[{"name": "answer", "inputSchema": {"type": "object"}}]'
INITIALIZED = json.dumps(
    {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "crooked", "version": "1"},
    }
)


def send(request_id: Any, result: str) -> None:
    sys.stdout.write(f'{{"jsonrpc":"2.0","id":{json.dumps(request_id)},"result":{result}}}\n')
    sys.stdout.flush()


for line in sys.stdin:
    message: dict[str, Any] = json.loads(line)
    if "id" not in message:
        continue
    match message["method"]:
        case "initialize":
            send(message["id"], INITIALIZED)
        case "tools/list":
            send(message["id"], f'{{"tools":{TOOLS}}}')
        case "tools/call":
            arguments = cast("dict[str, Any]", message["params"].get("arguments") or {})
            heard = json.dumps({"content": [{"type": "text", "text": json.dumps(arguments)}]})
            send(message["id"], arguments.get("result", heard))
        case _:
            send(message["id"], "{}")
