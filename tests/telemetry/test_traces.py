"""Spans as a collector gets them from a real gateway in front of a traced server, and what passes on without any."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.harness import FREE, toy
from tests.process.support import Json, RawGateway, run, started, text_of
from tests.telemetry.collector import Collector, collecting
from tests.transports.support import BOTH, TOKEN, RawHttp, answer_in

pytestmark = pytest.mark.anyio

SERVER = Path(__file__).parent / "servers" / "traced.py"
ORDERED = {"writes": ["one/thing"]}
TRACES = [f"{number:032x}" for number in (0xA1, 0xB2, 0xC3)]
SPAN = "00f067aa0ba902b7"
SECRET = "hush-93ab1"


def entry() -> Json:
    """The traced server, whose tools conflict with nothing."""
    names = ("echo", "fail", "reject", "hold", "release", "parent")
    settings = {"prefix": "", "tools": dict.fromkeys(names, FREE)}
    return {"traced": {"command": sys.executable, "args": [str(SERVER)], "asyncfc": settings}}


@pytest.fixture
def collector() -> Generator[Collector]:
    with collecting() as collector:
        yield collector


@asynccontextmanager
async def traced(folder: Path, environment: dict[str, str]) -> AsyncGenerator[RawGateway]:
    """A gateway that is told to export, in front of a server that is told the same."""
    async with started(folder, entry(), environment=environment) as gateway:
        await gateway.initialize()
        await gateway.logged("server_ready")
        yield gateway


@asynccontextmanager
async def alone(folder: Path, environment: dict[str, str], **tools: Any) -> AsyncGenerator[RawGateway]:
    """The same in front of the toy, which knows nothing of traces and starts faster."""
    free = dict.fromkeys(("echo", "fail", "hold", "append"), FREE)
    async with started(folder, {"toy": toy(tools={**free, **tools})}, environment=environment) as gateway:
        await gateway.initialize()
        await gateway.logged("server_ready")
        yield gateway


async def start(gateway: RawGateway, tool: str, trace: str, **arguments: Any) -> int:
    """Send a call that belongs to that trace of its client."""
    meta = {"traceparent": f"00-{trace}-{SPAN}-01"}
    return await gateway.start_request("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})


async def pending(gateway: RawGateway, tool: str, trace: str, **arguments: Any) -> str:
    """The token of such a call."""
    answer = await gateway.answer(await start(gateway, tool, trace, _wait_s=0, **arguments))
    return answer["result"]["_meta"]["asyncfc/future"]["token"]


async def test_a_call_is_one_trace_from_the_client_through_the_gateway_to_its_server(
    tmp_path: Path, collector: Collector
) -> None:
    async with traced(tmp_path, collector.environment) as gateway:
        await gateway.answer(await start(gateway, "echo", TRACES[0], text="hi"))
        request = await collector.span("tools/call echo")
        call = await collector.span("call echo")
        sent = await collector.span("MCP send tools/call echo")
        served = await collector.span("tools/call echo", service="traced")
    assert (request.trace, request.parent) == (TRACES[0], SPAN)
    assert {request.trace, call.trace, sent.trace, served.trace} == {TRACES[0]}
    assert (call.parent, sent.parent, served.parent) == (request.id, call.id, sent.id)


async def test_a_blocked_call_stays_in_the_trace_of_its_own_request(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector.environment) as gateway:
        held = await pending(gateway, "hold", TRACES[0], text="gate")
        waiting = await start(gateway, "echo", TRACES[1], text=held, _wait_s=10)
        await gateway.answer(await start(gateway, "release", TRACES[2], text="gate"))
        await gateway.answer(waiting)
        freed = await collector.span("tools/call echo", service="traced")
        releasing = await collector.span("tools/call release", service="traced")
    assert freed.trace == TRACES[1]
    assert releasing.trace == TRACES[2]


async def test_a_call_is_linked_to_the_calls_that_it_waits_for(tmp_path: Path, collector: Collector) -> None:
    async with alone(tmp_path, collector.environment, hold=ORDERED, append=ORDERED) as gateway:
        held = await pending(gateway, "hold", TRACES[0], key="gate")
        behind = await pending(gateway, "append", TRACES[1], key="a", value="b")
        needing = await pending(gateway, "echo", TRACES[1], text=held)
        await gateway.text("release", key="gate", _wait_s=10)
        await gateway.text("await_future", futures=[behind, needing])
        first = await collector.span("call hold", future=held)
        second = await collector.span("call append", future=behind)
        third = await collector.span("call echo", future=needing)
    assert first.links == {}
    assert second.links == {first.id: "order"}
    assert third.links == {first.id: "data"}


async def test_a_call_that_needs_a_settled_future_is_linked_to_it(tmp_path: Path, collector: Collector) -> None:
    async with alone(tmp_path, collector.environment) as gateway:
        await gateway.text("echo", text="x", _as="early", _wait_s=10)
        await gateway.text("append", key="a", value="fut_early", _wait_s=10)
        first = await collector.span("call echo", future="fut_early")
        second = await collector.span("call append")
    assert second.links == {first.id: "data"}


async def test_a_span_says_how_long_the_call_was_pending_and_how_it_settled(
    tmp_path: Path, collector: Collector
) -> None:
    async with alone(tmp_path, collector.environment) as gateway:
        held = await pending(gateway, "hold", TRACES[0], key="gate")
        await pending(gateway, "echo", TRACES[1], text=held)
        await gateway.text("release", key="gate", _wait_s=10)
        held_span = await collector.span("call hold")
        freed = await collector.span("call echo")
    assert held_span.events == freed.events == ["running"]
    assert float(freed.attributes["asyncfc.pending_s"]) > float(held_span.attributes["asyncfc.pending_s"])
    assert freed.attributes["asyncfc.server"] == "toy"
    assert freed.span.status.code == freed.span.status.STATUS_CODE_OK


async def test_a_failed_call_ends_with_its_reason_and_a_poisoned_one_was_never_sent(
    tmp_path: Path, collector: Collector
) -> None:
    async with alone(tmp_path, collector.environment) as gateway:
        await gateway.text("fail", message="no", _as="bad", _wait_s=10)
        await gateway.call("echo", text="fut_bad")
        failed = await collector.span("call fail")
        poisoned = await collector.span("call echo")
    assert (failed.attributes["asyncfc.state"], failed.attributes["error.type"]) == ("failed", "tool_error")
    assert failed.span.status.code == failed.span.status.STATUS_CODE_ERROR
    assert (poisoned.attributes["error.type"], poisoned.events) == ("poisoned", [])
    assert poisoned.links == {failed.id: "data"}


async def test_no_argument_value_or_message_is_in_a_span(tmp_path: Path, collector: Collector) -> None:
    environment = collector.environment
    async with traced(tmp_path, environment) as gateway:
        for tool in ("echo", "fail", "reject"):
            await gateway.call(tool, text=f"{SECRET} of {tool}")
        await gateway.request("resources/read", {"uri": f"file:///{SECRET}"})
        await gateway.call("await_future", futures=[f"fut_{SECRET}"])
        await gateway.text("echo", text="the last")
        gateway.close_stdin()
        await gateway.exit_code()
        await collector.span("call reject")
        await collector.span("resources/read")
    assert b"reject" in collector.bodies
    assert SECRET.encode() not in collector.bodies


@asynccontextmanager
async def over_http(
    folder: Path, environment: dict[str, str], **of_server: Any
) -> AsyncGenerator[tuple[RawGateway, RawHttp]]:
    servers = entry()
    servers["traced"]["asyncfc"] |= of_server
    folder.joinpath("config.json").write_text(json.dumps({"mcpServers": servers}))
    serve = ["serve", "--config", str(folder / "config.json"), "--transport", "http", "--port", "0"]
    # a known caller: the calls of strangers do not come back after a restart
    own = {**environment, "ASYNCFC_TOKEN": TOKEN}
    async with run(folder, serve, environment=own) as gateway:
        url = (await gateway.logged("listening"))["url"]
        headers = {**BOTH, "authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20) as client:
            yield gateway, RawHttp(client, url)


async def post(
    http: RawHttp, tool: str, *, header: str | None = None, meta: str | None = None, **arguments: Any
) -> Json:
    """A call without a session, which belongs to these traces."""
    message, headers = http.modern(tool, arguments)
    if meta is not None:
        message["params"]["_meta"]["traceparent"] = f"00-{meta}-{SPAN}-01"
    return answer_in(
        await http.post(message, **headers, **({"traceparent": f"00-{header}-{SPAN}-01"} if header else {}))
    )


async def test_over_http_the_header_joins_the_trace_and_the_message_comes_before_it(
    tmp_path: Path, collector: Collector
) -> None:
    async with over_http(tmp_path, collector.environment) as (_, http):
        await post(http, "echo", header=TRACES[0], text="hi")
        await post(http, "fail", header=TRACES[1], meta=TRACES[2], text="hi")
        await http.initialize()
        in_session = http.call_message("parent", {})
        await http.post(in_session, traceparent=f"00-{TRACES[1]}-{SPAN}-01")
        call = await collector.span("call echo")
        request = await collector.until(lambda one: one.id == call.parent)
        by_message = await collector.span("call fail")
        by_session = await collector.span("call parent")
    assert (call.trace, request.parent) == (TRACES[0], SPAN)
    assert by_message.trace == TRACES[2]
    assert by_session.trace == TRACES[1]


async def test_a_call_that_goes_on_after_a_restart_is_still_in_its_trace(tmp_path: Path, collector: Collector) -> None:
    async with over_http(tmp_path, collector.environment, concurrency=1) as (gateway, http):
        await post(http, "hold", meta=TRACES[0], text="gate", _wait_s=0)
        await post(http, "echo", meta=TRACES[1], text="later", _wait_s=0)
        gateway.family()
        gateway.signal(signal.SIGKILL)
        await gateway.exit_code()
    async with over_http(tmp_path, collector.environment):
        resumed = await collector.span("call echo", resumed="True")
        served = await collector.span("tools/call echo", service="traced")
    assert resumed.trace == served.trace == TRACES[1]


async def test_without_spans_of_its_own_the_gateway_passes_each_call_s_own_context_on(tmp_path: Path) -> None:
    async with traced(tmp_path, {}) as gateway:
        held = await pending(gateway, "hold", TRACES[0], text="gate")
        waiting = await start(gateway, "parent", TRACES[1], text=held, _wait_s=10)
        untraced = await gateway.start_call("parent", {"text": held, "_wait_s": 10})
        await gateway.answer(await start(gateway, "release", TRACES[2], text="gate"))
        said = [text_of(await gateway.answer(number)).splitlines()[0] for number in (waiting, untraced)]
    assert said == [f"00-{TRACES[1]}-{SPAN}-01", "None"]


async def test_a_collector_that_is_not_there_holds_nothing_up_and_is_told_of_once(tmp_path: Path) -> None:
    nowhere = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{SECRET}:x@127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": f"no pair {SECRET}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2",
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    async with alone(tmp_path, nowhere) as gateway:
        for _ in range(2):
            assert await gateway.text("echo", text="hi") == "hi"
            await gateway.logged("traces_lost")
        gateway.family()
        gateway.close_stdin()
        assert await gateway.ended() == 0
        said = (await gateway.stderr()).splitlines()
    lines = [json.loads(line) for line in said]
    assert [line["event"] for line in lines].count("traces_lost") == 1
    assert SECRET not in "".join(said)


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "99999"}, "ValueError"),
    ],
)
async def test_what_cannot_be_had_costs_the_spans_and_a_warning(
    tmp_path: Path, variables: dict[str, str], why: str
) -> None:
    async with started(tmp_path, {"toy": toy()}, environment=variables) as gateway:
        await gateway.initialize()
        assert await gateway.text("echo", text="hi") == "hi"
        assert why in (await gateway.logged("traces_not_exported"))["why"]


@pytest.mark.parametrize("switch", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}])
async def test_spans_can_be_switched_off_where_they_are_set_up_for_everything(
    tmp_path: Path, collector: Collector, switch: dict[str, str]
) -> None:
    async with alone(tmp_path, {**collector.environment, **switch}) as gateway:
        assert await gateway.text("echo", text="hi") == "hi"
        gateway.close_stdin()
        await gateway.exit_code()
        assert "exporting_traces" not in await gateway.stderr()
    assert collector.bodies == b""


async def test_a_service_is_named_as_the_environment_says(tmp_path: Path, collector: Collector) -> None:
    environment = {**collector.environment, "OTEL_RESOURCE_ATTRIBUTES": "service.name=front,deployment=test"}
    async with alone(tmp_path, environment) as gateway:
        await gateway.text("echo", text="hi")
        await collector.span("call echo", service="front")


async def test_a_call_that_its_client_does_not_sample_is_not_recorded_and_passed_on_as_such(
    tmp_path: Path, collector: Collector
) -> None:
    async with traced(tmp_path, collector.environment) as gateway:
        meta = {"traceparent": f"00-{TRACES[0]}-{SPAN}-00"}
        number = await gateway.start_request(
            "tools/call", {"name": "parent", "_meta": meta, "arguments": {"_wait_s": 10}}
        )
        said = text_of(await gateway.answer(number))
        await gateway.text("echo", text="hi")
        await collector.span("call echo")
    assert said.startswith(f"00-{TRACES[0]}-")
    assert said.endswith("-00")
    assert bytes.fromhex(TRACES[0]) not in collector.bodies


async def test_spans_on_the_console_leave_stdout_to_mcp(tmp_path: Path) -> None:
    console = {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    async with alone(tmp_path, console) as gateway:
        assert await gateway.text("echo", text="hi") == "hi"
        gateway.close_stdin()
        assert await gateway.rest() == []
        assert '"name": "call echo"' in await gateway.stderr()
