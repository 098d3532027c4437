"""Servers that do what no server should, each beside an ordinary one that must not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.gateway.caller import Caller
from tests.bad_input.support import assert_unharmed, crooked, error_of, free_toy, odd
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of
from tests.process.support import started

pytestmark = pytest.mark.anyio

GOOD_TOOL = {"name": "good", "inputSchema": {"type": "object"}}


def beside_toy(server: dict[str, Any], key: str = "odd", **settings: Any) -> Any:
    return running({"toy": free_toy(), key: server}, inline_wait_s=5, **settings)


# Framing and exits


async def test_rubbish_on_stdout_costs_nothing() -> None:
    with capture_logs() as logs:
        async with beside_toy(odd("rubbish")) as gateway:
            assert await gateway.text("odd_echo", a=1) == '{"a": 1}'
            await assert_unharmed(gateway)
    ignored = [line for line in logs if line["event"] == "server_stdout_ignored"]
    assert ignored
    assert {line["server"] for line in ignored} == {"odd"}


async def test_a_server_that_exits_at_once_is_reported_and_stops_nobody() -> None:
    with capture_logs() as logs:
        async with beside_toy(odd("exits_at_once")) as gateway:
            assert await gateway.text("echo", text="hi") == "hi"
            await _until_listed(gateway, "exited with code 3")
            assert "Server odd is" in await gateway.text("list_futures")
            await assert_unharmed(gateway)
    failed = next(line for line in logs if line["event"] == "server_start_failed")
    assert failed["server"] == "odd"
    assert "exited with code 3" in failed["why"]
    assert any(line["event"] == "server_stderr" and "no such database" in line["line"] for line in logs)


async def test_a_server_that_exits_in_the_handshake_is_reported() -> None:
    async with beside_toy(odd("dies_in_handshake")) as gateway:
        assert await gateway.text("echo", text="hi") == "hi"
        await _until_listed(gateway, "exited with code 4")
        await assert_unharmed(gateway)


async def test_a_server_that_exits_in_a_call_loses_all_its_calls_and_comes_back() -> None:
    async with beside_toy(odd(tools={"never": FREE, "die": FREE, "echo": FREE})) as gateway:
        lost = [await gateway.token("odd_never", _wait_s=0) for _ in range(3)]
        message = error_of(await gateway.call("odd_die"))
        assert "(outcome_unknown)" in message
        assert "may have taken effect" in message
        for token in lost:
            assert "(outcome_unknown)" in error_of(await gateway.call("await_future", futures=[token]))
        assert await gateway.text("odd_echo", again=1) == '{"again": 1}'
        await assert_unharmed(gateway)


async def test_a_call_that_needs_a_lost_value_is_poisoned_and_names_it() -> None:
    async with beside_toy(odd(tools={"never": FREE, "die": FREE})) as gateway:
        lost = await gateway.token("odd_never", _wait_s=0)
        needs_it = await gateway.token("echo", text=lost, _wait_s=0)
        await gateway.call("odd_die")
        message = error_of(await gateway.call("await_future", futures=[needs_it]))
        assert f"(poisoned): not started: it needs the value of {lost}" in message
        await assert_unharmed(gateway)


async def test_calls_behind_a_lost_server_do_not_stay_unsettled() -> None:
    async with beside_toy(odd()) as gateway:  # no labels: each waits for the one before it
        waiting = [await gateway.token("odd_never", _wait_s=0)]
        waiting += [await gateway.token("odd_echo", n=number, _wait_s=0) for number in range(5)]
        await gateway.call("cancel_future", futures=[waiting[0]])
        await gateway.call("await_future", futures=waiting)
        await assert_unharmed(gateway)


# Size, silence, cancellation


async def test_twenty_megabytes_come_through_in_time() -> None:
    async with beside_toy(odd()) as gateway:
        with anyio.fail_after(10):
            result = await gateway.call("odd_huge", size=20_000_000)
        assert text_of(result).startswith("x" * 20_000_000)
        await assert_unharmed(gateway)


async def test_twenty_megabytes_come_through_the_real_process(tmp_path: Path) -> None:
    async with started(tmp_path, {"odd": odd(), "toy": free_toy()}, settings={"inline_wait_s": 10}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        with anyio.fail_after(10):
            assert (await gateway.text("odd_huge", size=20_000_000)).startswith("x" * 20_000_000)
        part = await gateway.text("echo", text="hi")
        assert part.startswith("hi")


async def test_twenty_megabytes_are_never_attached_but_announced_in_a_line() -> None:
    async with beside_toy(odd(tools={"huge": FREE})) as gateway:
        token = await gateway.token("odd_huge", size=20_000_000, _wait_s=0)
        await _until_settled(gateway, token)
        text = text_of(await gateway.call("echo", text="hi"))
        assert f"{token} (odd: odd_huge) is ready; read it with get_future." in text
        assert len(text) < 1_000
        part = await gateway.text("get_future", future=token, offset=19_999_990)
        assert part.endswith("x" * 10)


async def test_a_call_that_is_never_answered_times_out() -> None:
    async with beside_toy(odd(tools={"never": {"timeout_s": 0.3}}, cancel_grace_s=0.1)) as gateway:
        message = error_of(await gateway.call("odd_never"))
        assert "(timed_out): it ran longer than 0.3 s; it may still take effect" in message
        behind = await gateway.token("odd_echo", next=1)
        assert await gateway.value(behind) == '{"next": 1}'
        await assert_unharmed(gateway)


async def test_a_server_that_ignores_cancellation_keeps_its_labels_for_the_grace_alone() -> None:
    with capture_logs() as logs:
        async with beside_toy(odd(cancel_grace_s=3)) as gateway:
            never = await gateway.token("odd_never", _wait_s=0)
            behind = await gateway.token("odd_echo", b=1, _wait_s=0)
            cancelled = await gateway.text("cancel_future", futures=[never])
            assert f"{never} (odd: odd_never) cancelling: its server has been asked to stop" in cancelled
            state = await gateway.text("get_future", future=behind)
            assert f"pending: waits behind {never}" in state
            assert await gateway.value(behind) == '{"b": 1}'
            await assert_unharmed(gateway)
    (warning,) = (line for line in logs if line["event"] == "labels_released_early")
    assert warning["log_level"] == "warning"
    assert (warning["server"], warning["grace_s"]) == ("odd", 3)
    assert "may still be at work" in warning["risk"]


# Lists


async def _names(gateway: GatewayClient) -> list[str]:
    with anyio.fail_after(LIMIT_S):
        return [tool.name for tool in (await gateway.client.list_tools()).tools]


async def test_of_two_tools_of_one_name_the_first_is_kept_with_a_warning() -> None:
    with capture_logs() as logs:
        async with beside_toy(odd("twins")) as gateway:
            tools = (await gateway.client.list_tools()).tools
            assert [tool.title for tool in tools if tool.name == "odd_echo"] == ["first"]
            assert await gateway.text("odd_echo", a=1) == '{"a": 1}'
            await assert_unharmed(gateway)
    (skipped,) = (line for line in logs if line["event"] == "server_tool_skipped")
    assert (skipped["server"], skipped["tool"]) == ("odd", "echo")


SOUND_ENOUGH: list[dict[str, Any]] = [
    {"inputSchema": "none"},
    {"inputSchema": []},
    {"inputSchema": True},
    {"inputSchema": {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}},
    {"inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://nowhere.invalid/x"}}}},
    {"inputSchema": {"type": "object", "properties": {"a": {"pattern": "["}}}},
    {"inputSchema": {"type": "object", "$ref": 5}},
    {"inputSchema": {"type": "object"}, "outputSchema": "text"},
    {"inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": "yes"}},
    {},
]
UNSOUND: list[dict[str, Any]] = [
    {"inputSchema": {"type": 7}},
    {"inputSchema": {"type": "array"}},
    {"inputSchema": {}},
    {"inputSchema": {"properties": None}},
    {"inputSchema": {"type": "object", "properties": []}},
    {"inputSchema": {"type": "object", "properties": {"a": 5}}},
    {"inputSchema": {"type": "object", "properties": {"a": {"type": 7}}, "required": 7}},
    {"inputSchema": {"type": "object"}, "description": 7},
    {"inputSchema": {"type": "object"}, "description": {"a": 1}},
    {"inputSchema": {"type": "object"}, "title": 5},
    {"inputSchema": {"type": "object"}, "_meta": "text"},
    {"inputSchema": {"type": "object"}, "annotations": "text"},
    {"inputSchema": {"type": "object"}, "icons": 5},
]


def _listing(odd_tool: dict[str, Any]) -> str:
    return json.dumps([GOOD_TOOL, {"name": "bad", **odd_tool}])


@pytest.mark.parametrize("odd_tool", SOUND_ENOUGH, ids=json.dumps)
async def test_a_tool_with_an_odd_schema_is_listed_and_can_be_called(odd_tool: dict[str, Any]) -> None:
    async with beside_toy(crooked(_listing(odd_tool)), key="crooked") as gateway:
        names = await _names(gateway)
        assert {"crooked_good", "crooked_bad", "echo"} <= set(names)
        assert text_of(await gateway.call("crooked_bad", a="x")) == '{"a": "x"}'
        await gateway.call("echo", text="x", _as="x")
        assert text_of(await gateway.call("crooked_bad", a="fut_x")) == '{"a": "x"}'
        await assert_unharmed(gateway)


@pytest.mark.parametrize("odd_tool", UNSOUND, ids=json.dumps)
async def test_a_tool_that_no_client_would_take_costs_no_other_its_place(odd_tool: dict[str, Any]) -> None:
    async with beside_toy(crooked(_listing(odd_tool)), key="crooked", era="legacy") as gateway:
        assert {"crooked_good", "echo"} <= set(await _names(gateway))
        await assert_unharmed(gateway)


@pytest.mark.parametrize("listed", ["5", "null", "{}", '"text"', "[5]", "[[]]", '[{"name": 5}]', '[{"name": ""}]'])
async def test_a_list_that_is_none_stops_nobody(listed: str) -> None:
    async with beside_toy(crooked(listed), key="crooked") as gateway:
        assert "echo" in await _names(gateway)
        await assert_unharmed(gateway)


async def test_a_list_too_deep_to_read_is_reported_and_stops_nobody() -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    listed = f'[{{"name":"bad","inputSchema":{{"type":"object","properties":{deep}}}}}]'
    async with beside_toy(crooked(listed), key="crooked") as gateway:
        assert await gateway.text("echo", text="hi") == "hi"
        await _until_listed(gateway, "Server crooked is")
        await assert_unharmed(gateway)


async def test_names_that_no_client_takes_are_made_fit_and_stay_apart() -> None:
    names = ["a b", "a.b", "a/b", "é", "", "x" * 300, "x" * 299, "await_future"]
    listed = json.dumps([{"name": name, "inputSchema": {"type": "object"}} for name in names])
    async with beside_toy(crooked(listed, prefix=""), key="crooked") as gateway:
        shown = await _names(gateway)
        assert len(shown) == len(set(shown))
        assert all(len(name) <= 40 and name.replace("_", "").replace("-", "").isalnum() for name in shown)
        await assert_unharmed(gateway)


async def test_pages_without_end_are_cut() -> None:
    with capture_logs() as logs:
        async with beside_toy(odd("endless_pages")) as gateway:
            assert "odd_t0" in await _names(gateway)
            await assert_unharmed(gateway)
    assert any(line["event"] == "server_list_endless" for line in logs)


async def _until_listed(gateway: GatewayClient, words: str) -> None:
    with anyio.fail_after(LIMIT_S):
        while words not in await gateway.text("list_futures"):  # noqa: ASYNC110  servers have no event for clients
            await anyio.sleep(0.02)


async def _until_settled(gateway: GatewayClient, token: str) -> None:
    with anyio.fail_after(LIMIT_S):
        await gateway.app.gateway.get(Caller("local", "local"), token).settled.wait()
