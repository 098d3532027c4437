"""Every store there is. A new one gets a line in `OPENERS` and has to pass the suite unchanged."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from asyncfc_mcp.store.base import FutureStore
from asyncfc_mcp.store.memory import MemoryStore

OpenStore = Callable[[], AbstractAsyncContextManager[FutureStore]]
"""Each call gives an empty store, closed when it is left."""
Opener = Callable[[Path], AbstractAsyncContextManager[FutureStore]]


@asynccontextmanager
async def _memory(_: Path) -> AsyncGenerator[FutureStore]:
    store = MemoryStore()
    yield store
    await store.close()


OPENERS: dict[str, Opener] = {"memory": _memory}


@pytest.fixture(params=OPENERS)
def open_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OpenStore:
    opener = OPENERS[request.param]
    return lambda: opener(tmp_path_factory.mktemp("store"))


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncGenerator[FutureStore]:
    async with open_store() as opened:
        yield opened
