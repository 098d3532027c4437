"""`/health` and `/ready`, as a monitor asks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from tests.bounds import bound_s
from tests.harness import LIMIT_S, toy
from tests.transports.support import TOKEN, Kind, serving

pytestmark = pytest.mark.anyio

SILENT = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}
MISSING = {"command": "/nowhere/at/all"}


@asynccontextmanager
async def asked(
    folder: Path, servers: dict[str, Any], kind: Kind = "http", *, token: str | None = None
) -> AsyncGenerator[tuple[App, httpx2.AsyncClient]]:
    file = folder / "config.json"
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": {"store": "memory"}}))
    app = App(load_file(file, os.environ), None, serves_network=True)
    async with serving(app, kind, token=token) as url, httpx2.AsyncClient(base_url=url.rpartition("/")[0]) as client:
        yield app, client


async def until(client: httpx2.AsyncClient, is_so: Callable[[httpx2.Response], bool]) -> httpx2.Response:
    """Ask until the answer is so."""
    with anyio.fail_after(bound_s(LIMIT_S)):
        while not is_so(answer := await client.get("/ready")):
            pass
    return answer


def is_ready(answer: httpx2.Response) -> bool:
    return answer.status_code == 200


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_gateway_that_answers_is_healthy_and_with_its_servers_listed_ready(tmp_path: Path, kind: Kind) -> None:
    async with asked(tmp_path, {"toy": toy()}, kind, token=TOKEN) as (_, client):
        health = await client.get("/health")
        ready = await until(client, is_ready)
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert ready.json() == {"ready": True, "store": "open", "servers": {"known": 1, "starting": 0, "down": 0}}


async def test_neither_needs_the_token_and_all_else_does(tmp_path: Path) -> None:
    async with asked(tmp_path, {"toy": toy()}, token=TOKEN) as (_, client):
        codes = [
            (await client.get(path)).status_code for path in ("/health", "/mcp", "/nothing", "/health/", "/Health")
        ]
    assert codes == [200, 401, 401, 401, 401]


async def test_a_monitor_may_ask_for_the_head_alone_and_may_not_write(tmp_path: Path) -> None:
    async with asked(tmp_path, {"toy": toy()}) as (_, client):
        head = await client.head("/health")
        post = await client.post("/health")
    assert (head.status_code, head.content, post.status_code) == (200, b"", 405)


async def test_a_foreign_host_name_is_refused_here_too(tmp_path: Path) -> None:
    async with asked(tmp_path, {"toy": toy()}) as (_, client):
        assert (await client.get("/health", headers={"host": "evil.example"})).status_code == 421


async def test_while_a_server_starts_the_gateway_is_healthy_and_not_ready(tmp_path: Path) -> None:
    async with asked(tmp_path, {"toy": toy(), "secret-name": SILENT}) as (_, client):
        ready = await until(client, lambda answer: answer.json()["servers"]["known"] == 1)
        health = await client.get("/health")
    assert (health.status_code, ready.status_code) == (200, 503)
    assert ready.json()["servers"] == {"known": 1, "starting": 1, "down": 0}
    assert "secret-name" not in ready.text


async def test_a_server_that_cannot_start_does_not_keep_the_others_from_being_ready(tmp_path: Path) -> None:
    async with asked(tmp_path, {"toy": toy(), "gone": MISSING}) as (_, client):
        ready = await until(client, is_ready)
    assert ready.json()["servers"] == {"known": 1, "starting": 0, "down": 1}


async def test_with_no_server_to_call_the_gateway_is_not_ready(tmp_path: Path) -> None:
    async with asked(tmp_path, {"gone": MISSING}) as (_, client):
        ready = await until(client, lambda answer: answer.json()["servers"]["down"] == 1)
    assert ready.status_code == 503
