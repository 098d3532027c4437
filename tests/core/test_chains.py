"""How long a row of calls is that each need the value of the one before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.program import Program

ANY = 10_000
"""A bound that no row here reaches."""


def row(program: Program, count: int) -> None:
    for number in range(count):
        program.send(f"f{number}", needs=(f"f{number - 1}",) if number else ())


def test_a_call_that_needs_nothing_is_the_first_of_its_row() -> None:
    assert Program().scheduler.number_after((), ANY) == 1


def test_each_call_that_needs_the_one_before_is_one_further() -> None:
    program = Program()
    row(program, 5)
    assert program.scheduler.number_after(("f4",), ANY) == 6
    assert program.scheduler.number_after(("f0", "f2"), ANY) == 4


def test_a_value_that_is_there_makes_no_row() -> None:
    program = Program()
    row(program, 1)
    program.succeed("f0")
    assert program.scheduler.number_after(("f0",), ANY) == 1


def test_a_row_of_calls_gets_shorter_as_they_settle() -> None:
    program = Program()
    row(program, 5)
    for number in range(3):
        program.succeed(f"f{number}")
    assert program.scheduler.number_after(("f4",), 5) == 3


def test_an_endless_row_of_which_few_are_unsettled_stays_short() -> None:
    program = Program()
    row(program, 3)
    for number in range(3, 200):
        assert program.scheduler.number_after((f"f{number - 1}",), 4) <= 4
        program.send(f"f{number}", needs=(f"f{number - 1}",))
        program.succeed(f"f{number - 3}")


@given(data=st.data())
@settings(max_examples=100)
def test_the_number_is_that_of_the_longest_row(data: st.DataObject) -> None:
    program = Program()
    for number in range(data.draw(st.integers(1, 12))):
        earlier = [f"f{one}" for one in range(number)]
        needs = data.draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        program.send(f"f{number}", needs=tuple(needs))
        running = [one for one in program.started if not program.scheduler.record(one).is_settled]
        if running and data.draw(st.booleans()):
            program.succeed(data.draw(st.sampled_from(running)))
    records = program.scheduler.records

    def longest(future: str) -> int:
        return 1 + max((longest(need) for need in records[future].unsettled_needs), default=0)

    for future, record in records.items():
        exact = 1 if record.is_settled else 1 + longest(future)
        assert program.scheduler.number_after((future,), 0) == exact
        assert program.scheduler.number_after((future,), ANY) >= exact
