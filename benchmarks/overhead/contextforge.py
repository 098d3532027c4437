"""ContextForge as a process: one worker, with a server registered that listens at an address, and a client signed in.

It asks for a sign-in and limits how many calls a minute may come; the limit is lifted, all else is as it comes.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
import httpx2
import psutil
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.overhead.peers import CONTEXTFORGE
from benchmarks.overhead.processes import listening

NAME = "overhead"
LIMIT_S = 30.0
USER = "admin@example.com"


def environment(folder: Path, port: int) -> dict[str, str]:
    """Secrets of this run alone, a database in the folder, and no limit on calls."""
    return {
        "DATABASE_URL": f"sqlite:///{folder / f'contextforge-{port}.db'}",
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "AUTH_ENCRYPTION_SECRET": secrets.token_hex(32),
        "PLATFORM_ADMIN_EMAIL": USER,
        "PLATFORM_ADMIN_PASSWORD": f"Aa1-{secrets.token_hex(12)}",
        "CACHE_TYPE": "memory",
        "LOG_LEVEL": "ERROR",
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        "RATE_LIMITING_ENABLED": "false",
        "TOOL_RATE_LIMIT": "1000000",
        "TOOL_CONCURRENT_LIMIT": "64",
    }


@asynccontextmanager
async def contextforge(
    port: int, server_url: str, folder: Path, log: IO[str]
) -> AsyncGenerator[tuple[Client, psutil.Process, str]]:
    """A signed-in client, the process, and what stands before the names of tools."""
    settings = environment(folder, port)
    command = [CONTEXTFORGE.program("mcpgateway"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = ["--log-level", "error", "--no-access-log"]
    async with (
        listening([*command, *quiet], port, log, settings) as process,
        httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {await _ticket(settings, log)}"}, timeout=LIMIT_S
        ) as caller,
    ):
        registration = {"name": NAME, "url": server_url, "transport": "STREAMABLEHTTP"}
        answer = await caller.post(f"http://127.0.0.1:{port}/gateways", json=registration)
        answer.raise_for_status()
        async with Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp/", http_client=caller)) as client:
            yield client, process, f"{NAME}-"


async def _ticket(settings: dict[str, str], log: IO[str]) -> str:
    command = [str(CONTEXTFORGE.python), "-m", "mcpgateway.utils.create_jwt_token"]
    with anyio.fail_after(LIMIT_S):
        finished = await anyio.run_process(
            [*command, "--username", USER, "--admin", "--exp", "600"],
            env=settings,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    return finished.stdout.decode().split()[-1]
