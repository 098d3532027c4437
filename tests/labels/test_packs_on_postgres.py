"""The postgres pack on the real server, in front of a real database: queries overlap, and cannot write.

ASYNCFC_TEST_NPM names a folder whose `node_modules` has the server; `initdb` and `pg_ctl` are looked for on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp import MCPError

from tests.downstream.support import free_port
from tests.harness import GatewayClient, running
from tests.labels.test_packs_against_more_real_servers import entry

INITDB, PG_CTL = shutil.which("initdb"), shutil.which("pg_ctl")
NOBODY = "nobody"
"""The database refuses to run as root."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.skipif(not INITDB or not PG_CTL, reason="initdb and pg_ctl are not on the PATH"),
]

SLEEPERS = "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"


def run_postgres_program(*command: str) -> None:
    user = NOBODY if os.geteuid() == 0 else None
    subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    assert INITDB
    assert PG_CTL
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        if os.geteuid() == 0:
            shutil.chown(folder, NOBODY)
        run_postgres_program(INITDB, "--auth=trust", "--username=postgres", "--no-sync", "-D", str(data))
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        run_postgres_program(PG_CTL, "-D", str(data), "-w", "-o", options, "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            run_postgres_program(PG_CTL, "-D", str(data), "-w", "-m", "immediate", "stop")


async def number_of_sleepers(gateway: GatewayClient) -> int:
    return int(json.loads(await gateway.text("db_query", sql=SLEEPERS, _wait_s=30))[0]["n"])


async def test_two_queries_run_at_once(database: str) -> None:
    async with running({"db": entry("@modelcontextprotocol/server-postgres", database)}) as gateway:
        token = await gateway.token("db_query", sql="SELECT pg_sleep(20)", _wait_s=0)
        with anyio.fail_after(15):
            while await number_of_sleepers(gateway) != 1:
                pass
        await gateway.call("cancel_future", futures=[token])


async def test_a_query_cannot_write(database: str) -> None:
    async with running({"db": entry("@modelcontextprotocol/server-postgres", database)}) as gateway:
        with pytest.raises(MCPError, match="read-only transaction"):
            await gateway.call("db_query", sql="CREATE TABLE notes (text TEXT)", _wait_s=30)
