"""Places on servers, and on all of them together: who gets the next one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncfc_mcp.core.room import Rooms
from asyncfc_mcp.core.scheduler import Scheduler
from tests.core.program import Program

SERVERS = ("one", "two", "three")
SCOPES = ("a", "b", "c", "d")
WAITING = st.lists(st.tuples(st.sampled_from(SERVERS), st.sampled_from(SCOPES)), max_size=60)
CAPACITIES = st.fixed_dictionaries(dict.fromkeys(SERVERS, st.integers(1, 3)))


def test_no_more_run_than_there_are_places_in_all() -> None:
    program = Program(Scheduler(concurrency={"one": 2, "two": 2}, max_running=3))
    assert [program.send(f"one{number}", server="one") for number in range(3)] == [True, True, False]
    assert [program.send(f"two{number}", server="two") for number in range(2)] == [True, False]
    assert program.succeed("two0") == ["two1"]
    assert program.succeed("two1") == []
    assert program.succeed("one0") == ["one2"]


def test_servers_take_turns_for_the_last_places() -> None:
    program = Program(Scheduler(max_running=1))
    for number in range(4):
        program.send(f"busy{number}", server="busy")
    program.send("quiet", server="quiet")
    assert program.succeed("busy0") == ["busy1"]
    assert program.succeed("busy1") == ["quiet"]
    assert program.succeed("quiet") == ["busy2"]


def test_a_full_server_keeps_no_place_from_another() -> None:
    program = Program(Scheduler(concurrency={"full": 1}, max_running=2))
    for number in range(4):
        program.send(f"full{number}", server="full")
    assert program.send("free", server="free")
    assert not program.send("late", server="free")
    assert program.succeed("free") == ["late"]


def test_a_call_cancelled_while_it_waits_for_a_place_costs_its_scope_no_turn() -> None:
    program = Program(Scheduler(max_running=1))
    program.send("running", scope="x")
    program.send("gone", scope="x")
    program.send("next", scope="x")
    program.send("other", scope="y")
    program.cancel("gone")
    assert program.succeed("running") == ["next"]


def test_blockers_say_when_no_more_may_run_on_any_server() -> None:
    program = Program(Scheduler(concurrency={"srv": 5}, max_running=1))
    program.send("a", server="another")
    program.send("b")
    (full,) = program.scheduler.blockers("b")
    assert (full.future, full.server) == (None, None)
    assert full.because == "1 of 1 calls already run on all servers together"


def test_blockers_say_that_the_limit_was_lowered_where_more_run_than_may() -> None:
    program = Program(Scheduler(concurrency={"srv": 3}, max_running=3))
    for number in range(3):
        program.send(f"running{number}")
    program.send("waiting")
    program.reconfigure({"srv": 1}, 3)
    (full,) = program.scheduler.blockers("waiting")
    assert full.because == "3 calls still run on its server, and since the limit was lowered only 1 may"
    program.reconfigure({"srv": 5}, 2)
    (full,) = program.scheduler.blockers("waiting")
    assert full.because == "3 calls still run on all servers together, and since the limit was lowered only 2 may"
    program.succeed("running0")
    (full,) = program.scheduler.blockers("waiting")
    assert full.because == "2 of 2 calls already run on all servers together"


@given(waiting=WAITING, newcomer=st.tuples(st.sampled_from(SERVERS), st.sampled_from(SCOPES)), capacities=CAPACITIES)
@settings(max_examples=300)
def test_a_newcomer_is_behind_one_call_of_each_other_scope_and_of_each_other_server(
    waiting: list[tuple[str, str]], newcomer: tuple[str, str], capacities: dict[str, int]
) -> None:
    rooms = Rooms(capacities, 1)
    for number, (server, scope) in enumerate(waiting):
        rooms.queue(server, scope, f"{server} {scope} {number}")
    server, scope = newcomer
    rooms.queue(server, "newcomer's", f"{server} newcomer's {scope}")
    before = list(_served_until(rooms, f"{server} newcomer's {scope}"))
    rivals = {other for at, other in waiting if at == server}
    per_scope = Counter(future.split()[1] for future in before if future.split()[0] == server)
    assert set(per_scope) <= rivals
    assert all(count == 1 for count in per_scope.values())
    per_server = Counter(future.split()[0] for future in before)
    assert all(count <= len(rivals) + 1 for count in per_server.values())


@given(waiting=WAITING, capacities=CAPACITIES, in_all=st.integers(1, 5), data=st.data())
@settings(max_examples=200)
def test_a_place_is_free_only_while_nobody_could_use_it(
    waiting: list[tuple[str, str]], capacities: dict[str, int], in_all: int, data: st.DataObject
) -> None:
    rooms = Rooms(capacities, in_all)
    unserved, running = Counter[str](), list[str]()
    for number, (server, scope) in enumerate(waiting):
        rooms.queue(server, scope, f"{server} {number}")
        unserved[server] += 1
        if running and data.draw(st.booleans()):
            rooms.give_back(running.pop(data.draw(st.integers(0, len(running) - 1))))
        while (future := rooms.take()) is not None:
            running.append(future.split()[0])
            unserved[running[-1]] -= 1
        at_work = Counter(running)
        assert len(running) <= in_all
        assert all(at_work[server] <= capacities[server] for server in SERVERS)
        if len(running) < in_all:
            assert not [server for server in SERVERS if unserved[server] and at_work[server] < capacities[server]]


@pytest.mark.parametrize("count", [1_000])
def test_a_thousand_scopes_are_served_in_the_order_in_which_they_came(count: int) -> None:
    program = Program(Scheduler(max_running=1))
    rooms = program.scheduler.rooms
    for number in range(count):
        rooms.queue("srv", f"scope{number}", f"call{number}")
    served = [future for _ in range(count) if (future := _next(rooms)) is not None]
    assert served == [f"call{number}" for number in range(count)]


def _next(rooms: Rooms) -> str | None:
    future = rooms.take()
    rooms.give_back("srv")
    return future


def _served_until(rooms: Rooms, last: str) -> Iterable[str]:
    while (future := rooms.take()) is not None and future != last:
        yield future
        rooms.give_back(future.split()[0])
