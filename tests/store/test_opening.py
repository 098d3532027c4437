"""Which store a configuration gets."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.memory import MemoryStore
from asyncfc_mcp.store.opening import UnknownStore, store_file, store_for
from asyncfc_mcp.store.sqlite import SqliteStore
from tests.store.rows import settled

pytestmark = pytest.mark.anyio

Logged = list[MutableMapping[str, Any]]


def file_of(store: str, state_folder: Path | None = None) -> Path | None:
    return store_file(GatewaySettings(store=store), state_folder)


async def test_the_default_is_a_file_in_the_state_folder(tmp_path: Path) -> None:
    store = store_for(GatewaySettings(), tmp_path / "state", "stdio")
    assert isinstance(store, SqliteStore)
    assert store.outlives
    await store.open()
    await store.put(settled())
    await store.close()
    assert (tmp_path / "state" / "futures.db").exists()


def test_without_a_state_folder_the_default_is_memory() -> None:
    store = store_for(GatewaySettings(), None, "stdio")
    assert isinstance(store, MemoryStore)
    assert not store.outlives


def test_memory_makes_no_file(tmp_path: Path) -> None:
    assert isinstance(store_for(GatewaySettings(store="memory"), tmp_path, "stdio"), MemoryStore)
    assert list(tmp_path.iterdir()) == []


def test_three_slashes_are_relative_and_four_absolute() -> None:
    assert file_of("sqlite:///futures.db") == Path("futures.db")
    assert file_of("sqlite:////var/lib/futures.db") == Path("/var/lib/futures.db")
    assert file_of("sqlite:///C:/state/futures.db") == Path("C:/state/futures.db")
    assert file_of("sqlite:///~/futures.db") == Path.home() / "futures.db"
    assert file_of("sqlite:///a%20b/ü.db") == Path("a%20b/ü.db")


@pytest.mark.parametrize(
    "store",
    [
        "redis://user:hunter2@localhost/0",
        "sqlite:////",
        "sqlite:///.",
        "postgresql://user:hunter2@localhost/db",
        "sqlite+aiosqlite:///hunter2",
        "sqlite:hunter2",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///futures.db?password=hunter2",
        "//:hunter2",
        "SQLITE",
        "",
    ],
)
def test_what_is_no_store_is_refused_without_its_secrets(store: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownStore) as refused:
        store_for(GatewaySettings(store=store), tmp_path, "stdio")
    assert "hunter2" not in str(refused.value)
    assert '"sqlite:///PATH"' in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_default_store_that_cannot_be_made_is_memory_with_one_warning(tmp_path: Path, logged: Logged) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    assert isinstance(store_for(GatewaySettings(), tmp_path / "state", "stdio"), MemoryStore)
    (warning,) = logged
    assert (warning["event"], warning["log_level"]) == ("store_not_durable", "warning")
    assert "lost when the gateway ends" in warning["effect"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written_is_memory_with_one_warning(tmp_path: Path, logged: Logged) -> None:
    tmp_path.chmod(0o500)
    try:
        assert isinstance(store_for(GatewaySettings(), tmp_path, "stdio"), MemoryStore)
        assert len(logged) == 1
    finally:
        tmp_path.chmod(0o700)


async def test_a_named_store_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    store = store_for(GatewaySettings(store=f"sqlite:///{tmp_path}/missing/futures.db"), tmp_path, "stdio")
    with pytest.raises(StoreFault, match="missing"):
        await store.open()


async def test_a_damaged_default_store_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "futures.db").write_text("Dear diary")
    with pytest.raises(StoreFault, match="damaged"):
        await store_for(GatewaySettings(), tmp_path, "stdio").open()
    assert (tmp_path / "futures.db").read_text() == "Dear diary"
