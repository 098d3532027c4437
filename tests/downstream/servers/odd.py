"""A server that misbehaves in the way its first argument names; plain JSON-RPC, so that it can do what no SDK would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODE = sys.argv[1]
OUT = sys.stdout.buffer

if MODE == "exits_at_once":
    sys.stderr.write("no such database\n")
    sys.exit(3)
if MODE == "slow_start":
    time.sleep(1.0)
if MODE == "starts_when":  # there is a file of that name; and only after its seconds
    if not Path(sys.argv[2]).exists():
        sys.exit(3)
    time.sleep(float(Path(sys.argv[2]).read_text() or 0))
if MODE == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignore = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    grandchild = subprocess.Popen([sys.executable, "-c", ignore], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert grandchild.stdout is not None
    grandchild.stdout.readline()
    Path(sys.argv[2]).write_text(f"{os.getpid()} {grandchild.pid}")


def send(message: dict[str, Any]) -> None:
    OUT.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    OUT.flush()


def rubbish(line: bytes) -> None:
    OUT.write(line + b"\n")
    OUT.flush()


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


pending_late: list[Any] = []
pings = 0
listed = [tool("echo", description="says it again", **{"x-unknown": 1}), tool("die"), tool("huge"), tool("never")]


def tools_page(cursor: str | None) -> dict[str, Any]:
    if MODE == "endless_pages":
        page = int(cursor or 0)
        return {"tools": [tool(f"t{page}")], "nextCursor": str(page + 1)}
    if MODE == "two_pages":
        return {"tools": [tool("second")]} if cursor else {"tools": [tool("first")], "nextCursor": "more"}
    if MODE == "twins":
        return {"tools": [tool("echo", title="first"), tool("echo", title="second")]}
    if MODE == "bad_tools":
        schemas = [{"name": "a", "inputSchema": "none"}, {"name": "b", "inputSchema": {"type": 7}}, {"name": "c"}]
        return {"tools": [*schemas, {"name": 5}, "text", tool("echo")]}
    return {"tools": listed}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def call(request_id: Any, name: str, arguments: dict[str, Any]) -> None:
    if name == "die":
        os._exit(7)
    elif name == "never":
        return
    elif name == "late":  # answers only once it was asked to cancel, as no server should
        pending_late.append(request_id)
    elif name == "huge":
        send({"id": request_id, "result": text("x" * arguments["size"])})
    elif name == "huge_id_last":
        rubbish(
            b'{"result":{"content":[],"x":"' + b"y" * arguments["size"] + b'"},"jsonrpc":"2.0","id":%d}' % request_id
        )
    elif name == "huge_id_in_the_middle":
        filler = b"y" * (arguments["size"] // 2)
        rubbish(b'{"result":{"content":[],"x":"' + filler + b'"},"id":%d,"x":"' % request_id + filler + b'"}')
    elif name == "endless":
        OUT.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"' % request_id)
        for _ in range(arguments["size"] // 2**20):
            OUT.write(b"z" * 2**20)
        rubbish(b'"}]}}')
    elif name == "deep":
        body = f'"result":{{"content":[],"structuredContent":{nested(arguments["levels"])}}}'
        rubbish(f'{{"jsonrpc":"2.0","id":{request_id},{body}}}'.encode())
    elif name == "malformed":
        send({"id": request_id, "result": {"content": "not a list"}})
    elif name == "not_an_object":
        send({"id": request_id, "result": "text"})
    elif name == "refuse":
        send({"id": request_id, "error": {"code": -32000, "message": "no", "data": {"why": "because"}}})
    elif name == "pings":
        send({"id": request_id, "result": text(str(pings))})
    elif name == "environment":
        send({"id": request_id, "result": text(json.dumps({key: os.environ.get(key) for key in arguments["keys"]}))})
    elif name == "stderr":
        sys.stderr.write("\x1b[31mred\x07\n" + "z" * 5000 + "\n")
        sys.stderr.flush()
        send({"id": request_id, "result": text("written")})
    elif name == "grow":
        listed.append(tool("grown"))
        send({"method": "notifications/tools/list_changed"})
        send({"id": request_id, "result": text("grown")})
    else:
        send({"id": request_id, "result": text(json.dumps(arguments), isError=name == "fail", _meta={"x": 1}, extra=2)})


for line in sys.stdin:
    message: dict[str, Any] = json.loads(line)
    method, request_id = message.get("method"), message.get("id")
    params: dict[str, Any] = message.get("params") or {}
    if MODE == "rubbish":
        for noise in (
            b"Starting server...",
            b"",
            b"[1,2]",
            b'{"half":',
            b"\xff\xfe\x00",
            b'{"jsonrpc":"2.0"}',
            b"null",
        ):
            rubbish(noise)
    if method == "initialize":
        if MODE == "dies_in_handshake":
            sys.exit(4)
        server = {"name": "odd", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        version = params["protocolVersion"]
        result = {
            "protocolVersion": version,
            "capabilities": capabilities,
            "serverInfo": server,
            "instructions": "Be odd.",
        }
        send({"id": request_id, "result": result})
    elif method == "tools/list":
        send({"id": request_id, "result": tools_page(params.get("cursor"))})
        if MODE == "dies_once_ready":
            os._exit(5)
    elif method == "ping" and MODE == "ignores_pings":
        sys.stderr.write("a ping\n")
        sys.stderr.flush()
    elif method == "ping":
        pings += 1
        send({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})
    elif method == "tools/call":
        call(request_id, params["name"], params.get("arguments") or {})
    elif method == "notifications/cancelled":
        if params["requestId"] in pending_late:
            send({"id": params["requestId"], "result": text(f"late: {params['reason']}")})
    elif request_id is not None:
        send({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})

if MODE == "stubborn":
    while True:
        time.sleep(600)
