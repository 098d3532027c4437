"""A server that notes in a file when it starts and what it is called for, and dies in the calls that it is told to.

Arguments: the file; then names of tools, `once` (in the first call of all), or `for_good` (and never starts again).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

LOG = Path(sys.argv[1])
DIES_ON = sys.argv[2:]
HINTS = {"read": {"readOnlyHint": True}, "repeat": {"idempotentHint": True, "readOnlyHint": False}}

before = LOG.read_text().split() if LOG.exists() else []
if "for_good" in DIES_ON and before:
    sys.exit(9)


def note(word: str) -> None:
    with LOG.open("a") as log:
        log.write(word + "\n")
        log.flush()
        os.fsync(log.fileno())


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, "annotations": HINTS.get(name, {})}


note("start")
for line in sys.stdin:
    request: dict[str, Any] = json.loads(line)
    if "id" not in request:
        continue
    match request["method"]:
        case "initialize":
            result: dict[str, Any] = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "counting", "version": "1"},
            }
        case "tools/list":
            result = {"tools": [tool(name) for name in ("read", "write", "repeat", "echo")]}
        case "tools/call":
            name = request["params"]["name"]
            note(name)
            if name in DIES_ON or ("once" in DIES_ON and before == []):
                os._exit(1)
            result = {"content": [{"type": "text", "text": name}]}
        case _:
            result = {}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n")
    sys.stdout.flush()
