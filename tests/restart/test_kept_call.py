"""What is kept of a call beside its row, and rows of which nothing else is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.value import wraps_result
from asyncfc_mcp.gateway.keeping.kept_call import KeptCall, read_call
from asyncfc_mcp.store.opening import store_for
from tests.harness import running
from tests.store.rows import row, settled

pytestmark = pytest.mark.anyio

UNREADABLE = [
    None,
    {},
    {"version": 99, "mode": "auto"},
    {"version": 1, "mode": "unheard of"},
    {"version": 1, "work": 5},
]


@pytest.mark.parametrize("wraps", [True, False])
def test_the_value_of_a_tool_that_is_gone_is_unwrapped_as_before(wraps: bool) -> None:
    tool = KeptCall("auto", structured=False, wraps_result=wraps).tool(row())
    assert wraps_result(tool.tool.get("outputSchema")) is wraps


@pytest.mark.parametrize("written", UNREADABLE)
def test_what_another_version_wrote_is_no_call(written: dict[str, Any] | None) -> None:
    assert read_call(row(call=written)) is None


@pytest.mark.parametrize("written", UNREADABLE)
async def test_a_future_without_its_call_is_read_or_settled_all_the_same(
    tmp_path: Path, written: dict[str, Any] | None
) -> None:
    store = store_for(GatewaySettings(), tmp_path, "stdio")
    await store.open()
    owned: dict[str, Any] = {"principal": "local", "owner": store.owner, "call": written}
    await store.put(row("id-1", "fut_running", **owned))
    await store.put(row("id-2", "fut_pending", state=FutureState.PENDING, **owned))
    await store.put(settled("id-3", expires_at=1e12, token="fut_done", principal="local", call=written))
    await store.close()
    async with running(state_folder=tmp_path) as gateway:
        assert "failed (outcome_unknown)" in await gateway.value("fut_running")
        assert "failed (not_started)" in await gateway.value("fut_pending")
        assert await gateway.value("fut_done") == "done"
