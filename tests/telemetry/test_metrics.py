"""`/metrics`, as Prometheus reads it from a gateway that works."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from asyncfc_mcp.telemetry.metrics import MOST_SERVERS, MOST_TOOLS, Metrics
from asyncfc_mcp.telemetry.readings import Readings, SettledCall
from tests.harness import toy
from tests.process.support import started
from tests.transports.support import TOKEN, Kind, Place, call, place, token, until, value

pytestmark = pytest.mark.anyio

NOTHING = Readings({}, 0, 0, 0, 0, 0, 0, 0.0, 0, {})


class Page:
    """What one reading of the page says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            (one.name, one.labels, one.value)
            for family in text_string_to_metric_families(text)
            for one in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels, among others."""
        found = [value for known, has, value in self.samples if known == name and labels.items() <= has.items()]
        assert found, f"{name} {labels} is not in:\n{self.text}"
        return sum(found)


@asynccontextmanager
async def measured(kind: Kind = "http", **settings: Any) -> AsyncGenerator[Place]:
    async with place(kind, metrics=True, **settings) as where:
        yield where


async def read(where: Place, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(headers={**where.headers, **headers}, timeout=20) as client:
        return await client.get(where.url.rpartition("/")[0] + "/metrics")


async def page(where: Place) -> Page:
    return Page((await read(where)).text)


async def test_calls_are_counted_by_how_they_ended() -> None:
    async with measured() as where:
        async with where.client() as client:
            assert await value(client, "echo", text="hi") == "hi"
            await value(client, "echo", text="hi")
            await call(client, "fail", message="no", _wait_s=10)
        seen = await page(where)
    calls = "asyncfc_calls_total"
    assert seen.value(calls, server="toy", tool="echo", state="resolved", reason="") == 2
    assert seen.value(calls, server="toy", tool="fail", state="failed", reason="tool_error") == 1
    assert seen.value("asyncfc_call_run_seconds_count", server="toy") == 3
    assert seen.value("asyncfc_call_wait_seconds_count", server="toy") == 3
    assert seen.value("asyncfc_inline_answers_total") == 3
    assert seen.value("asyncfc_tokens_total") == 0


async def test_futures_are_there_by_their_state_until_they_have_settled() -> None:
    async with measured() as where:
        async with where.client() as client:
            held = await token(client, "hold", key="gate")
            appended = await token(client, "append", key=held, value="x")
            before = await page(where)
            await until(client, "release", bool, key="gate")
            await call(client, "await_future", futures=[held, appended])
        after = await page(where)
    states = "asyncfc_futures"
    assert (before.value(states, state="running"), before.value(states, state="pending")) == (1, 1)
    assert (after.value(states, state="running"), after.value(states, state="pending")) == (0, 0)
    assert before.value("asyncfc_tokens_total") == 2
    assert after.value("asyncfc_futures_kept") >= 2


async def test_a_result_that_goes_with_a_later_answer_is_counted() -> None:
    async with measured() as where:
        async with where.client("legacy") as client:
            await token(client, "hold", key="gate")
            await call(client, "release", key="gate", _wait_s=10)
            await until(client, "list_futures", lambda answer: "running" not in answer)
        seen = await page(where)
    assert seen.value("asyncfc_attached_total") == 1


async def test_time_that_calls_shared_is_counted_as_saved() -> None:
    async with measured() as where:
        async with where.client() as client:
            held = [await token(client, "hold", key=key) for key in "ab"]
            for key in "ab":
                await call(client, "release", key=key, _wait_s=10)
            await call(client, "await_future", futures=held)
        seen = await page(where)
    assert seen.value("asyncfc_overlap_saved_seconds_total") > 0


async def test_servers_are_up_or_down_and_their_restarts_are_counted() -> None:
    async with measured() as where, where.client() as client:
        await value(client, "echo", text="hi")
        first = await page(where)
        await call(client, "die", _wait_s=10)
        await until(client, "echo", lambda answer: answer == "hi", text="hi", _wait_s=10)
        second = await page(where)
    assert (first.value("asyncfc_server_up", server="toy"), second.value("asyncfc_server_up", server="toy")) == (1, 1)
    assert first.value("asyncfc_server_restarts_total", server="toy") == 0
    assert second.value("asyncfc_server_restarts_total", server="toy") == 1


async def test_the_process_and_the_version_are_there_too() -> None:
    async with measured() as where:
        seen = await page(where)
    assert seen.value("asyncfc_build_info") == 1
    assert "python_info" in seen.text
    assert seen.value("asyncfc_store_faults_total") == 0


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_the_page_needs_the_token_that_mcp_needs(kind: Kind) -> None:
    async with measured(kind, token=TOKEN) as where:
        assert (await read(where)).status_code == 200
        where.headers = {}
        assert (await read(where)).status_code == 401


async def test_beside_stdio_pages_and_probes_are_at_the_dashboard_s_port(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}, "--dashboard", "0", settings={"metrics": True}) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        await gateway.logged("dashboard")
        entry = json.loads((tmp_path / "state" / "gateways" / f"{gateway.pid}.json").read_text())
        async with httpx2.AsyncClient(base_url=entry["url"].rpartition("/")[0]) as client:
            health = await client.get("/health")
            without = await client.get("/metrics")
            seen = await client.get("/metrics", headers={"authorization": f"Bearer {entry['token']}"})
    assert (health.status_code, without.status_code, seen.status_code) == (200, 401, 200)
    assert Page(seen.text).value("asyncfc_calls_total", tool="echo") == 1


async def test_metrics_that_nobody_could_read_are_a_warning(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}, settings={"metrics": True}) as gateway:
        assert "dashboard" in (await gateway.logged("metrics_not_served"))["change"]


async def test_the_page_is_not_there_unless_it_is_asked_for() -> None:
    async with place("http") as where:
        assert (await read(where)).status_code == 404


async def test_the_format_is_the_one_that_is_asked_for() -> None:
    async with measured() as where:
        plain = await read(where)
        newer = await read(where, accept="application/openmetrics-text; version=1.0.0")
    assert plain.headers["content-type"].startswith("text/plain")
    assert newer.headers["content-type"].startswith("application/openmetrics-text")
    assert newer.text.endswith("# EOF\n")


async def test_no_token_scope_or_argument_is_in_the_page() -> None:
    async with measured() as where:
        async with where.client(asyncfc_scope="hush-chat") as client:
            name = await token(client, "echo", text="hush-text")
            await call(client, "await_future", futures=[name])
        seen = await page(where)
    assert seen.value("asyncfc_calls_total", tool="echo") == 1
    assert "hush" not in seen.text
    assert name not in seen.text


async def test_a_missing_extra_ends_the_start_with_one_line(tmp_path: Path) -> None:
    without = "import sys; sys.modules['prometheus_client'] = None"
    async with started(tmp_path, {"toy": toy()}, settings={"metrics": True}, prelude=without) as gateway:
        assert await gateway.exit_code() == 2
        said = await gateway.stderr()
    assert said == 'asyncfc-mcp: "metrics": true needs the extra `metrics`: pip install "asyncfc-mcp[metrics]"\n'


async def test_nothing_of_the_extra_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    without = "import sys; sys.modules['prometheus_client'] = sys.modules['opentelemetry.sdk'] = None"
    async with started(tmp_path, {"toy": toy()}, prelude=without) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"


async def test_spans_that_cannot_be_exported_cost_a_warning_and_no_more(tmp_path: Path) -> None:
    without = "import sys; sys.modules['opentelemetry.sdk'] = None"
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    async with started(tmp_path, {"toy": toy()}, environment=environment, prelude=without) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        warning = await gateway.logged("traces_not_exported")
    assert "asyncfc-mcp[otel]" in warning["change"]


def noted(metrics: Metrics) -> Page:
    return Page(metrics.text(NOTHING)[0].decode())


def test_however_many_tools_and_servers_there_are_the_series_stay_few() -> None:
    metrics = Metrics()
    for number in range(5_000):
        metrics.note(SettledCall(f"server {number % 500}", f"tool {number}", "resolved", "", 0.0, 0.1))
    seen = noted(metrics)
    counted = [labels for name, labels, _ in seen.samples if name == "asyncfc_calls_total"]
    assert len(counted) <= MOST_TOOLS + MOST_SERVERS + 1
    assert seen.value("asyncfc_calls_total") == 5_000
    assert seen.value("asyncfc_calls_total", server="other") > 0
    assert seen.value("asyncfc_calls_total", tool="other") > 0


def test_saved_time_never_goes_back() -> None:
    metrics = Metrics()
    for saved_s in (2.0, 1.9999999):
        text = metrics.text(Readings({}, 0, 0, 0, 0, 0, 0, saved_s, 0, {}))[0].decode()
    assert Page(text).value("asyncfc_overlap_saved_seconds_total") == 2.0


def test_a_call_that_never_started_has_no_time_of_running() -> None:
    metrics = Metrics()
    metrics.note(SettledCall("s", "t", "failed", "poisoned", 3.0, None))
    seen = noted(metrics)
    assert seen.value("asyncfc_call_wait_seconds_sum", server="s") == 3.0
    assert "asyncfc_call_run_seconds_count{" not in seen.text


def test_counting_takes_no_memory_for_each_call() -> None:
    metrics = Metrics()
    one = SettledCall("s", "t", "resolved", "", 0.0, 0.1)
    metrics.note(one)
    tracemalloc.start()
    for _ in range(2_000):
        metrics.note(one)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000
