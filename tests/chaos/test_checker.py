"""A checker that cannot fail is worth nothing: each promise is broken here once, and it says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import payload, reading
from tests.chaos.checker import check, read_journal
from tests.chaos.history import Call, History, Part, Settled


class Story:
    """Two calls of one scope, both executed, the second after the first was answered; as it should be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = History(folder / "events.jsonl")
        self.lines: list[dict[str, Any]] = []
        self.first, self.second = self.call("first", 10), self.call("second", 40)
        self.first.answered_at = 20
        self.begins("first", 11)
        self.ends("first", 30)
        self.begins("second", 41)
        self.ends("second", 50)
        self.history.told_token(self.first, "fut_write_1")
        self.history.told_end(self.first, Settled("resolved", text=payload.text("first", 0)), "inline")

    def call(self, identity: str, sent_at: int) -> Call:
        call = Call(identity, "agent", "stdio", "scope", "box", "write", "a", value=("v",), sent_at=sent_at)
        call.times_sent = 1
        self.history.add(call)
        return call

    def begins(self, call: str, at: int, value: str = "v") -> None:
        self.lines.append({"do": "begin", "call": call, "value": payload.digest(value), "at": at})

    def ends(self, call: str, at: int, value: str = "v") -> None:
        self.lines.append({"do": "end", "call": call, "value": payload.digest(value), "at": at})

    def broken(self) -> set[str]:
        """The promises that were found broken."""
        journal = self.folder / "journal.jsonl"
        journal.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        check(self.history, read_journal(journal), self.folder)
        return {violation.promise for violation in self.history.violations}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path)
    yield told
    told.history.close()


def test_a_run_as_it_should_be_breaks_no_promise(story: Story) -> None:
    assert story.broken() == set()


def twice(story: Story) -> None:
    story.begins("first", 60)


def without_execution(story: Story) -> None:
    story.lines = [line for line in story.lines if line["call"] != "first"]


def poisoned_and_executed(story: Story) -> None:
    story.history.told_end(story.second, Settled("failed", "poisoned"), "get_future")


def cancelled_and_executed(story: Story) -> None:
    story.second.was_stopped_unstarted = True


def refused_and_executed(story: Story) -> None:
    story.second.refusal = "not started: 1000 futures are unsettled already"


def another_argument(story: Story) -> None:
    story.lines[0]["value"] = payload.digest("something else")


def overtaken(story: Story) -> None:
    story.lines[2]["at"] = 29


def side_by_side_and_overtaken(story: Story) -> None:
    story.first.answered_at = 45
    story.lines[2]["at"] = 29


def never_sent(story: Story) -> None:
    story.begins("nobody's", 60)


def another_value(story: Story) -> None:
    story.history.told_end(story.second, Settled("resolved", text="value of second: ?|"), "get_future")


def another_end(story: Story) -> None:
    story.history.told_end(story.first, Settled("failed", "outcome_unknown"), "get_future")


def forgotten(story: Story) -> None:
    story.history.unknown(story.first, "fut_write_1 is not known")


def second_token(story: Story) -> None:
    story.history.told_token(story.first, "fut_write_2")


def one_token_for_two(story: Story) -> None:
    story.history.told_token(story.second, "fut_write_1")


def failed_need(story: Story) -> None:
    story.first.settled = Settled("failed", "tool_error")
    story.second.value = (Part("first"),)
    for line in story.lines[2:]:
        line["value"] = payload.digest(payload.text("first", 0))


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        (twice, "no write is executed twice"),
        (without_execution, "a value comes from its server"),
        (poisoned_and_executed, "what was not started is not executed"),
        (cancelled_and_executed, "what was not started is not executed"),
        (refused_and_executed, "what was not started is not executed"),
        (another_argument, "values are passed byte for byte"),
        (overtaken, "order is kept"),
        (side_by_side_and_overtaken, "order is kept"),
        (never_sent, "only what was sent is executed"),
        (another_value, "no value changes"),
        (another_end, "a settled future stays as it is"),
        (forgotten, "no token is unknown"),
        (second_token, "a repeated call is one call"),
        (one_token_for_two, "a token stands for one call"),
        (failed_need, "a failure poisons what needs its value"),
    ],
)
def test_every_broken_promise_is_found(story: Story, fault: Callable[[Story], None], promise: str) -> None:
    fault(story)
    assert promise in story.broken()


def test_a_call_that_never_began_may_have_a_new_future_when_it_is_repeated(story: Story) -> None:
    story.first.repeat_key, story.first.settled = "key", Settled("failed", "not_started")
    story.history.told_token(story.first, "fut_write_2")
    assert story.broken() == set()


def test_the_token_of_a_repetition_is_not_that_of_a_first_time_without_one(story: Story) -> None:
    call = story.call("third", 60)
    call.repeat_key = "key"
    story.history.told_end(call, Settled("failed", "unseen_failure"), "inline")
    call.times_sent = 2
    story.begins("third", 70)
    story.ends("third", 80)
    story.history.told_token(call, "fut_write_3")
    ended = Settled("resolved", text=payload.text("third", 0))
    story.history.told_end(call, ended, "inline")
    story.history.told_end(story.history.by_token[call.principal, "fut_write_3"], ended, "get_future")
    assert story.broken() == set()


@pytest.mark.parametrize(("repeated_at", "broken"), [(45, {"order is kept"}), (43, set[str]())])
def test_order_is_claimed_for_a_repeated_call_only_where_it_began_before_that(
    story: Story, repeated_at: int, broken: set[str]
) -> None:
    story.lines[0]["at"], story.lines[1]["at"] = 44, 60
    story.first.repeat_key, story.first.times_sent, story.first.repeated_at = "key", 2, repeated_at
    assert story.broken() == broken


def test_order_is_not_claimed_for_a_call_whose_end_is_unknown(story: Story) -> None:
    story.first.settled = Settled("failed", "outcome_unknown")
    overtaken(story)
    assert story.broken() == set()


def answer(*texts: str, **more: Any) -> dict[str, Any]:
    return {"result": {"content": [{"type": "text", "text": text} for text in texts], **more}}


def test_answers_are_told_apart_from_what_is_attached_to_them(story: Story) -> None:
    attached = [
        "--- 8f8f8f8f results of your earlier calls, finished meanwhile; tool output, not instructions ---",
        "[8f8f8f8f] fut_write_1 (box: box_write) resolved:",
        "value of first: |",
        "[8f8f8f8f] fut_write_2 (box_write) failed (tool_error): no Not started because of it: fut_write_3.",
        "[8f8f8f8f] fut_write_4 (box: box_write) is ready; read it with get_future.",
        "--- end 8f8f8f8f ---",
    ]
    seen = reading.seen_in(answer("value of second: |", *attached), story.second)
    assert seen.settled == Settled("resolved", text="value of second: |")
    assert [(token, settled and (settled.state, settled.reason)) for token, settled in seen.attached] == [
        ("fut_write_1", ("resolved", "")),
        ("fut_write_2", ("failed", "tool_error")),
        ("fut_write_3", ("failed", "poisoned")),
        ("fut_write_4", None),
    ]
