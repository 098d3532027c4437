"""`asyncfc-mcp purge`: what goes, what stays, and what is said."""

from __future__ import annotations

import json
import time
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from asyncfc_mcp.cli.main import main
from tests.store.conftest import sqlite_in
from tests.store.rows import row, settled

NOW = time.time()
HOUR = 3600.0


def purge(folder: Path, *options: str) -> Result:
    return CliRunner(env={"ASYNCFC_STATE_FOLDER": str(folder)}).invoke(main, ["purge", *options])


async def fill(folder: Path) -> None:
    """One that has expired, two that settled two hours and a minute ago, and one that its gateway has not ended."""
    async with sqlite_in(folder) as store:
        await store.put(settled("expired", token="fut_1", settled_at=NOW - 30 * HOUR, expires_at=NOW - 6 * HOUR))
        await store.put(settled("old", token="fut_2", settled_at=NOW - 2 * HOUR, expires_at=NOW + 22 * HOUR))
        await store.put(settled("new", token="fut_3", settled_at=NOW - 60, expires_at=NOW + 24 * HOUR))
        await store.put(row("unsettled", token="fut_4", owner=store.owner))


async def names_left(folder: Path) -> list[str]:
    async with sqlite_in(folder) as store:
        return [name for name in ("expired", "old", "new", "unsettled") if await store.get(name) is not None]


def test_by_itself_it_deletes_what_has_expired(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path)
    result = purge(tmp_path)
    assert result.exit_code == 0
    assert result.output.startswith(f"1 future deleted from {tmp_path / 'futures.db'}, 3 left")
    assert "1 of those left have not settled" in result.output
    assert anyio.run(names_left, tmp_path) == ["old", "new", "unsettled"]


def test_older_than_goes_by_when_they_settled(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path)
    assert purge(tmp_path, "--older-than", "90m").exit_code == 0
    assert anyio.run(names_left, tmp_path) == ["new", "unsettled"]


def test_all_takes_what_settled_and_what_a_dead_gateway_left(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path)
    result = purge(tmp_path, "--all")
    assert "4 futures deleted" in result.output
    assert "1 of the deleted had not settled, and their gateway is gone" in result.output
    assert anyio.run(names_left, tmp_path) == []


def test_all_leaves_what_a_living_gateway_works_on(tmp_path: Path) -> None:
    async def purge_beside_a_gateway() -> None:
        await fill(tmp_path)
        async with sqlite_in(tmp_path) as living:
            await living.adopt()
            result = await anyio.to_thread.run_sync(lambda: purge(tmp_path, "--all"))
            assert "3 futures deleted" in result.output
            assert "1 left" in result.output
            assert await living.get("unsettled") is not None
            await living.put(settled("unsettled", token="fut_4", expires_at=NOW + HOUR))
            assert await living.count() == 1

    anyio.run(purge_beside_a_gateway)


def test_the_file_that_the_configuration_names_is_purged(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path)
    config = tmp_path / "config.json"
    store = f"sqlite:///{tmp_path / 'futures.db'}"
    config.write_text(json.dumps({"mcpServers": {"a": {"command": "a"}}, "asyncfc": {"store": store}}))
    result = purge(tmp_path / "elsewhere", "--config", str(config), "--all")
    assert "4 futures deleted" in result.output
    assert anyio.run(names_left, tmp_path) == []


def test_the_store_can_be_named(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path)
    result = purge(tmp_path / "elsewhere", "--store", f"sqlite:///{tmp_path / 'futures.db'}")
    assert "1 future deleted" in result.output


def test_without_a_file_there_is_nothing_to_do_and_none_is_made(tmp_path: Path) -> None:
    result = purge(tmp_path)
    assert result.exit_code == 0
    assert "nothing is stored: there is no" in result.output
    assert list(tmp_path.iterdir()) == []
    assert "in memory" in purge(tmp_path, "--store", "memory").output


def test_the_file_is_small_afterwards(tmp_path: Path) -> None:
    async def fill_with_much() -> None:
        async with sqlite_in(tmp_path) as store:
            for number in range(2000):
                text = f"{number} {'x' * 900}"
                await store.put(settled(f"{number}", token=f"fut_{number}", expires_at=10.0, result={"text": text}))

    anyio.run(fill_with_much)
    assert (tmp_path / "futures.db").stat().st_size > 2_000_000
    assert "2000 futures deleted" in purge(tmp_path).output
    assert (tmp_path / "futures.db").stat().st_size < 200_000


def test_what_was_purged_stands_nowhere_in_the_file(tmp_path: Path) -> None:
    async def fill_with_secrets() -> None:
        async with sqlite_in(tmp_path) as store:
            for number in range(100):
                text = f"the-secret-{number} {'x' * 200}"
                await store.put(settled(f"{number}", token=f"fut_{number}", expires_at=10.0, result={"text": text}))
            await store.put(settled("kept", token="fut_kept", expires_at=1e12))

    anyio.run(fill_with_secrets)
    assert b"the-secret" in (tmp_path / "futures.db").read_bytes()
    assert "100 futures deleted" in purge(tmp_path).output
    for file in tmp_path.glob("futures.db*"):
        assert file.is_dir() or b"the-secret" not in file.read_bytes()


def test_what_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "futures.db").write_text("Dear diary")
    result = purge(tmp_path, "--all")
    assert result.exit_code == 2
    assert "is damaged" in result.output
    assert (tmp_path / "futures.db").read_text() == "Dear diary"


@pytest.mark.parametrize("options", [["--older-than", "soon"], ["--older-than", "7"], ["--all", "--older-than", "7d"]])
def test_options_that_mean_nothing_are_refused(tmp_path: Path, options: list[str]) -> None:
    assert purge(tmp_path, *options).exit_code == 2
