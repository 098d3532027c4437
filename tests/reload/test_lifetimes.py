"""How long futures can be read when that changes while they wait to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from tests.harness import running
from tests.reload.support import named


def test_each_lives_as_long_as_held_when_it_settled() -> None:
    lifetimes = Lifetimes(100)
    lifetimes.change(5, 10.0)
    lifetimes.change(50, 20.0)
    assert [lifetimes.of(settled_at) for settled_at in (0.0, 9.9, 10.0, 19.9, 20.0, 99.0)] == [100, 100, 5, 5, 50, 50]
    assert lifetimes.now_s == 50


@pytest.mark.anyio
async def test_a_shorter_time_does_not_shorten_that_of_what_has_settled(tmp_path: Path) -> None:
    async with running({"a": named(prefix="")}, store="memory") as gateway:
        kept = await gateway.named("echo", text="kept")
        file = tmp_path / "config.json"
        file.write_text('{"mcpServers": {"a": {"command": "x"}}, "asyncfc": {"ttl_s": 1e-9}}')
        config = gateway.app.gateway.config
        settings = load_file(file, {}).config.settings
        changes = await gateway.app.gateway.take_up(config.model_copy(update={"settings": settings}))
        assert changes.settings == ("ttl_s",)
        short = await gateway.named("echo", text="short")
        await gateway.app.gateway.sweep()
        assert "kept" in await gateway.value(kept)
        assert "not known" in await gateway.value(short)
