"""What the time-line knows of calls, alone and fed by a real gateway."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.telemetry.timeline import Span, Timeline
from tests.harness import FREE, GatewayClient, running, toy

pytestmark = pytest.mark.anyio


def arrive(timeline: Timeline, *identities: str, **more: Any) -> None:
    for identity in identities:
        timeline.arrive(identity, token=f"fut_{identity}", server="s", tool="t", scope="c", at_s=100.0, **more)


def test_it_keeps_the_last_calls_only() -> None:
    timeline = Timeline(most=3)
    arrive(timeline, "a", "b", "c", "d")
    assert [span.number for span in timeline.spans()] == [2, 3, 4]


def test_a_call_that_is_not_kept_any_more_may_still_move() -> None:
    timeline = Timeline(most=1)
    arrive(timeline, "a", "b")
    timeline.move("a", FutureState.RUNNING, 1.0)
    assert [span.state for span in timeline.spans()] == ["pending"]


def test_a_call_that_has_not_settled_is_kept_longer_than_those_that_have() -> None:
    timeline = Timeline(most=3)
    arrive(timeline, "runs", "b", "c")
    for identity in ("b", "c"):
        timeline.move(identity, FutureState.CANCELLED, 1.0)
    arrive(timeline, "d", "e")
    assert [span.number for span in timeline.spans()] == [1, 4, 5]


def test_it_says_what_changed_since_it_was_last_asked() -> None:
    timeline = Timeline()
    arrive(timeline, "a", "b")
    seen = timeline.change
    timeline.move("b", FutureState.RUNNING, 0.5)
    assert [(span.number, span.state, span.started_s) for span in timeline.since(seen)] == [(2, "running", 100.5)]
    assert timeline.since(timeline.change) == []


def test_edges_name_calls_by_their_numbers() -> None:
    timeline = Timeline()
    arrive(timeline, "a", "b")
    arrive(timeline, "c", needs=["b", "forgotten"], behind=["a"])
    assert [(span.needs, span.behind) for span in timeline.spans()][-1] == ((2,), (1,))


def test_a_call_is_directly_behind_the_last_of_a_row_only() -> None:
    timeline = Timeline()
    arrive(timeline, "a")
    arrive(timeline, "b", behind=["a"])
    arrive(timeline, "c", behind=["a", "b"])
    assert [span.behind for span in timeline.spans()] == [(), (1,), (2,)]


def test_what_a_call_waits_for_is_asked_anew() -> None:
    reasons = {"a": "behind the first"}
    timeline = Timeline(lambda identity: reasons.get(identity, ""))
    arrive(timeline, "a", waits_for="behind the first")
    seen = timeline.change
    reasons["a"] = "behind the second"
    (span,) = timeline.since(seen)
    assert (span.why, span.waited_for) == ("behind the second", "behind the first")
    timeline.move("a", FutureState.RUNNING, 1.0)
    reasons.clear()
    assert timeline.spans()[0].why == ""


async def settled(gateway: GatewayClient, *tokens: str) -> list[Span]:
    """The spans of these calls, once they have settled; those of what steers the toy are left out."""
    await gateway.value(*tokens)
    return [one for one in gateway.app.gateway.timeline.spans() if one.token in tokens]


async def test_a_call_behind_another_names_it_and_why() -> None:
    tools = {"hold": {"writes": ["place/{key}"]}, "get": {"reads": ["place/{key}"]}}
    async with running({"toy": toy(tools=tools)}) as gateway:
        await gateway.call("hold", key="plants", _as="first", _wait_s=0)
        await gateway.call("get", key="plants", _as="second", _wait_s=0)
        first, second = gateway.app.gateway.timeline.spans()
        assert (first.state, first.why, first.behind) == ("running", "", ())
        assert (second.state, second.behind) == ("pending", (first.number,))
        assert second.why == "behind fut_first (its write of place/…)"
        await gateway.call("release", key="plants")
        first, second = await settled(gateway, "fut_first", "fut_second")
        assert (second.state, second.why) == ("resolved", "")
        assert second.waited_for == "behind fut_first (its write of place/…)"
        assert first.settled_s is not None
        assert second.started_s is not None
        assert second.started_s >= first.settled_s - 0.05


async def test_a_call_that_needs_a_value_names_where_it_comes_from() -> None:
    async with running({"toy": toy(isolated=True)}) as gateway:
        await gateway.call("hold", key="k", _as="value", _wait_s=0)
        await gateway.call("get", key="fut_value", _as="user", _wait_s=0)
        source, user = gateway.app.gateway.timeline.spans()
        assert (user.needs, source.needs) == ((source.number,), ())
        assert "for the value of fut_value" in user.why
        await gateway.call("release", key="k")


async def test_a_failure_is_told_by_its_reason_alone() -> None:
    async with running() as gateway:
        await gateway.call("fail", message="a secret of the server", _as="failing")
        (span,) = await settled(gateway, "fut_failing")
        assert (span.state, span.failure) == ("failed", "tool_error")
        assert "secret" not in json.dumps(asdict(span))


async def test_overlapping_calls_leave_a_line_in_the_log(logged: list[MutableMapping[str, Any]]) -> None:
    async with running({"toy": toy(tools={"sleep": FREE})}) as gateway:
        await gateway.call("sleep", seconds=2, _as="one", _wait_s=0)
        await gateway.call("sleep", seconds=0.5, _as="two", _wait_s=0)
        await gateway.value("fut_one", "fut_two")
        (line,) = [one for one in logged if one["event"] == "calls_overlapped"]
        assert line["text"] == f"2 calls overlapped, {line['saved_s']:.1f} s saved"
        records = [future.record for future in gateway.app.gateway.table]
        began_s, ended_s = [one.started_at or 0 for one in records], [one.settled_at or 0 for one in records]
        assert line["saved_s"] >= 0.1
        assert line["saved_s"] == pytest.approx(min(ended_s) - max(began_s), abs=0.01)


async def test_planted_secrets_do_not_get_in(tmp_path: Path) -> None:
    secret = "hunter2-in-an-argument"
    tools = {"put": {"writes": ["{key}"]}, "hold": {"writes": ["{key}"]}, "get": {"reads": ["fs/{key}"]}}
    async with running({"toy": toy(tools=tools)}, state_folder=tmp_path) as gateway:
        await gateway.call("hold", key=secret, _as="held", _wait_s=0)
        await gateway.call("put", key=secret, value=secret, _as="later", _wait_s=0)
        spans = gateway.app.gateway.timeline.spans()
        assert spans[1].why == "behind fut_held (its write of …)"
        assert secret not in json.dumps([asdict(span) for span in spans])
        await gateway.call("release", key=secret)
        spans = await settled(gateway, "fut_held", "fut_later")
        assert secret not in json.dumps([asdict(span) for span in spans])
