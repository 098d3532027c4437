"""Settings that change in the file of a running gateway; as it is said in docs/reload.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import FREE
from tests.process.support import LIMIT_S, RawGateway, text_of
from tests.reload.support import Gate, named, over_http, over_stdio, tool_names, until_gone, until_listed

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")]


async def test_labels_change_for_new_calls_and_stay_as_they_were_for_those_that_hold_them(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        who = await gateway.text("a_who", _wait_s=LIMIT_S)
        await gateway.call("a_hold_until", path=gate.path, _as="writer", _wait_s=0)
        await gate.begun()
        await gateway.call("a_echo", text="before", _as="behind", _wait_s=0)
        said = await file.change({"a": named(tools={"echo": FREE})})
        assert said["changed"] == {"a": ["tools.echo"]}
        assert await gateway.text("a_echo", text="free", _wait_s=LIMIT_S) == "free"
        assert "pending" in await gateway.text("get_future", future="fut_behind")
        gate.open()
        assert "before" in await gateway.text("await_future", futures=["fut_behind"], timeout_s=LIMIT_S)
        assert await gateway.text("a_who", _wait_s=LIMIT_S) == who, "the process is the same"


async def test_more_concurrency_starts_calls_that_wait_for_a_place(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    tools = {"hold_until": FREE, "echo": FREE}
    async with over_stdio(tmp_path, {"a": named(concurrency=1, tools=tools)}) as (gateway, file):
        await until_listed(gateway, "a_who")
        await gateway.call("a_hold_until", path=gate.path, _as="first", _wait_s=0)
        await gate.begun()
        await gateway.call("a_echo", text="there was no room", _as="second", _wait_s=0)
        assert "1 of 1" in await gateway.text("get_future", future="fut_second")
        assert (await file.change({"a": named(concurrency=2, tools=tools)}))["changed"] == {"a": ["concurrency"]}
        assert "there was" in await gateway.text("await_future", futures=["fut_second"], timeout_s=LIMIT_S)
        assert "running" in await gateway.text("get_future", future="fut_first")


async def test_less_room_in_all_is_kept_to_as_calls_end(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    entry = {"a": named(tools={"hold_until": FREE})}
    async with over_stdio(tmp_path, entry) as (gateway, file):
        await until_listed(gateway, "a_who")
        await gateway.call("a_hold_until", path=gate.path, _as="first", _wait_s=0)
        await gate.begun()
        assert (await file.change(entry, max_running=1))["settings"] == ["max_running"]
        waiting = await gateway.call("a_who", _as="second", _wait_s=0)
        assert "1 of 1 calls already run on all servers" in text_of(waiting)
        gate.open()
        assert "first" in await gateway.text("await_future", futures=["fut_second"], timeout_s=LIMIT_S)


async def test_tools_are_left_out_and_renamed_and_who_says_the_old_name_is_told_the_new_one(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        await until_listed(gateway, "a_who")
        await file.change({"a": named(prefix="b", exclude=["die"])})
        assert {"b_who", "b_die"} & set(await tool_names(gateway)) == {"b_who"}
        assert "is called b_who now" in await gateway.text("a_who")
        assert "leaves it out" in await gateway.text("a_die")


async def test_a_mode_at_the_top_holds_for_the_next_call(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        await until_listed(gateway, "a_who")
        assert "_wait_s" in await _properties(gateway, "a_echo")
        said = await file.change({"a": named()}, mode="sync")
        assert (said["settings"], said["changed"]) == (["mode"], {"a": ["mode"]})
        assert "_wait_s" not in await _properties(gateway, "a_echo"), "a call of a sync tool always waits"


async def test_a_timeout_holds_for_calls_that_come_after_it(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with over_stdio(tmp_path, {"a": named(tools={"hold_until": FREE})}) as (gateway, file):
        await until_listed(gateway, "a_who")
        await gateway.call("a_hold_until", path=gate.path, _as="patient", _wait_s=0)
        await gate.begun()
        await file.change({"a": named(tools={"hold_until": FREE}, timeout_s=0.2, cancel_grace_s=0)})
        timed_out = await gateway.call("a_hold_until", path=gate.path, _wait_s=LIMIT_S)
        assert "ran longer than 0.2 s" in text_of(timed_out)
        gate.open()
        assert "held" in await gateway.text("await_future", futures=["fut_patient"], timeout_s=LIMIT_S)


@pytest.mark.parametrize("over", [over_stdio, over_http])
async def test_the_longest_wait_holds_for_the_next_request(tmp_path: Path, over: Any) -> None:
    gate = Gate(tmp_path / "gate")
    async with over(tmp_path, {"a": named()}, await_cap_s=LIMIT_S) as (client, file):
        await client.call("a_hold_until", path=gate.path, _as="held", _wait_s=0)
        await file.change({"a": named()}, await_cap_s=0.1)
        assert "Still unsettled after 0.1 s" in await client.text("await_future", futures=["fut_held"], timeout_s=9)
        gate.open()


async def test_nothing_is_attached_once_piggyback_is_off(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        await until_listed(gateway, "a_who")
        assert await _is_delivered(gateway, "fut_one", Gate(tmp_path / "one"))
        await file.change({"a": named()}, piggyback="off")
        assert not await _is_delivered(gateway, "fut_two", Gate(tmp_path / "two"))


async def test_a_higher_limit_of_futures_lets_in_who_waits_for_it(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    entry = {"a": named(tools={"hold_until": FREE})}
    async with over_stdio(tmp_path, entry, max_unsettled=1) as (gateway, file):
        await until_listed(gateway, "a_who")
        await gateway.call("a_hold_until", path=gate.path, _as="first", _wait_s=0)
        await gate.begun()
        waiting = await gateway.start_call("a_who", {"_wait_s": LIMIT_S})
        await file.change(entry, max_unsettled=2)
        assert text_of(await gateway.answer(waiting)).startswith("first ")
        gate.open()


async def test_a_flow_that_is_denied_now_stops_calls_that_have_not_been_sent(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    servers = {"a": named(), "b": named()}
    async with over_stdio(tmp_path, servers) as (gateway, file):
        await until_listed(gateway, "b_who")
        await gateway.call("a_hold_until", path=gate.path, _as="value", _wait_s=0)
        await gate.begun()
        await gateway.call("b_echo", text="fut_value", _as="taker", _wait_s=0)
        await file.change(servers, flows=[{"from": "a", "to": "b", "policy": "deny"}])
        gate.open()
        told = await gateway.text("await_future", futures=["fut_taker"], timeout_s=LIMIT_S)
        assert "may not go to server 'b'" in told


async def test_what_needs_a_restart_stays_as_it_was_and_is_named(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        await until_listed(gateway, "a_who")
        secret = f"sqlite:///{tmp_path}/secret.db"
        said = await file.change({"a": named()}, store=secret, wait_argument=False, piggyback="off")
        assert said["settings"] == ["piggyback"]
        restart = await gateway.logged("configuration_needs_restart")
        assert set(restart["settings"]) == {"store", "wait_argument"}
        assert "secret" not in str(restart)
        listed = await gateway.text("list_futures")
        assert "to count after a restart: store, wait_argument" in listed
        assert (await gateway.text("a_who", _wait_s=LIMIT_S)).startswith("first "), "_wait_s is still ours"
        assert not (tmp_path / "secret.db").exists()
        await file.change({"a": named()}, piggyback="values")
        assert "restart" not in await gateway.text("list_futures")


async def test_a_variable_of_an_env_file_makes_it_another_server(tmp_path: Path) -> None:
    entry = {name: value for name, value in named().items() if name != "env"}
    env_file = tmp_path / "who.env"
    env_file.write_text("WHO=before\n")
    async with over_stdio(tmp_path, {"a": {**entry, "envFile": "who.env"}}) as (gateway, file):
        name, pid = (await gateway.text("a_who", _wait_s=LIMIT_S)).split()
        env_file.write_text("WHO=after\n")
        assert (await file.taken_up())["replaced"] == ["a"]
        await until_listed(gateway, "a_who")
        assert [name, (await gateway.text("a_who", _wait_s=LIMIT_S)).split()[0]] == ["before", "after"]
        await until_gone(int(pid))


async def _properties(gateway: RawGateway, tool: str) -> dict[str, Any]:
    tools = (await gateway.request("tools/list"))["result"]["tools"]
    return next(one["inputSchema"]["properties"] for one in tools if one["name"] == tool)


async def _is_delivered(gateway: RawGateway, token: str, gate: Gate) -> bool:
    """Whether the value of a call comes with the answers to later ones."""
    await gateway.call("a_hold_until", path=gate.path, _as=token.removeprefix("fut_"), _wait_s=0)
    gate.open()
    answers = [await gateway.call("a_who", _wait_s=LIMIT_S)]
    while f"{token} (a: a_hold_until) resolved" not in text_of(answers[-1]):
        answers.append(await gateway.call("list_futures"))
    # the store takes one after the other, and lets go of this value before another token can leave
    other = Gate(Path(f"{gate.path}-other"))
    answers.append(await gateway.call("a_hold_until", path=other.path, _wait_s=0))
    answers.append(await gateway.call("list_futures"))
    other.open()
    return any("asyncfc/delivered" in one["result"].get("_meta", {}) for one in answers)
