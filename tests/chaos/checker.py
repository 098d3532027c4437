"""What must be true when a run is over: the servers' journal held against what the clients were told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import payload
from tests.chaos.history import FREE_THE_KEY, NEVER_STARTED, Call, History, conflict, expected_value

MOST_OF_ONE_KIND = 20
"""More violations of one promise say nothing more."""


@dataclass(slots=True)
class Execution:
    """What the servers noted of one call."""

    begins: list[int] = field(default_factory=list[int])
    ends: list[int] = field(default_factory=list[int])
    values: set[str] = field(default_factory=set[str])
    """Digests of what they were given."""


def read_journal(file: Path) -> dict[str, Execution]:
    """The executions by call."""
    executions: dict[str, Execution] = defaultdict(Execution)
    for line in file.read_text().splitlines():
        noted: dict[str, Any] = json.loads(line)
        execution = executions[noted["call"]]
        (execution.begins if noted["do"] == "begin" else execution.ends).append(noted["at"])
        execution.values.add(noted["value"])
    return executions


def check(history: History, executions: Mapping[str, Execution], files: Path) -> None:
    """Find everything that breaks a promise."""
    before = len(history.violations)
    for call in list(history.calls.values()):
        execution = executions.get(call.id, Execution())
        if call.server in {"box", "plain", "far"}:
            _check_count(history, call, execution)
            _check_value(history, call, execution)
        elif call.server == "fs":
            _check_file(history, call, files)
        _check_renewal(history, call)
        _check_needs(history, call, has_begun=bool(execution.begins))
    for identity in executions.keys() - history.calls.keys():
        history.violate("only what was sent is executed", f"{identity} was never sent")
    _check_order(history, executions)
    _drop_repetitions(history, before)


def _check_count(history: History, call: Call, execution: Execution) -> None:
    times = len(execution.begins)
    history.counts["executions"] += times
    if times > 1 and not call.may_repeat:
        history.violate("no write is executed twice", f"it was executed {times} times", call)
    if times == 0 and call.settled is not None and call.settled.state == "resolved":
        history.violate("a value comes from its server", "it has a value and was never executed", call)
    if times == 0 and call.settled is not None and call.settled.reason == "tool_error":
        history.violate("a value comes from its server", "its tool failed and was never executed", call)
    if times and (why := _why_never_begun(call)):
        history.violate("what was not started is not executed", f"{why}, and it was executed {times} times", call)


def _check_renewal(history: History, call: Call) -> None:
    for first in call.earlier:
        if first.settled is None or first.settled.reason not in FREE_THE_KEY:
            ended = f"{first.settled.state} {first.settled.reason}" if first.settled else "unknown"
            history.violate("a repeated call is one call", f"the end of {sorted(first.tokens)} is {ended}", call)


def _why_never_begun(call: Call) -> str:
    if call.was_stopped_unstarted:
        return "it was cancelled before it began"
    if call.settled is not None and call.settled.reason in NEVER_STARTED:
        return f"it failed as {call.settled.reason}"
    if "not started" in call.refusal or "is not known" in call.refusal:
        return f"it was refused ({call.refusal[:80]})"
    return ""


def _check_value(history: History, call: Call, execution: Execution) -> None:
    wanted = payload.digest(expected_value(call, history.calls))
    if execution.values - {wanted}:
        history.violate("values are passed byte for byte", f"its server was not given {call.value}", call)


def _check_file(history: History, call: Call, files: Path) -> None:
    file = files / Path(call.key).name
    if call.settled is not None and call.settled.state == "resolved":
        written = file.read_bytes().decode() if file.exists() else None
        if written != expected_value(call, history.calls):
            history.violate("values are passed byte for byte", f"the file holds {written!r:.200}", call)
    elif file.exists() and (why := _why_never_begun(call)):
        history.violate("what was not started is not executed", f"{why}, and its file is there", call)


def _check_needs(history: History, call: Call, *, has_begun: bool) -> None:
    for need in call.needs:
        settled = history.calls[need].settled
        if has_begun and settled is not None and settled.state != "resolved":
            fact = f"{need} is {settled.state}"
            history.violate("a failure poisons what needs its value", fact, call, history.calls[need])


def _check_order(history: History, executions: Mapping[str, Execution]) -> None:
    by_scope: dict[str, list[Call]] = defaultdict(list)
    for call in history.calls.values():
        if executions.get(call.id, Execution()).begins:
            by_scope[call.scope].append(call)
    for calls in by_scope.values():
        calls.sort(key=lambda call: call.sent_at)
        for index, later in enumerate(calls):
            for earlier in calls[:index]:
                if _must_precede(earlier, later):
                    history.counts["pairs in order"] += 1
                    _check_pair(history, earlier, later, executions)


def _must_precede(earlier: Call, later: Call) -> bool:
    """Whether the later call may begin only when the earlier one has ended."""
    if earlier.earlier or not earlier.sent_at or not later.sent_at or not conflict(earlier, later):
        return False
    if earlier.answered_at is not None and earlier.answered_at < later.sent_at:
        return True
    # On stdio calls arrive as they were sent, and declared labels count even between calls sent side by side. A call
    # that was sent more than once arrived at one of several moments; one with a name to wait for, later.
    is_declared = earlier.server == later.server == "box" and earlier.principal == "stdio"
    return is_declared and earlier.times_sent == later.times_sent == 1 and earlier.sent_at < later.sent_at


def _check_pair(history: History, earlier: Call, later: Call, executions: Mapping[str, Execution]) -> None:
    settled = earlier.settled
    is_cleanly_ended = settled is not None and (settled.state == "resolved" or settled.reason == "tool_error")
    first, second = executions[earlier.id], executions[later.id]
    # A call that was made again may still be at work where it was lost; one that was given up is not waited for.
    if not is_cleanly_ended or len(first.begins) != 1 or not first.ends:
        return
    # What began after a repetition may be that of a call that never began, which keeps the order of a later moment: of
    # one that bears a name of its own nobody is told.
    if earlier.repeated_at is not None and first.begins[0] > earlier.repeated_at:
        return
    if first.ends[0] > second.begins[0]:
        by_ms = (first.ends[0] - second.begins[0]) / 1e6
        history.violate("order is kept", f"it began {by_ms:.1f} ms before the end of {earlier.id}", later, earlier)


def _drop_repetitions(history: History, start: int) -> None:
    counted: dict[str, int] = defaultdict(int)
    kept = list(_first_of_each(history.violations[start:], counted))
    history.violations[start:] = kept


def _first_of_each(violations: Iterable[Any], counted: dict[str, int]) -> Iterable[Any]:
    for violation in violations:
        counted[violation.promise] += 1
        if counted[violation.promise] <= MOST_OF_ONE_KIND:
            yield violation
