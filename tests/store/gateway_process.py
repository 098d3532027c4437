"""A process that holds a store and does what it reads on stdin, one answer a line: `python gateway_process.py FILE`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.sqlite import SqliteStore
from asyncfc_mcp.telemetry.logs import configure_logs
from tests.store.rows import row, settled


async def main(file: Path) -> None:
    store = SqliteStore(file, max_bytes=1_000_000_000)
    await store.open()
    answer(owner=store.owner)
    while line := await to_thread.run_sync(sys.stdin.readline):
        command, *arguments = json.loads(line)
        try:
            answer(**await COMMANDS[command](store, *arguments))
        except StoreFault as fault:
            answer(fault=type(fault).__name__, message=str(fault))
    await store.close()


async def put(store: SqliteStore, name: str) -> dict[str, Any]:
    await store.put(row(name, token=f"fut_{name}", owner=store.owner, call={"future": name}))
    return {}


async def put_large(store: SqliteStore, name: str, text: str) -> dict[str, Any]:
    await store.put(row(name, token=f"fut_{name}", owner=store.owner, call={"future": name, "text": text}))
    return {}


async def settle(store: SqliteStore, name: str, text: str = "done", expires_at: float = 1e12) -> dict[str, Any]:
    await store.put(settled(name, token=f"fut_{name}", expires_at=expires_at, result={"text": text}))
    return {}


async def find(store: SqliteStore, name: str) -> dict[str, Any]:
    found = await store.find("alice", f"fut_{name}")
    return {"state": found.state if found else None, "owner": found.owner if found else None}


async def adopt(store: SqliteStore) -> dict[str, Any]:
    return {"adopted": [one.call["future"] for one in await store.adopt() if one.call]}


async def storm(store: SqliteStore, name: str, calls: int) -> dict[str, Any]:
    async def call(number: int) -> None:
        one = f"{name}-{number}"
        await put(store, one)
        assert (await find(store, one))["state"] == "running"
        await settle(store, one, "x" * 2000)
        assert (await find(store, one))["state"] == "resolved"

    async with anyio.create_task_group() as tasks:
        for number in range(calls):
            tasks.start_soon(call, number)
    return {"count": await store.count()}


async def limit_files(store: SqliteStore, size_bytes: int) -> dict[str, Any]:
    """From now on no file of this process grows beyond that."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    return {}


async def leave_child(store: SqliteStore) -> dict[str, Any]:
    """Start a process that outlives this one."""
    child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
    return {"process": child.pid}


COMMANDS = {
    "put": put,
    "put_large": put_large,
    "settle": settle,
    "find": find,
    "adopt": adopt,
    "storm": storm,
    "limit_files": limit_files,
    "leave_child": leave_child,
}


def answer(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    configure_logs("warning")
    anyio.run(main, Path(sys.argv[1]))
