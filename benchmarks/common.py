"""What every measurement needs: the real gateway process with a client, a report of figures, and the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, TextContent

SERVER = Path(__file__).with_name("servers.py")


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured."""

    what: str
    measured: float
    unit: str
    target: float | None = None
    """The most that it may be; None for what is only shown."""
    note: str = ""

    @property
    def is_met(self) -> bool:
        return self.target is None or self.measured <= self.target


def server_entry(**settings: Any) -> dict[str, Any]:
    """The benchmark's own server in a configuration file."""
    return {"command": sys.executable, "args": [str(SERVER)], "asyncfc": settings}


@asynccontextmanager
async def gateway_process(servers: Mapping[str, Any], **settings: Any) -> AsyncGenerator[Client]:
    """A client of `asyncfc-mcp serve` in a process of its own, over stdio."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w") as log:
        config = _written(Path(folder, "config.json"), {"mcpServers": servers, "asyncfc": settings})
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "asyncfc_mcp", "serve", "--config", str(config)],
            env={"ASYNCFC_STATE_FOLDER": str(Path(folder, "state"))},
        )
        async with Client(stdio_client(parameters, errlog=log)) as client:
            yield client


@asynccontextmanager
async def direct_process() -> AsyncGenerator[Client]:
    """A client of the benchmark's own server without a gateway: what this machine can do at best."""
    async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=[str(SERVER)]))) as client:
        yield client


def _written(file: Path, document: Mapping[str, Any]) -> Path:
    file.write_text(json.dumps(document))
    return file


def first_text(result: CallToolResult) -> str:
    """The tool's own words; what the gateway adds stands behind them."""
    block = result.content[0]
    if result.is_error or not isinstance(block, TextContent):
        raise RuntimeError(str(result))
    return block.text


def token_of(result: CallToolResult) -> str:
    """The token of an answer that must be one."""
    future: dict[str, str] | None = (result.meta or {}).get("asyncfc/future")
    if future is None:
        raise RuntimeError(f"no token but {result}")
    return future["token"]


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def report(figures: Sequence[Figure], *, before: Mapping[str, Any], as_json: bool) -> bool:
    """Print the figures beside their targets; whether all are met."""
    if as_json:
        rows = [{**asdict(figure), "is_met": figure.is_met} for figure in figures]
        print(json.dumps({"machine_before": before, "machine_after": machine(), "figures": rows}, indent=2))
        return all(figure.is_met for figure in figures)
    print(", ".join(f"{key} {value}" for key, value in before.items()), f"(at the end {os.getloadavg()[0]:.2f})")
    for figure in figures:
        target = f"at most {figure.target:g} {figure.unit}" if figure.target is not None else "(no target)"
        verdict = "" if figure.target is None else "pass" if figure.is_met else "FAIL"
        print(f"{figure.what:<58} {figure.measured:>9.3f} {figure.unit:<3} {target:<18} {verdict:<4} {figure.note}")
    return all(figure.is_met for figure in figures)
