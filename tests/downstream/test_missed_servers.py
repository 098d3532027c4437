"""A server that clients once waited for in vain holds up no later start, until it has been listed."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.downstream import catalog
from asyncfc_mcp.downstream.pool import Pool
from tests.downstream.support import entry, odd, running

pytestmark = pytest.mark.anyio

GATED = Path(__file__).parents[1] / "process" / "servers" / "gated.py"
FOR_EVER_S = 3_600.0


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """While this file is there, `gated` servers say nothing."""
    gate = tmp_path / "gate"
    gate.touch()
    yield gate
    gate.unlink(missing_ok=True)


def gated(gate: Path, **environment: str) -> ServerEntry:
    return entry("gated", StdioEntry(command=sys.executable, args=(str(GATED), str(gate)), env=environment))


def names(tools: tuple[catalog.CatalogTool, ...]) -> list[str]:
    return [tool.name for tool in tools]


async def all_tools(pool: Pool, patience_with_missed_s: float = 0) -> list[str]:
    """The list as one sees it who waits for all servers but the missed ones as long as it takes."""
    return names(await pool.catalog.tools(FOR_EVER_S, patience_with_missed_s=patience_with_missed_s))


async def miss(server: ServerEntry, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start whose client waits for the server in vain; from then on clients would wait for ever."""
    monkeypatch.setattr(catalog, "LIST_TIMEOUT_S", 0.2)
    async with running([server], state_folder=state) as pool:
        assert await pool.catalog.tools() == ()
    monkeypatch.setattr(catalog, "LIST_TIMEOUT_S", FOR_EVER_S)


@pytest.fixture
async def missed(tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder in which a start has waited for `gated` in vain."""
    with anyio.fail_after(30):
        await miss(gated(gate), tmp_path, monkeypatch)
    return tmp_path


async def test_a_missed_server_is_not_waited_for_beyond_the_patience_with_it(missed: Path, gate: Path) -> None:
    with anyio.fail_after(30):
        async with running([gated(gate), odd("slow_start")], state_folder=missed) as pool:
            assert (await all_tools(pool))[0] == "odd_echo"
            assert len(await all_tools(pool, 0.2)) == 4
            assert pool.connection("gated").listing is None


async def test_a_missed_server_that_was_mended_is_listed_within_that_patience(missed: Path, gate: Path) -> None:
    with anyio.fail_after(30):
        gate.unlink()
        async with running([gated(gate)], state_folder=missed) as pool:
            assert await all_tools(pool) == []
            assert await all_tools(pool, FOR_EVER_S) == ["gated_say"]


async def test_a_call_by_name_waits_for_a_missed_server_as_for_any(missed: Path, gate: Path) -> None:
    async def open_late() -> None:
        await anyio.sleep(catalog.MISSED_TIMEOUT_S + 0.1)
        gate.unlink()

    with anyio.fail_after(30):
        async with running([gated(gate)], state_folder=missed) as pool, anyio.create_task_group() as tasks:
            tasks.start_soon(open_late)
            assert await pool.catalog.find_listed("gated_say") is not None


async def test_another_entry_was_never_missed(missed: Path, gate: Path) -> None:
    with anyio.fail_after(30):
        gate.unlink()
        async with running([gated(gate, MENDED="1")], state_folder=missed) as pool:
            assert await all_tools(pool) == ["gated_say"]


async def test_a_server_that_was_listed_once_is_missed_no_more(missed: Path, gate: Path) -> None:
    with anyio.fail_after(30):
        gate.unlink()
        async with running([gated(gate)], state_folder=missed) as pool:
            assert await all_tools(pool, FOR_EVER_S) == ["gated_say"]
        (kept,) = (missed / "lists").iterdir()
        assert kept.suffix == ".json"
        kept.unlink()
        async with running([gated(gate)], state_folder=missed) as pool:
            assert await all_tools(pool) == ["gated_say"]


async def test_a_server_that_comes_up_after_it_was_missed_is_missed_no_more(
    tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "LIST_TIMEOUT_S", 0.2)
    with anyio.fail_after(30):
        async with running([gated(gate)], state_folder=tmp_path) as pool:
            assert await pool.catalog.tools() == ()
            gate.unlink()
            await pool.connection("gated").call_tool("say", {})
    (kept,) = (tmp_path / "lists").iterdir()
    assert kept.suffix == ".json"


async def test_a_client_that_does_not_wait_to_the_end_misses_nobody(tmp_path: Path, gate: Path) -> None:
    with anyio.fail_after(30):
        async with running([gated(gate)], state_folder=tmp_path) as pool:
            assert await pool.catalog.tools(0.1) == ()
        assert not (tmp_path / "lists").exists()


async def test_the_mark_of_a_missed_server_is_private_and_tells_nothing(
    tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(30):
        await miss(gated(gate, API_KEY="hush-hush"), tmp_path, monkeypatch)
    (mark,) = (tmp_path / "lists").iterdir()
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    assert mark.read_bytes() == b""
    assert len(mark.stem) == 64


async def test_a_mark_that_cannot_be_written_costs_the_next_start_its_speed_and_no_more(
    tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists").touch()
    with anyio.fail_after(30), capture_logs() as logs:
        await miss(gated(gate), tmp_path, monkeypatch)
        gate.unlink()
        async with running([gated(gate)], state_folder=tmp_path) as pool:
            assert await all_tools(pool) == ["gated_say"]
    assert "list_not_kept" in [line["event"] for line in logs]
