"""A server that says nothing, and does not hear SIGTERM, while the file in its first argument is there."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

signal.signal(signal.SIGTERM, signal.SIG_IGN)
while Path(sys.argv[1]).exists():
    time.sleep(0.01)

RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "gated", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "say", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "said"}]},
}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": RESULTS.get(message["method"], {})}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
