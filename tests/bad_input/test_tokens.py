"""Tokens that are not, not any more, or not this caller's; paths that miss; values that do not fit."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asyncfc_mcp.core.token import is_mistyped
from asyncfc_mcp.gateway.answering.turns import Wishes
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.table import UnknownToken
from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.harness import LIMIT_S, GatewayClient, running, text_of

pytestmark = pytest.mark.anyio

PLAIN = Wishes()
AT_ONCE = Wishes(wait_s=0)
OWN_TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("await_future", {"futures": ["TOKEN"]}),
    ("get_future", {"future": "TOKEN"}),
    ("cancel_future", {"futures": ["TOKEN"]}),
    ("echo", {"text": "TOKEN"}),
    ("echo", {"text": "TOKEN/items/0"}),
    ("echo", {"text": "the page ${TOKEN} says"}),
]


def with_token(arguments: dict[str, Any], token: str) -> dict[str, Any]:
    return {
        key: [token] if isinstance(value, list) else value.replace("TOKEN", token) for key, value in arguments.items()
    }


def toy_gateway(**settings: Any) -> Any:
    return running({"toy": free_toy()}, inline_wait_s=5, **settings)


@pytest.mark.parametrize(("tool", "arguments"), OWN_TOOLS)
async def test_an_unknown_token_is_an_error_that_names_the_live_ones(tool: str, arguments: dict[str, Any]) -> None:
    async with toy_gateway() as gateway:
        live = await gateway.token("hold", key="a", _wait_s=0)
        message = error_of(await gateway.call(tool, **with_token(arguments, "fut_page")))
        assert "fut_page is not known" in message
        assert f"Your live tokens: {live}" in message
        await gateway.call("release", key="a")
        await gateway.value(live)
        await assert_unharmed(gateway)


@pytest.mark.parametrize(("tool", "arguments"), OWN_TOOLS)
async def test_a_mistyped_token_is_an_error_that_proposes_the_right_one(tool: str, arguments: dict[str, Any]) -> None:
    async with toy_gateway() as gateway:
        live = await gateway.token("hold", key="a", _wait_s=0)
        mistyped = live[:-2] + ("0" if live[-2] != "0" else "1") + live[-1]
        assert is_mistyped(mistyped)
        message = error_of(await gateway.call(tool, **with_token(arguments, mistyped)))
        assert f"{mistyped} is mistyped. Did you mean {live}?" in message
        await gateway.call("release", key="a")
        assert await gateway.value(live) == "held a"
        await assert_unharmed(gateway)


async def test_an_error_in_an_argument_says_where_it_stands() -> None:
    async with toy_gateway() as gateway:
        arguments = {"values": ["x"], "options": {"deep": [{"here": "fut_page/0"}]}}
        message = error_of(await gateway.call("list_arguments", **arguments))
        assert message.startswith("arguments.options.deep[0].here: fut_page is not known")


@pytest.mark.parametrize(("tool", "arguments"), OWN_TOOLS)
async def test_an_expired_token_is_an_error_that_names_the_live_ones(tool: str, arguments: dict[str, Any]) -> None:
    async with toy_gateway(ttl_s=0.1) as gateway:
        live = await gateway.token("hold", key="a", _wait_s=0)
        await gateway.call("echo", text="soon gone", _as="gone")
        await _until_gone(gateway, "fut_gone")
        message = error_of(await gateway.call(tool, **with_token(arguments, "fut_gone")))
        assert "fut_gone is not known: it never existed or has expired" in message
        assert live in message
        await gateway.call("release", key="a")
        await gateway.value(live)
        await assert_unharmed(gateway)


async def test_the_name_of_an_expired_future_can_be_given_again() -> None:
    async with toy_gateway(ttl_s=1) as gateway:
        await gateway.call("echo", text="first", _as="page")
        await _until_gone(gateway, "fut_page")
        await gateway.call("echo", text="second", _as="page")
        assert await gateway.text("echo", text="fut_page") == "second"


async def test_a_value_that_a_pending_call_needs_outlives_its_time() -> None:
    async with toy_gateway(ttl_s=1) as gateway:
        await gateway.call("echo", text='["kept"]', _as="value")
        held = await gateway.token("hold", key="a", _wait_s=0)
        both = await gateway.token("list_arguments", _wait_s=0, values="fut_value", options={"x": held})
        await gateway.call("echo", text="a clock", _as="clock")
        await _until_gone(gateway, "fut_clock")
        await gateway.call("release", key="a")
        assert await gateway.value(both) == '{"values": ["kept"], "options": {"x": "held a"}}'


async def test_text_that_only_looks_like_a_token_is_plain_data() -> None:
    async with toy_gateway() as gateway:
        for text in ("fut_", "my fut_page", "fut_report_1a2b.json", "$${fut_page}", "future", "${fut_page", "fut page"):
            result = await gateway.call("echo", text=text)
            assert not result.is_error
            assert text_of(result) == text.replace("$$", "$")
        await assert_unharmed(gateway)


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("/items/9/id", "the list has the indexes 0 to 1"),
        ("/nothing", "the keys are items"),
        ("/items/x", "the list has the indexes 0 to 1"),
        ("/items/-1", "the list has the indexes 0 to 1"),
        ("/items/0/id/deeper", "with nothing inside"),
        ("/", "the keys are items"),
        ("/" + "9" * 400, "the keys are items"),
    ],
)
async def test_a_path_that_misses_says_what_is_there(path: str, fact: str) -> None:
    async with toy_gateway() as gateway:
        await gateway.call("record", count=2, _as="list")
        in_argument = error_of(await gateway.call("echo", text=f"fut_list{path}"))
        assert "(bad_substitution): arguments.text: fut_list/" in in_argument
        assert fact in in_argument
        for tool, arguments in (
            ("get_future", {"future": f"fut_list{path}"}),
            ("await_future", {"futures": [f"fut_list{path}"]}),
        ):
            message = error_of(await gateway.call(tool, **arguments))
            assert "fut_list/" in message
            assert fact in message
        assert "item-1" in await gateway.text("get_future", future="fut_list/items/1/id")
        await assert_unharmed(gateway)


async def test_a_path_that_misses_costs_the_other_awaited_futures_nothing() -> None:
    async with toy_gateway() as gateway:
        await gateway.call("record", count=1, _as="list")
        await gateway.call("echo", text="fine", _as="word")
        text = await gateway.text("await_future", futures=["fut_list/nope", "fut_word"])
        assert "the keys are items" in text
        assert "fine" in text


async def test_a_path_into_an_image_names_the_block_types() -> None:
    async with toy_gateway() as gateway:
        await gateway.call("picture", _as="picture")
        message = error_of(await gateway.call("echo", text="fut_picture/data"))
        assert "neither text nor JSON, only image" in message


@pytest.mark.parametrize("text", ["hello", ""])
async def test_a_value_that_is_no_json_names_token_argument_and_fact(text: str) -> None:
    async with toy_gateway() as gateway:
        await gateway.call("echo", text=text, _as="word")
        message = error_of(await gateway.call("add", a="fut_word", b=1))
        assert "(bad_substitution): arguments.a: fut_word cannot be used here" in message
        assert "number" in message
        await assert_unharmed(gateway)


@pytest.mark.parametrize(("text", "kind"), [("[1]", "a list"), ("true", "true or false"), ('{"a": 1}', "an object")])
async def test_a_value_of_the_wrong_type_names_token_argument_and_fact(text: str, kind: str) -> None:
    async with toy_gateway() as gateway:
        await gateway.call("echo", text=text, _as="word")
        message = error_of(await gateway.call("add", a="fut_word", b=1))
        assert f"(bad_substitution): arguments.a: must be a number, not {kind}" in message
        assert "fut_word" in message
        await assert_unharmed(gateway)


async def test_a_call_with_references_is_checked_before_it_waits() -> None:
    async with toy_gateway() as gateway:
        held = await gateway.token("hold", key="a", _wait_s=0)
        message = error_of(await gateway.call("add", a=held, b=[1]))
        assert message.startswith("arguments.b: must be a number")
        await gateway.call("release", key="a")
        await gateway.value(held)
        await assert_unharmed(gateway)


async def test_a_token_of_another_principal_is_unknown_and_nothing_is_given_away() -> None:
    alice, bob = Caller("alice", "alice/1"), Caller("bob", "bob/1")
    async with toy_gateway() as gateway:
        hers = await _call(gateway, alice, "hold", AT_ONCE, key="a")
        # named: by chance it could be so much like hers that it is suggested
        his = await _call(gateway, bob, "hold", Wishes(wait_s=0, token="fut_quite_another"), key="a")
        with pytest.raises(UnknownToken) as raised:
            gateway.app.gateway.get(bob, hers.token)
        assert his.token in str(raised.value)
        assert str(raised.value).count(hers.token) == 1
        assert "Did you mean" not in str(raised.value)
        with pytest.raises(UnknownToken, match=r"arguments\.text"):
            await _call(gateway, bob, "echo", text=hers.token)
        assert gateway.app.gateway.futures(bob) == [his]
        await gateway.call("release", key="a")
        await gateway.app.gateway.wait(hers.caller, [hers, his], "all", LIMIT_S)
        await assert_unharmed(gateway)


async def test_a_name_of_another_principal_is_free_to_take() -> None:
    alice, bob = Caller("alice", "alice/1"), Caller("bob", "bob/1")
    async with toy_gateway() as gateway:
        hers = await _call(gateway, alice, "echo", Wishes(token="fut_page"), text="hers")
        with pytest.raises(UnknownToken):
            await _call(gateway, bob, "echo", text="fut_page")
        his = await _call(gateway, bob, "echo", Wishes(token="fut_page"), text="his")
        assert gateway.app.gateway.get(alice, "fut_page") is hers
        assert gateway.app.gateway.get(bob, "fut_page") is his


async def test_anonymous_callers_are_kept_apart_by_tokens_that_cannot_be_guessed() -> None:
    one, other = (Caller("anonymous", f"session/{name}", is_anonymous=True) for name in ("one", "other"))
    async with toy_gateway() as gateway:
        future = await _call(gateway, one, "hold", AT_ONCE, key="a")
        assert len(future.token.rsplit("_", 1)[1]) == 27
        assert gateway.app.gateway.futures(other) == []
        with pytest.raises(UnknownToken) as raised:
            gateway.app.gateway.get(other, future.token[:-1])
        assert "Did you mean" not in str(raised.value)
        assert "live tokens: none" in str(raised.value)
        assert gateway.app.gateway.get(other, future.token) is future
        await gateway.call("release", key="a")
        await gateway.app.gateway.wait(one, [future], "all", LIMIT_S)


async def test_a_name_says_nothing_to_another_anonymous_caller() -> None:
    one, other = (Caller("anonymous", f"session/{name}", is_anonymous=True) for name in ("one", "other"))
    async with toy_gateway() as gateway:
        await _call(gateway, one, "echo", Wishes(token="fut_page"), text="mine")
        with pytest.raises(UnknownToken):
            gateway.app.gateway.get(other, "fut_page")
        with pytest.raises(UnknownToken):
            await _call(gateway, other, "echo", text="fut_page")


@pytest.mark.parametrize("length", [1_000, 100_000])
async def test_an_overlong_token_does_not_come_back_whole(length: int) -> None:
    async with toy_gateway() as gateway:
        for tool, arguments in OWN_TOOLS:
            message = error_of(await gateway.call(tool, **with_token(arguments, f"fut_{'a' * length}")))
            assert "is not known" in message
            assert len(message) < 500
        await assert_unharmed(gateway)


async def _call(gateway: GatewayClient, caller: Caller, name: str, wishes: Wishes = PLAIN, **arguments: Any) -> Future:
    await gateway.app.gateway.pool.catalog.tools()
    tool = gateway.app.gateway.pool.catalog.find(name)
    assert tool is not None
    with anyio.fail_after(LIMIT_S):
        return (await gateway.app.gateway.call(caller, tool, arguments, wishes)).future


async def _until_gone(gateway: GatewayClient, token: str) -> None:
    with anyio.fail_after(LIMIT_S):
        while token in await gateway.text("list_futures"):  # noqa: ASYNC110  nothing tells when one is forgotten
            await anyio.sleep(0.02)
