"""Every store there is. A new one gets a line in `OPENERS` and has to pass the suite unchanged."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from asyncfc_mcp.store.base import FutureStore
from asyncfc_mcp.store.memory import MemoryStore
from asyncfc_mcp.store.sqlite import SqliteStore

OpenStore = Callable[[], AbstractAsyncContextManager[FutureStore]]
"""Each call gives an empty store, closed when it is left."""
Opener = Callable[[Path], AbstractAsyncContextManager[FutureStore]]


@asynccontextmanager
async def _memory(_: Path) -> AsyncGenerator[FutureStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def sqlite_in(
    folder: Path, *, max_bytes: int = 1_000_000_000, kind: str = "gateway"
) -> AsyncGenerator[SqliteStore]:
    store = SqliteStore(folder / "futures.db", max_bytes=max_bytes, kind=kind)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


OPENERS: dict[str, Opener] = {"memory": _memory, "sqlite": sqlite_in}


@pytest.fixture(params=OPENERS)
def open_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OpenStore:
    opener = OPENERS[request.param]
    return lambda: opener(tmp_path_factory.mktemp("store"))


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncGenerator[FutureStore]:
    async with open_store() as opened:
        yield opened
