"""The gateway's own tools and arguments, given everything but what they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bad_input.support import assert_unharmed, error_of, free_toy, held, let_go
from tests.harness import GatewayClient, running, text_of

pytestmark = pytest.mark.anyio

HUGE = 10**400


# await_future


@pytest.mark.parametrize(
    "form",
    [
        "fut_done",
        " fut_done\n",
        "`fut_done`",
        "<fut_done>",
        "done",
        '["fut_done"]',
        ["fut_done"],
        ["fut_done", "fut_done"],
        ["fut_done", "done", "FUT_DONE".lower()],
        "fut_done,fut_done",
        "fut_done, ",
        "Fut_Done".replace("F", "f"),
    ],
)
async def test_one_future_in_any_form_is_its_value(gateway: GatewayClient, form: Any) -> None:
    assert await gateway.text("await_future", futures=form) == "done"


@pytest.mark.parametrize("form", ["fut_done,fut_two", "fut_done , fut_two", '["fut_done", "fut_two"]'])
async def test_several_in_any_form_are_their_values_under_their_names(gateway: GatewayClient, form: Any) -> None:
    await gateway.call("echo", text="second", _as="two")
    text = await gateway.text("await_future", futures=form)
    assert text.splitlines()[0].startswith("=== fut_done ")
    assert text.splitlines()[1] == "done"
    assert text.splitlines()[3] == "second"


@pytest.mark.parametrize("nothing", [[], "", None, " ", "[]", ",", " , "])
async def test_an_empty_list_means_all_that_is_unsettled(gateway: GatewayClient, nothing: Any) -> None:
    assert await gateway.text("await_future", futures=nothing) == "Nothing is unsettled."
    token = await held(gateway)
    text = await gateway.text("await_future", futures=nothing, timeout_s=0)
    assert f"- {token} (toy: hold) running" in text
    await let_go(gateway, token)


async def test_no_arguments_at_all_mean_all_that_is_unsettled(gateway: GatewayClient) -> None:
    assert await gateway.text("await_future") == "Nothing is unsettled."


@pytest.mark.parametrize(
    "form",
    [5, 0, True, False, {"a": "fut_done"}, [["fut_done"]], ["fut_done", 5], [None], "[5]", "[1", '{"a": 1}', 1e308],
)
async def test_what_is_no_list_of_tokens_is_an_error_that_says_so(gateway: GatewayClient, form: Any) -> None:
    message = error_of(await gateway.call("await_future", futures=form))
    assert "await_future: futures is" in message
    assert "tokens" in message


@pytest.mark.parametrize("text", ["not a token", "fut_", "/", "\0", "é", "${fut_done}", "$", "fut done"])
async def test_a_text_that_is_no_token_is_an_error_that_shows_one(gateway: GatewayClient, text: str) -> None:
    message = error_of(await gateway.call("await_future", futures=[text]))
    assert "allowed: tokens such as" in message


@pytest.mark.parametrize("text", ["fut_done/~2", "fut_done + 1", "fut_done fut_done"])
async def test_a_token_with_something_odd_behind_it_is_an_error_that_names_it(
    gateway: GatewayClient, text: str
) -> None:
    assert "fut_done" in error_of(await gateway.call("await_future", futures=[text]))


@pytest.mark.parametrize("levels", [100, 900])
async def test_a_deep_list_is_an_error(gateway: GatewayClient, levels: int) -> None:
    form = "[" * levels + "]" * levels
    assert "allowed: a list of tokens" in error_of(await gateway.call("await_future", futures=form))


async def test_a_list_too_deep_to_read_is_an_error(gateway: GatewayClient) -> None:
    result = await gateway.client.call_tool("await_future", {"futures": "[" * 100_000})
    assert "allowed: a list of tokens" in error_of(result)


@pytest.mark.parametrize("mode", ["ALL", "each", 5, True, ["all"], {"a": 1}, "any "])
async def test_a_wrong_mode_is_an_error_that_names_the_right_ones(gateway: GatewayClient, mode: Any) -> None:
    message = error_of(await gateway.call("await_future", futures=["fut_done"], mode=mode))
    assert message.startswith("await_future: mode is")
    assert message.endswith('allowed: "all" or "any"')


@pytest.mark.parametrize("tool", ["await_future", "get_future"])
@pytest.mark.parametrize("number", [-1, -0.001, "soon", [], {}, True, "nan", "inf"])
async def test_a_wrong_number_is_an_error(gateway: GatewayClient, tool: str, number: Any) -> None:
    awaited: dict[str, Any] = {"futures": ["fut_done"], "timeout_s": number}
    own = awaited if tool == "await_future" else {"future": "fut_done", "offset": number}
    message = error_of(await gateway.call(tool, **own))
    assert "allowed: a number that is not negative" in message


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("await_future", {"futures": ["fut_done"], "timeout_s": HUGE}),
        ("get_future", {"future": "fut_done", "offset": HUGE}),
        ("get_future", {"future": "fut_done", "limit": HUGE}),
    ],
)
async def test_a_number_too_large_to_be_one_is_no_internal_error(
    gateway: GatewayClient, tool: str, arguments: dict[str, Any]
) -> None:
    result = await gateway.client.call_tool(tool, arguments)
    assert "done" in text_of(result) or "allowed: a number" in text_of(result)


@pytest.mark.parametrize("timeout_s", ["0", 0, 0.0, "0.01", 1e-300])
async def test_a_short_wait_is_no_error_and_cancels_nothing(gateway: GatewayClient, timeout_s: Any) -> None:
    token = await held(gateway)
    result = await gateway.call("await_future", futures=[token], timeout_s=timeout_s)
    assert not result.is_error
    assert "nothing was cancelled" in text_of(result)
    await let_go(gateway, token)


@pytest.mark.parametrize("timeout_s", [1e308, 10**9, "1e10", None])
async def test_a_long_wait_is_cut_to_what_the_client_allows(timeout_s: Any) -> None:
    async with running({"toy": free_toy()}, await_cap_s=0.2) as gateway:
        token = await held(gateway)
        text = await gateway.text("await_future", futures=[token], timeout_s=timeout_s)
        assert "Still unsettled after 0.2 s" in text
        await gateway.client.call_tool("release", {"key": "a"})  # its own answer may be a token so soon
        await gateway.settle(token)
        assert (await gateway.text("get_future", future=token)).endswith("held a")


# get_future


@pytest.mark.parametrize("future", [None, 5, ["fut_done"], {}, True])
async def test_get_future_takes_one_token(gateway: GatewayClient, future: Any) -> None:
    message = error_of(await gateway.call("get_future", future=future))
    assert message.startswith("get_future: future is")
    assert message.endswith("allowed: one token")


async def test_get_future_without_arguments_says_what_it_takes(gateway: GatewayClient) -> None:
    assert "allowed: one token" in error_of(await gateway.call("get_future"))


@pytest.mark.parametrize("path", ["items", 5, ["/a"], True, "fut_done"])
async def test_a_path_that_is_none_is_an_error(gateway: GatewayClient, path: Any) -> None:
    message = error_of(await gateway.call("get_future", future="fut_done", path=path))
    assert message.startswith("get_future: path is")
    assert "JSON Pointer such as /items/0" in message


@pytest.mark.parametrize(
    ("arguments", "span", "length"),
    [
        ({}, "0 to 20000", 20_000),
        ({"offset": 0}, "0 to 20000", 20_000),
        ({"offset": 49_990}, "49990 to 50000", 10),
        ({"offset": 50_000}, "50000 to 50000", 0),
        ({"offset": 60_000}, "60000 to 60000", 0),
        ({"offset": 5, "limit": 3}, "5 to 8", 3),
        ({"offset": "5", "limit": "3"}, "5 to 8", 3),
        ({"limit": 0}, "0 to 0", 0),
        ({"limit": 10**9}, "0 to 20000", 20_000),
        ({"offset": 10**300}, "", 0),
    ],
)
async def test_a_part_of_a_long_value_is_exact(
    gateway: GatewayClient, arguments: dict[str, Any], span: str, length: int
) -> None:
    await gateway.call("large", size=50_000, _as="big")
    result = await gateway.call("get_future", future="fut_big", **arguments)
    assert not result.is_error
    note, part = text_of(result).split("\n")[-2:]
    assert span in note
    assert note.endswith("of 50000.")
    assert part == "x" * length


# cancel_future and list_futures


@pytest.mark.parametrize("futures", [None, [], "", "[]", " , "])
async def test_cancel_future_of_nothing_cancels_nothing(gateway: GatewayClient, futures: Any) -> None:
    token = await held(gateway)
    message = error_of(await gateway.call("cancel_future", futures=futures))
    assert "allowed: at least one token" in message
    await let_go(gateway, token)


async def test_cancel_future_of_a_settled_one_leaves_it_as_it_is(gateway: GatewayClient) -> None:
    result = await gateway.call("cancel_future", futures=["fut_done"])
    assert not result.is_error
    assert "fut_done (toy: echo) resolved already: unchanged" in text_of(result)
    assert await gateway.value("fut_done") == "done"


async def test_an_unknown_token_among_several_cancels_none_of_them(gateway: GatewayClient) -> None:
    token = await held(gateway)
    assert "fut_nope is not known" in error_of(await gateway.call("cancel_future", futures=[token, "fut_nope"]))
    await let_go(gateway, token)


@pytest.mark.parametrize("reason", [5, ["x"], {"a": 1}, "x" * 100_000, "\0\n"])
async def test_any_reason_will_do(reason: Any) -> None:
    async with running({"toy": free_toy(cancel_grace_s=0.1)}) as gateway:
        token = await held(gateway)
        await gateway.call("cancel_future", futures=[token], reason=reason)
        assert "was cancelled" in error_of(await gateway.call("await_future", futures=[token]))
        await assert_unharmed(gateway)


@pytest.mark.parametrize("state", ["done", 5, ["pending"], "", "PENDING", True])
async def test_a_wrong_state_is_an_error_that_lists_the_right_ones(gateway: GatewayClient, state: Any) -> None:
    message = error_of(await gateway.call("list_futures", state=state))
    assert message.startswith("list_futures: state is")
    assert message.endswith(
        "allowed: unsettled, pending, running, input_required, cancelling, resolved, failed, cancelled"
    )
