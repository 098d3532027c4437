"""A tracer provider that the environment asks for, and that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import toy
from tests.process.support import started

pytestmark = pytest.mark.anyio

VARIABLE = "OTEL_PYTHON_TRACER_PROVIDER"


async def test_a_tracer_provider_that_is_not_installed_costs_the_spans_and_a_warning(tmp_path: Path) -> None:
    exported = {"OTEL_TRACES_EXPORTER": "console"}
    async with started(tmp_path, {"toy": toy()}, environment={VARIABLE: "nope", **exported}) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        ignored = await gateway.logged("otel_tracer_provider_ignored")
        assert (ignored["provider"], ignored["why"]) == ("nope", f"{VARIABLE} names it, and it is not installed")
        assert "another tracer provider" in (await gateway.logged("traces_not_exported"))["why"]
        gateway.close_stdin()
        await gateway.exit_code()
        assert "Traceback" not in await gateway.stderr()


async def test_a_tracer_provider_that_is_there_is_left_alone(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}, environment={VARIABLE: "default_tracer_provider"}) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        gateway.close_stdin()
        await gateway.exit_code()
        assert "otel_" not in await gateway.stderr()


async def test_an_empty_name_of_a_tracer_provider_is_none(tmp_path: Path) -> None:
    environment = {VARIABLE: "", "OTEL_TRACES_EXPORTER": "console"}
    async with started(tmp_path, {"toy": toy()}, environment=environment) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        assert (await gateway.logged("exporting_traces"))["exporter"] == "console"
