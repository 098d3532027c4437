"""Over HTTP a conversation outlives the gateway: what a killed one had not begun runs, once and in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import toy
from tests.restart.ledger import Ledger, ledger
from tests.restart.support import Visitor, http_gateway, kill

pytestmark = pytest.mark.anyio


def servers(book: Ledger) -> dict[str, object]:
    return {"ledger": book.entry(), "toy": toy()}


async def pending_writes(visitor: Visitor, book: Ledger, scope: str) -> list[str]:
    """Tokens of a read that is at work, and of three writes of the same key that wait behind it."""
    read = await visitor.token("read", scope=scope, key=scope, gate=scope)
    await book.started(scope)
    return [read] + [
        await visitor.token("write", scope=scope, key=scope, value=f"{scope}{number}") for number in range(3)
    ]


async def test_pending_calls_of_every_scope_run_once_and_in_their_order(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            tokens = {scope: await pending_writes(visitor, book, scope) for scope in ("one", "two")}
            await kill(visitor.process)
        assert book.count("write one one0") == 0
        book.open("one")
        book.open("two")
        async with http_gateway(tmp_path, servers(book)) as visitor:
            for scope, mine in tokens.items():
                await visitor.text("await_future", scope=scope, futures=mine)
                assert await visitor.text("get_future", future=mine[3]) == (
                    f"{mine[3]} (ledger: write) resolved\n{scope}2"
                )
        for scope in tokens:
            writes = [line for line in book.executed if line.startswith(f"write {scope}")]
            assert writes == [f"write {scope} {scope}{number}" for number in range(3)]


async def test_a_read_that_was_at_work_is_made_again(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            token = await visitor.token("read", key="a", gate="g")
            await book.started("g")
            await kill(visitor.process)
        book.open("g")
        book.values["a"] = "now"
        async with http_gateway(tmp_path, servers(book)) as visitor:
            assert await visitor.text("await_future", futures=[token]) == "now"
        assert book.count("read a") == 2


async def test_a_write_that_was_at_work_is_never_made_again_and_stops_the_write_behind_it(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            first = await visitor.token("write", scope="s", key="a", value="1", gate="g")
            await book.started("g")
            second = await visitor.token("write", scope="s", key="a", value="2")
            other = await visitor.token("write", scope="s", key="b", value=first)
            await kill(visitor.process)
        book.open("g")
        async with http_gateway(tmp_path, servers(book)) as visitor:
            assert "failed (outcome_unknown)" in await visitor.text("await_future", futures=[first])
            assert "failed (unseen_failure)" in await visitor.text("await_future", futures=[second])
            assert "failed (poisoned)" in await visitor.text("await_future", futures=[other])
        assert book.executed == ["write a 1"]


async def test_calls_that_were_at_work_side_by_side_do_not_stop_each_other(tmp_path: Path) -> None:
    async with ledger() as book:
        entry = book.entry(tools={})  # labels that are only assumed: what is sent side by side runs side by side
        async with http_gateway(tmp_path, {"ledger": entry}, mode="async") as visitor:
            tokens = [await visitor.token("write", scope=gate, key="a", gate=gate) for gate in ("g", "h")]
            for gate in ("g", "h"):
                await book.started(gate)
            await kill(visitor.process)
        book.open("g")
        book.open("h")
        async with http_gateway(tmp_path, {"ledger": entry}) as visitor:
            for token in tokens:
                assert "failed (outcome_unknown)" in await visitor.text("await_future", futures=[token])
        assert book.count("write a") == 2


async def test_a_chain_goes_on_with_the_stored_value_of_its_first_part(tmp_path: Path) -> None:
    value = 'line one\nline "two"\t\u2028ünï'
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            first = await visitor.token("say", scope="s", value=value)
            assert await visitor.text("await_future", scope="s", futures=[first]) == value
            await visitor.token("read", scope="s", key="a", gate="g")
            await book.started("g")
            second = await visitor.token("write", scope="s", key="a", value=first)
            third = await visitor.token("say", scope="s", value=f"<${{{second}}}>")
            await kill(visitor.process)
        book.open("g")
        async with http_gateway(tmp_path, servers(book)) as visitor:
            assert await visitor.text("await_future", futures=[third]) == f"<{value}>"
        assert book.values["a"] == value
        assert book.count(f"write a {value}") == 1


async def test_a_call_whose_server_is_configured_otherwise_now_is_not_sent(tmp_path: Path) -> None:
    async with ledger() as book, ledger() as stranger:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            tokens = await pending_writes(visitor, book, "one")
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers(stranger)) as visitor:
            assert "failed (outcome_unknown)" in await visitor.text("await_future", futures=[tokens[0]])
            assert "not configured any more as it was" in await visitor.text("await_future", futures=[tokens[1]])
        assert stranger.executed == []


async def test_a_call_of_a_server_that_is_gone_can_still_be_read(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            settled = await visitor.token("say", value="kept")
            assert await visitor.text("await_future", futures=[settled]) == "kept"
            pending = await pending_writes(visitor, book, "one")
            await kill(visitor.process)
        async with http_gateway(tmp_path, {"toy": toy()}) as visitor:
            assert await visitor.text("await_future", futures=[settled]) == "kept"
            assert await visitor.text("echo", text=settled) == "kept"
            assert "failed (not_started)" in await visitor.text("await_future", futures=[pending[1]])


async def test_a_new_call_keeps_its_place_behind_the_pending_ones_of_its_scope(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            await pending_writes(visitor, book, "one")
            await kill(visitor.process)
        book.forget_started("one")
        async with http_gateway(tmp_path, servers(book)) as visitor:
            await book.started("one")
            late = await visitor.token("write", scope="one", key="one", value="last")
            book.open("one")
            await visitor.text("await_future", scope="one", futures=[late])
        assert book.executed[-4:] == ["write one one0", "write one one1", "write one one2", "write one last"]


async def test_what_a_killed_gateway_was_at_is_attached_to_nothing(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            first = await visitor.token("write", scope="s", key="a", value="1", gate="g")
            await book.started("g")
            await kill(visitor.process)
        book.open("g")
        async with http_gateway(tmp_path, servers(book)) as visitor:
            answer = await visitor.call("say", scope="s", value="hello")
            assert first not in str(answer)
            assert "asyncfc/delivered" not in answer["result"].get("_meta", {})


async def test_another_principal_cannot_read_a_token_of_an_earlier_process(tmp_path: Path) -> None:
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book)) as visitor:
            token = await visitor.token("say", value="mine")
            await visitor.text("await_future", futures=[token])
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers(book), token=None) as stranger:
            assert "is not known" in await stranger.text("get_future", future=token)
            await kill(stranger.process)
        async with http_gateway(tmp_path, servers(book)) as visitor:
            assert await visitor.text("await_future", futures=[token]) == "mine"


async def test_an_anonymous_token_is_enough_and_an_anonymous_name_is_not(tmp_path: Path) -> None:
    scope = "a-conversation-nobody-guesses"
    async with ledger() as book:
        async with http_gateway(tmp_path, servers(book), token=None) as visitor:
            token = await visitor.token("say", value="minted")
            await visitor.text("await_future", futures=[token])
            await visitor.call("say", scope=scope, value="named", _as="mine", _wait_s=0)
            await visitor.text("await_future", scope=scope, futures=["fut_mine"])
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers(book), token=None) as visitor:
            assert await visitor.text("await_future", futures=[token]) == "minted"
            assert "is not known" in await visitor.text("get_future", future="fut_mine")
            assert await visitor.text("await_future", scope=scope, futures=["fut_mine"]) == "named"
            assert "is not known" in await visitor.text("get_future", future="fut_mine")
