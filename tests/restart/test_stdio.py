"""On stdio the conversation ends with the process: what had settled can be read, what had not begun does not run."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.harness import FREE, toy
from tests.process.support import LIMIT_S, RawGateway, started, text_of
from tests.restart.ledger import Ledger, ledger
from tests.restart.support import end, kill, stdio_gateway

pytestmark = pytest.mark.anyio

TOYS = {"toy": toy(tools=dict.fromkeys(("echo", "hold", "record", "picture", "fail", "reject"), FREE))}


async def awaited(gateway: RawGateway, token: str) -> str:
    return await gateway.text("await_future", futures=[token])


async def test_what_had_settled_is_read_after_a_kill_in_every_way(tmp_path: Path) -> None:
    text = 'line one\nline "two"\t\u2028ünï'
    async with stdio_gateway(tmp_path, TOYS, piggyback="off") as gateway:
        said = await gateway.token("echo", text=text, _wait_s=0)
        record = await gateway.token("record", count=2, _wait_s=0)
        picture = await gateway.token("picture", _wait_s=0)
        before = [await gateway.call("await_future", futures=[token]) for token in (said, record, picture)]
        await kill(gateway)
    async with stdio_gateway(tmp_path, TOYS, piggyback="off") as gateway:
        after = [await gateway.call("await_future", futures=[token]) for token in (said, record, picture)]
        assert [one["result"]["content"] for one in after] == [one["result"]["content"] for one in before]
        assert (
            await gateway.text("get_future", future=f"{record}/items/1/id")
            == f"{record} (toy: record) resolved\nitem-1"
        )
        assert await gateway.text("echo", text=said) == text
        assert await gateway.text("echo", text=f"<${{{said}}}>") == f"<{text}>"
        assert await gateway.text("echo", text=f"{record}.items[0].id") == "item-0"
        read = await gateway.request("resources/read", {"uri": f"future://{said}"})
        assert '"state": "resolved"' in read["result"]["contents"][0]["text"]
        assert "already: unchanged" in await gateway.text("cancel_future", futures=[said])


async def test_how_a_call_failed_is_read_as_before(tmp_path: Path) -> None:
    async with stdio_gateway(tmp_path, TOYS, piggyback="off") as gateway:
        tokens = [
            await gateway.token("fail", message="broken", _wait_s=0),
            await gateway.token("reject", message="refused", _wait_s=0),
        ]
        before = [await awaited(gateway, token) for token in tokens]
        await kill(gateway)
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        assert [await awaited(gateway, token) for token in tokens] == before
        assert f"needs the value of {tokens[0]}, which failed: broken" in await gateway.text("echo", text=tokens[0])


async def test_a_name_means_the_newest_of_its_bearers(tmp_path: Path) -> None:
    for value in ("first", "second"):
        async with stdio_gateway(tmp_path, TOYS) as gateway:
            await gateway.call("echo", text=value, _as="mine", _wait_s=0)
            assert await awaited(gateway, "fut_mine") == value
            await kill(gateway)
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        assert await awaited(gateway, "fut_mine") == "second"
        assert await gateway.text("echo", text="fut_mine", _wait_s=LIMIT_S) == "second"
        await gateway.call("echo", text="third", _as="mine", _wait_s=0)
        said = await gateway.text("echo", text="fut_mine", _wait_s=LIMIT_S)
        assert said.split("\n--- ")[0] == "third"


async def test_an_old_future_is_not_listed_and_the_list_says_how_it_is_read(tmp_path: Path) -> None:
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        token = await gateway.token("echo", text="old", _wait_s=0)
        await awaited(gateway, token)
        await end(gateway)
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        assert await awaited(gateway, token) == "old"
        listed = await gateway.text("list_futures")
        assert token not in listed
        assert "can still be read by its token" in listed


async def test_a_call_at_work_is_outcome_unknown_and_a_pending_one_was_not_started(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as gateway:
            running = await gateway.token("write", key="a", value="1", gate="g", _wait_s=0)
            await book.started("g")
            pending = await gateway.token("write", key="a", value="2", _wait_s=0)
            needs_it = await gateway.token("say", value=running, _wait_s=0)
            await kill(gateway)
        book.open("g")
        async with stdio_gateway(tmp_path, servers) as gateway:
            assert "failed (outcome_unknown)" in await awaited(gateway, running)
            assert "failed (not_started)" in await awaited(gateway, pending)
            assert "failed (not_started)" in await awaited(gateway, needs_it)
            assert "asyncfc/delivered" not in str(await gateway.call("say", value="hello", _wait_s=LIMIT_S))
        assert book.executed == ["write a 1", "say hello"]


async def test_a_read_at_work_is_made_again_and_orders_nothing(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as gateway:
            running = await gateway.token("read", key="a", gate="g", _wait_s=0)
            await book.started("g")
            await kill(gateway)
            book.forget_started("g")
        async with stdio_gateway(tmp_path, servers) as gateway:
            await book.started("g")
            # the next conversation has the same scope, and is not kept in order with what was left of the last one
            assert await gateway.text("write", key="a", value="new", _wait_s=LIMIT_S) == "new"
            book.open("g")
            assert await awaited(gateway, running) == "new"
        assert book.executed == ["read a", "read a", "write a new"]


async def test_a_gateway_that_ended_in_good_order_is_followed_up_like_a_killed_one(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as gateway:
            running = await gateway.token("write", key="a", value="1", gate="g", _wait_s=0)
            await book.started("g")
            await end(gateway)
        async with stdio_gateway(tmp_path, servers) as gateway:
            answer = await awaited(gateway, running)
            assert "failed (outcome_unknown)" in answer or "was cancelled" in answer
        assert book.executed == ["write a 1"]


async def test_a_named_call_killed_before_its_answer_is_known_by_its_name(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as gateway:
            await gateway.start_call("write", {"key": "a", "value": "1", "gate": "g", "_as": "mine", "_wait_s": 20})
            await book.started("g")
            await kill(gateway)
        async with stdio_gateway(tmp_path, servers) as gateway:
            assert "failed (outcome_unknown)" in await awaited(gateway, "fut_mine")
        assert book.executed == ["write a 1"]


async def test_a_call_killed_before_its_token_left_leaves_nothing(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as gateway:
            await gateway.start_call("write", {"key": "a", "value": "1", "gate": "g", "_wait_s": 20})
            await book.started("g")
            await kill(gateway)
        async with stdio_gateway(tmp_path, servers) as gateway:
            await gateway.text("say", value="hello")
            await end(gateway)
            assert "calls_taken_up" not in await gateway.stderr()
        assert book.executed == ["write a 1", "say hello"]


async def settle_and_kill(folder: Path, book: Ledger, key: str) -> str:
    """The token of a call whose gateway was killed in the moment in which its server answered."""
    async with stdio_gateway(folder, {"ledger": book.entry()}) as gateway:
        token = await gateway.token("write", key=key, value="v", gate=key, _wait_s=0)
        await book.started(key)
        book.open(key)
        await kill(gateway)
    return token


async def test_killed_while_it_settles_a_call_has_its_value_or_an_unknown_outcome(tmp_path: Path) -> None:
    async with ledger() as book:
        tokens = [await settle_and_kill(tmp_path, book, f"k{number}") for number in range(3)]
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            for token in tokens:
                answer = await awaited(gateway, token)
                assert answer == "v" or "failed (outcome_unknown)" in answer
                assert await awaited(gateway, token) == answer
        assert sorted(book.executed) == [f"write k{number} v" for number in range(3)]


async def test_what_was_read_just_before_a_kill_is_read_after_it(tmp_path: Path) -> None:
    for number in range(2):
        async with stdio_gateway(tmp_path, TOYS) as gateway:
            token = await gateway.token("echo", text=f"value {number}", _wait_s=0)
            assert await awaited(gateway, token) == f"value {number}"
            await kill(gateway)
        async with stdio_gateway(tmp_path, TOYS) as gateway:
            assert await awaited(gateway, token) == f"value {number}"


async def test_a_token_of_another_living_window_can_be_read_once_it_has_settled(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as one, stdio_gateway(tmp_path, servers) as other:
            token = await one.token("write", key="a", value="1", gate="g", _wait_s=0)
            await book.started("g")
            assert "runs in another window" in await awaited(other, token)
            assert "runs in another window" in await other.text("say", value=token)
            book.open("g")
            assert await awaited(one, token) == "1"
            assert await awaited(other, token) == "1"


async def test_a_window_follows_up_what_another_one_was_at_when_that_was_killed(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers) as one, stdio_gateway(tmp_path, servers) as other:
            token = await one.token("write", key="a", value="1", gate="g", _wait_s=0)
            await book.started("g")
            await kill(one)
            assert "failed (outcome_unknown)" in await awaited(other, token)
        assert book.executed == ["write a 1"]


async def test_a_prompt_takes_a_value_of_an_earlier_process(tmp_path: Path) -> None:
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        token = await gateway.token("echo", text="old", _wait_s=0)
        await awaited(gateway, token)
        await kill(gateway)
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        read = await gateway.request("resources/read", {"uri": f"toy://${{{token}}}"})
        assert "toy://old" in read["error"]["message"]


async def test_a_text_full_of_words_like_tokens_is_only_text(tmp_path: Path) -> None:
    text = " ".join(f"fut_word{number}" for number in range(2_000))
    async with stdio_gateway(tmp_path, TOYS) as gateway:
        with anyio.fail_after(LIMIT_S):
            assert (await gateway.text("echo", text=text)).startswith(text)


async def test_without_stored_values_only_how_a_call_ended_is_known(tmp_path: Path) -> None:
    async with stdio_gateway(tmp_path, TOYS, store_values=False) as gateway:
        token = await gateway.token("echo", text="secret", _wait_s=0)
        assert await awaited(gateway, token) == "secret"
        running = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        await kill(gateway)
    async with stdio_gateway(tmp_path, TOYS, store_values=False) as gateway:
        answer = await gateway.call("await_future", futures=[token])
        assert answer["result"]["isError"]
        assert "is not kept any more" in text_of(answer)
        assert "failed (outcome_unknown)" in await awaited(gateway, running)
    files = [file for file in tmp_path.joinpath("state").glob("futures.db*") if file.is_file()]
    assert files
    assert not any(b"secret" in file.read_bytes() for file in files)


async def test_a_store_that_cannot_be_opened_ends_the_start_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "broken.db"
    file.write_bytes(b"this is no database, and none of ours" * 100)
    async with started(tmp_path, TOYS, settings={"store": f"sqlite:///{file}"}) as gateway:
        assert await gateway.exit_code() == 2
        stderr = await gateway.stderr()
    assert str(file) in stderr
    assert "--store memory" in stderr
    assert file.read_bytes().startswith(b"this is no database")
