"""Arguments of every size and shape, and those that the gateway adds, given everything but what they ask for."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from tests.bad_input.support import error_of, held, let_go, nested
from tests.harness import LIMIT_S, GatewayClient

pytestmark = pytest.mark.anyio

HUGE = 10**400


# The arguments that we add to every tool


@pytest.mark.parametrize("wait_s", [-1, "soon", [], {"a": 1}, True, HUGE, "1e999", "nan", -(10**400)])
async def test_a_wrong_wait_is_an_error_and_nothing_is_started(gateway: GatewayClient, wait_s: Any) -> None:
    before = await gateway.text("state")
    result = await gateway.client.call_tool("put", {"key": "a", "value": "b", "_wait_s": wait_s})
    message = error_of(result)
    assert message.startswith("_wait_s cannot be ")
    assert "it takes a number of seconds, 0 or more" in message
    assert len(message) < 300
    assert await gateway.text("state") == before


@pytest.mark.parametrize("wait_s", [None, 0, "0", " 0.01 ", 1e308])
async def test_an_odd_wait_that_is_one_is_taken(gateway: GatewayClient, wait_s: Any) -> None:
    result = await gateway.call("echo", text="hi", _wait_s=wait_s)
    assert not result.is_error


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "fut_", "-x", "_x", "x" * 41, "x" * 100_000, "a/b", "a.b", "\0"])
async def test_a_wrong_name_is_an_error_and_nothing_is_started(gateway: GatewayClient, name: str) -> None:
    before = await gateway.text("state")
    message = error_of(await gateway.call("put", key="a", value="b", _as=name))
    assert "cannot name a future: a name has 1 to 40 letters" in message
    assert len(message) < 300
    assert await gateway.text("state") == before


@pytest.mark.parametrize("name", [5, [], {}, True, ["a"]])
async def test_a_name_that_is_no_text_is_an_error(gateway: GatewayClient, name: Any) -> None:
    message = error_of(await gateway.call("echo", text="hi", _as=name))
    assert message.startswith("_as cannot be ")


async def test_a_name_in_use_is_an_error_that_names_it(gateway: GatewayClient) -> None:
    for name in ("done", "fut_done", "DONE"):
        message = error_of(await gateway.call("echo", text="again", _as=name))
        assert "fut_done already names a live future; choose another name" in message
    assert await gateway.value("fut_done") == "done"


async def test_the_token_of_another_call_is_no_name(gateway: GatewayClient) -> None:
    token = await held(gateway)
    result = await gateway.call("echo", text="x", _as=token)
    await let_go(gateway, token)
    assert "already names a live future" in error_of(result)


async def test_of_two_calls_of_one_name_side_by_side_one_is_taken(gateway: GatewayClient) -> None:
    texts: list[str] = []

    async def call(text: str) -> None:
        texts.append(await gateway.text("echo", text=text, _as="twin"))

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            for text in ("one", "two"):
                tasks.start_soon(call, text)
    assert sum("already names a live future" in text for text in texts) == 1
    assert await gateway.value("fut_twin") in ("one", "two")


async def test_a_call_cannot_refer_to_itself(gateway: GatewayClient) -> None:
    message = error_of(await gateway.call("echo", text="fut_me", _as="me"))
    assert "arguments.text: fut_me is not known" in message
    assert "fut_me" not in await gateway.text("list_futures")


# Arguments of every size and shape


async def test_arguments_of_a_megabyte_pass_whole(gateway: GatewayClient) -> None:
    text = "é" * 500_000
    assert (await gateway.text("echo", text=text)).startswith(text)


async def test_a_megabyte_passes_by_token(gateway: GatewayClient) -> None:
    await gateway.call("large", size=1_000_000, _as="big")
    copied = await gateway.text("echo", text="fut_big")
    assert copied.split("\n")[0] == "x" * 1_000_000


async def test_a_megabyte_of_small_values_passes(gateway: GatewayClient) -> None:
    values = [f"value {number}" for number in range(80_000)]
    text = await gateway.text("list_arguments", values=values, options={})
    assert json.loads(text.split("\n")[0])["values"] == values


async def test_a_megabyte_of_what_looks_like_references_is_read_in_time(gateway: GatewayClient) -> None:
    text = "fut_ ${fut_ $${fut_x} " * 50_000
    with anyio.fail_after(5):
        result = await gateway.call("echo", text=text)
    assert not result.is_error


@pytest.mark.parametrize("levels", [150, 185])
async def test_deep_arguments_with_a_reference_in_them_pass(gateway: GatewayClient, levels: int) -> None:
    options = json.loads(nested(levels).replace("1", '"fut_done"'))
    text = await gateway.text("list_arguments", values=[], options=options)
    assert '"done"' in text


@pytest.mark.parametrize("levels", [191, 200, 240])
async def test_arguments_too_deep_for_any_server_are_not_sent(gateway: GatewayClient, levels: int) -> None:
    options = json.loads(nested(levels))
    message = error_of(await gateway.call("list_arguments", values=[], options=options))
    assert "nest deeper than 190 levels; the call was not sent" in message


@pytest.mark.parametrize("levels", [200, 900, 2_000, 100_000])
async def test_a_text_that_spells_deep_json_stays_a_text(gateway: GatewayClient, levels: int) -> None:
    await gateway.call("echo", text=nested(levels), _as="deep")
    assert (await gateway.text("echo", text="fut_deep")).split("\n")[0] == nested(levels)
    error_of(await gateway.call("list_arguments", values=[], options="fut_deep"))
