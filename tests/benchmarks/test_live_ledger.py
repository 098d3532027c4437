"""What counts as told, as made up and as a useless poll, sentence by sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import CallToolResult, TextContent

from benchmarks.live.intervals import compare
from benchmarks.live.ledger import Facts, Ledger, plain_numbers
from benchmarks.live.suite import FORMS

ONE, TWO = "fut_search_8k2m4x7qa", "fut_read_2b3c4d5e6"
VALUE = "The code is QX-7F3K9D."
DELIVERED = {"asyncfc/delivered": [{"token": ONE, "state": "resolved"}]}


def result(*texts: str, is_error: bool = False, meta: Any = None) -> CallToolResult:
    content = [TextContent(type="text", text=text) for text in texts]
    return CallToolResult.model_validate({"content": content, "isError": is_error, "_meta": meta})


def pending(token: str) -> CallToolResult:
    meta = {"asyncfc/future": {"token": token, "state": "running"}}
    return result(f"{token} stands for the result of x.", meta=meta)


def asks(ledger: Ledger, tool: str, answer: CallToolResult, **arguments: Any) -> None:
    ledger.called(tool, json.dumps(arguments))
    ledger.answered(tool, arguments, answer)


def with_futures(*tokens: str) -> Ledger:
    ledger = Ledger(Facts(FORMS, {"23456": frozenset({"11111", "12345"})}))
    for token in tokens:
        asks(ledger, "lab_measure", pending(token), sensor="k7")
    return ledger


@pytest.mark.parametrize(
    ("tool", "arguments", "answer"),
    [
        ("await_future", {"futures": [ONE]}, result(VALUE)),
        ("await_future", {"futures": ONE.upper().replace("FUT", "fut")}, result(VALUE)),
        ("await_future", {"futures": f'["{ONE}/code"]'}, result("QX-7F3K9D")),
        ("await_future", {"futures": [ONE]}, result("it failed", is_error=True)),
        ("await_future", {}, result(f"=== {ONE} (lab: measure) resolved ===", VALUE)),
        ("await_future", {"futures": [ONE, "fut_x"]}, result(f"=== {ONE} (lab: measure) resolved ===", VALUE)),
        ("await_future", {"futures": [ONE, "fut_x"]}, result(f"=== {ONE}/code (lab: measure) failed ===", "No.")),
        ("get_future", {"future": ONE}, result(f"{ONE} (lab: measure) resolved", VALUE)),
        ("get_future", {"future": ONE}, result(f"{ONE} (lab: measure) resolved, progress 3", VALUE)),
        ("cancel_future", {"futures": [ONE]}, result(f"{ONE} (lab: measure) cancelled")),
        ("files_read_file", {"path": "a"}, result("a", f"[1f] {ONE} (lab: measure) resolved:", VALUE, meta=DELIVERED)),
        (
            "files_read_file",
            {"path": "a"},
            result(f"[1f] fut_x failed. Not started because of it: {ONE}.", meta=DELIVERED),
        ),
    ],
)
def test_a_future_whose_value_or_failure_was_shown_is_told(
    tool: str, arguments: dict[str, Any], answer: CallToolResult
) -> None:
    ledger = with_futures(ONE)
    assert ledger.unread == (ONE,)
    asks(ledger, tool, answer, **arguments)
    assert ledger.unread == ()
    assert ledger.useless_polls == 0


@pytest.mark.parametrize(
    ("tool", "arguments", "answer"),
    [
        ("await_future", {"futures": [ONE]}, result(f"Still unsettled after 25.0 s;\n- {ONE} (lab: measure) running")),
        ("await_future", {"futures": [ONE], "timeout_s": "x"}, result("await_future: timeout_s is", is_error=True)),
        ("await_future", {"futures": [ONE, TWO]}, result(f"=== {TWO} (lab: measure) resolved ===", VALUE)),
        ("get_future", {"future": ONE}, result(f"{ONE} (lab: measure) running")),
        ("get_future", {"future": ONE}, result(f"{ONE} (lab: measure) pending: waits for the value of fut_x")),
        ("cancel_future", {"futures": [ONE]}, result(f"{ONE} (lab: measure) cancelling: its server has been asked")),
        ("list_futures", {}, result(f"{ONE} (lab: measure) resolved")),
        (
            "files_read_file",
            {"path": "a"},
            result(f"[1f] {ONE} (lab: measure) is ready; read it with get_future.", meta=DELIVERED),
        ),
        ("files_write_file", {"path": "a", "text": ONE}, result("Wrote it.")),
    ],
)
def test_a_future_of_which_neither_was_shown_is_not_told(
    tool: str, arguments: dict[str, Any], answer: CallToolResult
) -> None:
    ledger = with_futures(ONE)
    asks(ledger, tool, answer, **arguments)
    assert ledger.unread == (ONE,)


def test_an_unread_future_that_was_passed_on_is_not_forgotten() -> None:
    ledger = with_futures(ONE, TWO)
    asks(ledger, "files_write_file", result("Wrote it."), path="a", text=f"The code is ${{{ONE}/code}}.")
    assert (ledger.unread, ledger.forgotten) == ((ONE, TWO), (TWO,))


def test_a_poll_of_what_has_been_told_is_useless() -> None:
    ledger = with_futures(ONE, TWO)
    asks(ledger, "await_future", result(VALUE), futures=[ONE])
    asks(ledger, "await_future", result(VALUE), futures=[ONE])
    asks(ledger, "get_future", result(f"{ONE} (lab: measure) resolved", VALUE), future=ONE)
    assert ledger.useless_polls == 2
    asks(ledger, "await_future", result(f"=== {TWO} (lab: measure) resolved ===", VALUE), futures=[ONE, TWO])
    assert ledger.useless_polls == 2


def test_a_part_that_was_not_asked_for_before_is_no_useless_poll() -> None:
    ledger = with_futures(ONE)
    asks(ledger, "get_future", result(f"{ONE} (lab: measure) resolved", VALUE), future=ONE)
    for useless in (0, 1):
        asks(ledger, "get_future", result(f"{ONE} (lab: measure) resolved", "QX"), future=ONE, offset=20_000)
        assert ledger.useless_polls == useless


def test_a_poll_is_useless_from_the_second_time_that_it_says_the_same() -> None:
    ledger = with_futures(ONE)
    said = [f"{ONE} (lab: measure) {state}" for state in ("pending", "running", "running", "running, progress 3")]
    for text, useless in zip(said, (0, 0, 1, 1), strict=True):
        asks(ledger, "get_future", result(text), future=ONE)
        assert ledger.useless_polls == useless
    assert ledger.polls == 4


def test_waiting_again_is_no_poll_but_looking_without_waiting_is() -> None:
    ledger = with_futures(ONE)
    unsettled = result(f"Still unsettled after 0.5 s;\n- {ONE} (lab: measure) running")
    for _ in range(3):
        asks(ledger, "await_future", unsettled, futures=[ONE], timeout_s=30)
    assert (ledger.polls, ledger.useless_polls) == (0, 0)
    for _ in range(3):
        asks(ledger, "await_future", unsettled, futures=[ONE], timeout_s=0.5)
    assert (ledger.polls, ledger.useless_polls) == (3, 2)


def test_an_inline_result_needs_no_look_by_its_name() -> None:
    ledger = with_futures()
    asks(ledger, "lab_measure", result(VALUE), sensor="k7", _as="reading")
    asks(ledger, "get_future", result("fut_reading (lab: measure) resolved", VALUE), future="fut_reading")
    assert (ledger.futures, ledger.useless_polls) == (0, 1)


def test_a_value_is_fabricated_only_while_a_future_is_not_told() -> None:
    ledger = with_futures(ONE)
    ledger.wrote("Perhaps AB-123456.")
    asks(ledger, "await_future", result(VALUE), futures=[ONE])
    ledger.wrote("It is QX-7F3K9D, not AB-123456 and not CD-123456.")
    assert [(one.value, one.is_for_pending) for one in ledger.made_up] == [("AB-123456", True), ("CD-123456", False)]
    assert ledger.fabricated == 1


def test_what_follows_from_facts_is_made_up_until_all_of_them_were_shown() -> None:
    early, late = with_futures(ONE), with_futures(ONE)
    early.show("11111")
    late.show("11111 and 12,345")
    for ledger in (early, late):
        ledger.wrote("The sum is 23,456.")
    assert (early.fabricated, late.fabricated) == (1, 0)


def test_a_value_made_up_in_broken_arguments_counts_too() -> None:
    ledger = with_futures(ONE)
    ledger.called("files_write_file", '{"text": "QX-999999')
    assert [one.where for one in ledger.made_up] == ["files_write_file"]


def test_what_the_user_says_is_known() -> None:
    ledger = with_futures(ONE)
    ledger.show("Write AB-123456.")
    ledger.called("files_write_file", json.dumps({"text": "AB-123456"}))
    assert ledger.made_up == []


@pytest.mark.parametrize("written", ["12345", "12,345", "12'345", "12_345", "12\u202f345"])
def test_numbers_are_the_same_however_they_are_grouped(written: str) -> None:
    assert plain_numbers(f"It is {written}.") == "It is 12345."


# Comparisons


def test_a_ratio_is_the_geometric_mean_of_the_pairs_and_lies_in_its_interval() -> None:
    found = compare("wall_s", "async", "sync", "ratio", {"a": [(1, 2), (2, 2)], "b": [(1, 4), (3, 3)]})
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx((1 / 8) ** (1 / 4))
    assert found.low < found.value < found.high <= 1
    assert found.pairs == 4


def test_pairs_without_a_difference_have_an_interval_without_width() -> None:
    found = compare("success", "async", "sync", "difference", {"a": [(1, 1)], "b": [(0, 0)]})
    assert found is not None
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_pairs_that_have_no_ratio_are_left_out() -> None:
    assert compare("rounds", "async", "sync", "ratio", {"a": [(0, 2)]}) is None


def test_the_interval_is_drawn_over_tasks_and_not_over_repeats_alone() -> None:
    narrow = compare("x", "async", "sync", "difference", {"a": [(0, 0)] * 20, "b": [(1, 0)] * 20})
    assert narrow is not None
    assert (narrow.value, narrow.low, narrow.high) == (0.5, 0.0, 1.0)
