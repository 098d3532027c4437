"""What every `FutureStore` promises. A store that fails here is wrong, whatever its reason."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.store.base import FutureStore, StoredFuture
from tests.store.conftest import OpenStore
from tests.store.rows import row, same, settled

pytestmark = pytest.mark.anyio

LIMIT_S = 10
MEGABYTE = 1_000_000


async def test_what_was_never_put_is_not_there(store: FutureStore) -> None:
    assert await store.get("id-1") is None
    assert await store.find("alice", "fut_search_1") is None
    assert await store.count() == 0


async def test_put_then_get_returns_an_equal_row(store: FutureStore) -> None:
    await store.put(row())
    assert same(await store.get("id-1"), row())


async def test_put_then_find_returns_an_equal_row(store: FutureStore) -> None:
    await store.put(settled())
    assert same(await store.find("alice", "fut_search_1"), settled())


async def test_every_field_survives(store: FutureStore) -> None:
    full = settled(
        created_at=1234.5678901,
        settled_at=1500.25,
        expires_at=1e10 + 0.125,
        state=FutureState.FAILED,
        failure=Failure(FailureReason.TOOL_ERROR, "no such page", "fut_other_2"),
        result={"content": [], "isError": True, "structuredContent": None, "_meta": {"a": [1, 2.5, None, True]}},
        late={"content": [{"type": "text", "text": "after all"}]},
        labels=("reads fs/a", "writes db"),
        is_told=True,
        owner="",
        key="ab" * 32,
        call={"arguments": {"path": "/a"}, "references": [], "none": None},
    )
    await store.put(full)
    assert same(await store.get("id-1"), full)


@pytest.mark.parametrize("state", list(FutureState))
async def test_every_state_survives(store: FutureStore, state: FutureState) -> None:
    await store.put(row(state=state))
    got = await store.get("id-1")
    assert got is not None
    assert got.state is state


@pytest.mark.parametrize("reason", list(FailureReason))
async def test_every_failure_survives(store: FutureStore, reason: FailureReason) -> None:
    failure = Failure(reason, "why it failed\nin two lines")
    await store.put(settled(state=FutureState.FAILED, failure=failure, result=None))
    got = await store.get("id-1")
    assert got is not None
    assert got.failure == failure
    assert got.failure is not None
    assert got.failure.reason is reason


async def test_no_result_is_not_an_empty_one(store: FutureStore) -> None:
    await store.put(settled("none", token="fut_none", result=None))
    await store.put(settled("empty", token="fut_empty", result={}))
    none, empty = await store.get("none"), await store.get("empty")
    assert none is not None
    assert empty is not None
    assert none.result is None
    assert empty.result == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é ü 漢字 🎉",
        "e\u0301 is not \u00e9",
        "\u0000\u0001\u001f\u007f",
        "\r\n\t\u2028",
        "' \" \\ ; -- % _ * {}",
        "\ud800 alone, \udc00 and \ud83d\ude00 side by side",
    ],
    ids=["empty", "letters", "not normalised", "control", "line ends", "quoting", "halves of characters"],
)
async def test_text_survives_character_by_character(store: FutureStore, text: str) -> None:
    kept = settled(result={"content": [{"type": "text", "text": text}], text: text}, tool=text, server=text, scope=text)
    await store.put(kept)
    assert same(await store.get("id-1"), kept)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 10**30, 0.1, 1e-300, 1.7976931348623157e308])
async def test_numbers_survive_with_their_type(store: FutureStore, number: float) -> None:
    await store.put(settled(result={"structuredContent": {"n": number}}))
    got = await store.get("id-1")
    assert got is not None
    assert got.result is not None
    back: Any = got.result["structuredContent"]["n"]
    assert back == number
    assert type(back) is type(number)


async def test_what_json_has_no_number_for_survives(store: FutureStore) -> None:
    await store.put(settled(result={"structuredContent": [float("nan"), float("inf"), float("-inf")]}))
    got = await store.get("id-1")
    assert got is not None
    assert got.result is not None
    nan, *infinities = got.result["structuredContent"]
    assert math.isnan(nan)
    assert infinities == [float("inf"), float("-inf")]


async def test_twenty_megabytes_survive(store: FutureStore) -> None:
    large = settled(result={"content": [{"type": "text", "text": "é" * 10 * MEGABYTE}]})
    with anyio.fail_after(LIMIT_S):
        await store.put(large)
        assert same(await store.get("id-1"), large)


async def test_150_levels_survive(store: FutureStore) -> None:
    value: Any = 1
    for _ in range(150):
        value = {"a": [value]}
    await store.put(settled(result={"structuredContent": value}))
    assert same(await store.get("id-1"), settled(result={"structuredContent": value}))


async def test_the_last_put_wins(store: FutureStore) -> None:
    await store.put(row())
    await store.put(settled())
    assert same(await store.get("id-1"), settled())
    assert same(await store.find("alice", "fut_search_1"), settled())
    assert await store.count() == 1


async def test_a_put_replaces_the_whole_row(store: FutureStore) -> None:
    await store.put(settled(failure=Failure(FailureReason.TIMED_OUT, "late")))
    await store.put(row())
    assert same(await store.get("id-1"), row())


async def test_what_the_caller_changes_later_changes_nothing_kept(store: FutureStore) -> None:
    await store.put(row())
    got = await store.get("id-1")
    assert got is not None
    await store.put(replace(got, state=FutureState.CANCELLING, future="id-2", token="fut_other_2"))
    assert same(await store.get("id-1"), row())


async def test_a_name_used_again_finds_the_newest(store: FutureStore) -> None:
    await store.put(settled("old", token="fut_page", created_at=1.0))
    await store.put(row("new", token="fut_page", created_at=2.0))
    assert same(await store.find("alice", "fut_page"), row("new", token="fut_page", created_at=2.0))
    assert same(await store.get("old"), settled("old", token="fut_page", created_at=1.0))
    assert await store.count() == 2


async def test_a_future_of_the_scope_that_asks_comes_before_newer_ones_of_others(store: FutureStore) -> None:
    here = [row(f"here{number}", token="fut_page", scope="alice/a", created_at=number) for number in (1.0, 2.0)]
    there = row("there", token="fut_page", scope="alice/b", created_at=3.0)
    for one in (*here, there):
        await store.put(one)
    assert same(await store.find("alice", "fut_page", "alice/a"), here[1])
    assert same(await store.find("alice", "fut_page", "alice/b"), there)
    assert same(await store.find("alice", "fut_page", "alice/c"), there)


async def test_the_newest_is_the_one_created_last_and_not_the_one_put_last(store: FutureStore) -> None:
    await store.put(row("new", token="fut_page", created_at=2.0))
    await store.put(settled("old", token="fut_page", created_at=1.0))
    assert same(await store.find("alice", "fut_page"), row("new", token="fut_page", created_at=2.0))


async def test_a_later_put_of_the_older_one_does_not_bring_it_back(store: FutureStore) -> None:
    await store.put(row("old", token="fut_page", created_at=1.0))
    await store.put(row("new", token="fut_page", created_at=2.0))
    await store.put(settled("old", token="fut_page", created_at=1.0))
    assert same(await store.find("alice", "fut_page"), row("new", token="fut_page", created_at=2.0))


async def test_the_older_one_of_a_name_is_found_again_when_the_newest_is_gone(store: FutureStore) -> None:
    await store.put(settled("old", token="fut_page", created_at=1.0))
    await store.put(row("new", token="fut_page", created_at=2.0))
    await store.delete("new")
    assert same(await store.find("alice", "fut_page"), settled("old", token="fut_page", created_at=1.0))


async def test_principals_see_only_their_own(store: FutureStore) -> None:
    await store.put(row("hers", principal="alice"))
    await store.put(row("his", principal="bob"))
    assert same(await store.find("alice", "fut_search_1"), row("hers", principal="alice"))
    assert same(await store.find("bob", "fut_search_1"), row("his", principal="bob"))
    assert await store.find("carol", "fut_search_1") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b/c"), ("a/b", "c")), (("a:b", "c"), ("a", "b:c")), (("", "ab"), ("a", "b")), (("A", "x"), ("a", "x"))],
)
async def test_a_principal_and_a_token_never_run_together(
    store: FutureStore, one: tuple[str, str], other: tuple[str, str]
) -> None:
    await store.put(row("one", principal=one[0], token=one[1]))
    assert await store.find(*other) is None


async def test_find_takes_no_patterns(store: FutureStore) -> None:
    await store.put(row(token="fut_page"))
    for pattern in ("fut_%", "fut*", "fut?page", "FUT_PAGE", "fut_page ", "fut_pag[e]"):
        assert await store.find("alice", pattern) is None


async def test_deleted_is_gone_from_everywhere(store: FutureStore) -> None:
    await store.put(row())
    await store.delete("id-1")
    assert await store.get("id-1") is None
    assert await store.find("alice", "fut_search_1") is None
    assert await store.count() == 0


async def test_deleting_what_is_not_there_is_no_error(store: FutureStore) -> None:
    await store.put(row())
    await store.delete("id-2")
    assert await store.count() == 1


async def test_what_was_deleted_can_be_put_again(store: FutureStore) -> None:
    await store.put(row())
    await store.delete("id-1")
    await store.put(row())
    assert same(await store.find("alice", "fut_search_1"), row())


async def test_expiry_takes_what_is_due_and_says_how_many(store: FutureStore) -> None:
    await store.put(settled("early", token="fut_1", expires_at=10.0))
    await store.put(settled("due", token="fut_2", expires_at=20.0))
    await store.put(settled("late", token="fut_3", expires_at=20.001))
    assert await store.delete_expired(20.0) == 2
    assert await store.get("early") is None
    assert await store.get("due") is None
    assert await store.find("alice", "fut_3") is not None
    assert await store.delete_expired(20.0) == 0


async def test_what_is_unsettled_never_expires(store: FutureStore) -> None:
    await store.put(row())
    assert await store.delete_expired(1e12) == 0
    assert await store.count() == 1


async def test_a_row_past_its_time_can_be_read_until_it_is_deleted(store: FutureStore) -> None:
    await store.put(settled(expires_at=1.0))
    assert await store.get("id-1") is not None
    assert await store.find("alice", "fut_search_1") is not None


async def test_expiry_goes_by_the_last_put(store: FutureStore) -> None:
    await store.put(settled(expires_at=10.0))
    await store.put(settled(expires_at=100.0))
    assert await store.delete_expired(50.0) == 0
    await store.put(row())
    assert await store.delete_expired(1e12) == 0


async def test_count_counts_futures_of_all_principals(store: FutureStore) -> None:
    for number in range(5):
        await store.put(row(f"id-{number}", principal=f"user-{number}"))
    await store.put(row("id-0", principal="user-0", tool="again"))
    assert await store.count() == 5


async def test_puts_side_by_side_lose_nothing(store: FutureStore) -> None:
    async def put(number: int) -> None:
        await store.put(row(f"id-{number}", token=f"fut_{number}"))
        await store.put(settled(f"id-{number}", token=f"fut_{number}"))

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(put, number)
    assert await store.count() == 200
    for number in range(200):
        assert same(await store.find("alice", f"fut_{number}"), settled(f"id-{number}", token=f"fut_{number}"))


async def test_readers_beside_a_writer_see_a_whole_row(store: FutureStore) -> None:
    before, after = row(), settled(result={"content": [{"type": "text", "text": "x" * 100_000}]})
    seen: list[StoredFuture | None] = []
    await store.put(before)

    async def read() -> None:
        seen.append(await store.get("id-1"))
        seen.append(await store.find("alice", "fut_search_1"))

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(read)
                tasks.start_soon(store.put, after)
    assert len(seen) == 40
    assert all(same(one, before) or same(one, after) for one in seen)


async def test_puts_of_one_future_side_by_side_land_in_their_order(store: FutureStore) -> None:
    large = settled(result={"content": [{"type": "text", "text": "x" * 3 * MEGABYTE}]})
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.put, row())
            tasks.start_soon(store.put, large)
            tasks.start_soon(store.put, settled(is_told=True))
    assert same(await store.get("id-1"), settled(is_told=True))


async def test_a_mark_comes_after_the_put_before_it(store: FutureStore) -> None:
    large = settled(result={"content": [{"type": "text", "text": "x" * 3 * MEGABYTE}]})
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.put, large)
            tasks.start_soon(store.mark_told, ["id-1"])
    assert same(await store.get("id-1"), replace(large, is_told=True))


async def test_a_put_whose_caller_goes_away_holds_up_nobody(store: FutureStore) -> None:
    async def put_all(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with anyio.create_task_group() as puts:
                for number in range(20):
                    puts.start_soon(store.put, row(f"{name}-{number}", token=f"fut_{name}_{number}"))

    going, staying = anyio.CancelScope(), anyio.CancelScope()
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_all, "going", going)
            tasks.start_soon(put_all, "staying", staying)
            await anyio.lowlevel.checkpoint()
            going.cancel()
        for number in range(20):
            assert await store.find("alice", f"fut_staying_{number}") is not None


async def test_told_is_told_and_nothing_else_changes(store: FutureStore) -> None:
    await store.put(settled("seen", token="fut_1"))
    await store.put(settled("unseen", token="fut_2"))
    await store.mark_told(["seen", "never kept"])
    assert same(await store.get("seen"), settled("seen", token="fut_1", is_told=True))
    assert same(await store.get("unseen"), settled("unseen", token="fut_2"))


async def test_nobody_to_mark_is_no_error(store: FutureStore) -> None:
    await store.mark_told([])
    await store.mark_told(["id-1"])
    assert await store.count() == 0


async def test_a_keyed_future_is_found_by_its_key(store: FutureStore) -> None:
    await store.put(row(key="k1", call={"token": "fut_search_1"}))
    await store.put(row("other", token="fut_other_2"))
    assert same(await store.find_keyed("alice", "k1"), row(key="k1", call={"token": "fut_search_1"}))
    assert await store.find_keyed("bob", "k1") is None
    assert await store.find_keyed("alice", "k2") is None
    assert await store.find_keyed("alice", "fut_search_1") is None


async def test_the_newest_of_a_key_is_found(store: FutureStore) -> None:
    await store.put(row("new", token="fut_2", key="k", created_at=2.0))
    await store.put(settled("old", token="fut_1", key="k", created_at=1.0))
    assert same(await store.find_keyed("alice", "k"), row("new", token="fut_2", key="k", created_at=2.0))
    await store.delete("new")
    assert same(await store.find_keyed("alice", "k"), settled("old", token="fut_1", key="k", created_at=1.0))


async def test_what_is_found_can_be_changed_and_put_back(store: FutureStore) -> None:
    await store.put(row(key="k"))
    for found in (await store.find("alice", "fut_search_1"), await store.find_keyed("alice", "k")):
        assert found is not None
        await store.put(replace(found, labels=("changed",)))
    assert await store.count() == 1
    changed = row(key="k", labels=("changed",))
    assert same(await store.get("id-1"), changed)
    assert same(await store.find("alice", "fut_search_1"), changed)


async def test_what_is_found_can_be_read_marked_and_deleted_by_what_it_says(store: FutureStore) -> None:
    await store.put(settled())
    found = await store.find("alice", "fut_search_1")
    assert found is not None
    await store.mark_told([found.future])
    assert same(await store.get(found.future), settled(is_told=True))
    await store.delete(found.future)
    assert await store.count() == 0


async def test_identity_and_token_come_back_to_whoever_asks_with_them(store: FutureStore) -> None:
    await store.put(row("fut_search_1", token="fut_search_1"))
    for found in (await store.get("fut_search_1"), await store.find("alice", "fut_search_1")):
        assert found is not None
        assert (found.future, found.token) == ("fut_search_1", "fut_search_1")


async def test_nothing_is_adopted_from_a_gateway_that_lives(store: FutureStore) -> None:
    await store.put(row(owner=store.owner))
    assert list(await store.adopt()) == []
    assert same(await store.get("id-1"), row(owner=store.owner))


async def test_no_two_gateways_bear_one_name(open_store: OpenStore) -> None:
    async with open_store() as one, open_store() as other:
        assert one.owner
        assert one.owner != other.owner


async def test_closing_twice_is_no_error(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.put(row())
        await store.close()
