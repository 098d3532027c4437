"""What is measured: which scenarios, against which fixture, through which gateway, and how that compares.

The list of expected results, with a reason beside each exception, is expected.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.places import fixture, gateway
from tests.conformance.suite import Finding, run_suite

EXPECTED = Path(__file__).with_name("expected.toml")
TASKS = "tasks-"
"""How the names of the Tasks extension's scenarios begin; the suite runs them along with 2026-07-28."""
INLINE: Mapping[str, Any] = {"inline_wait_s": 25}
"""The scenarios expect values, so every call is waited for."""
FREE: Mapping[str, Any] = {"reads": [], "writes": []}
"""Labels that conflict with nothing."""
SLOW = ("slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input", "test_tool_with_task")


@dataclass(frozen=True, slots=True)
class Leg:
    """One run of the suite."""

    name: str
    revision: str
    fixture: str
    settings: Mapping[str, Any]
    """The gateway's defaults."""
    tools: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The gateway's settings of the fixture's tools."""

    @property
    def judges_tasks(self) -> bool:
        return self.name == "tasks"

    def judges(self, scenario: str) -> bool:
        return scenario.startswith(TASKS) == self.judges_tasks


LEGS = (
    Leg("2025-11-25", "2025-11-25", "everything", INLINE),
    Leg("2026-07-28", "2026-07-28", "everything", INLINE),
    Leg(
        "tasks",
        "2026-07-28",
        "plain",
        {"tasks": "always", "inline_wait_s": 0.4},
        # a scenario leaves calls of a minute behind, which unlabelled calls of the next one would wait for
        {
            "greet": {**FREE, "mode": "sync"},
            **dict.fromkeys(SLOW, FREE),
            # its question has to come inline, also on a busy machine; what it does then takes longer than that
            "test_tool_with_task": {**FREE, "inline_wait_s": 3},
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What expected.toml says of one leg."""

    scored: tuple[str, ...]
    """They must pass."""
    unscored: tuple[str, ...]
    """They do not count for the revision, and must pass all the same."""
    exceptions: Mapping[str, str]
    """They must not pass: scenario and reason."""
    ignored: Mapping[str, str]
    """They say nothing: scenario and reason."""

    @classmethod
    def of(cls, leg: Leg) -> Expected:
        said = tomllib.loads(EXPECTED.read_text())[leg.name]
        exceptions, ignored = said.get("exceptions", {}), said.get("ignored", {})
        return cls(tuple(said["scored"]), tuple(said.get("unscored", ())), exceptions, ignored)

    def names(self) -> set[str]:
        return {*self.scored, *self.unscored, *self.exceptions, *self.ignored}


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario, as it went and as it should."""

    scenario: str
    direct: bool | None
    """Whether it passes against the fixture itself; None where that says nothing."""
    through: bool
    counts: bool
    """Whether it is one of those that a score counts."""
    wrong: str
    """What is not as expected, if anything."""


async def measure(leg: Leg, folder: Path) -> list[Row]:
    """Run the suite against the fixture and through the gateway, and compare both with what is expected."""
    async with fixture(leg.fixture) as url:
        server = {"url": url, "asyncfc": {"prefix": "", "tools": dict(leg.tools)}}
        async with gateway({leg.fixture: server}, leg.settings, folder) as front:
            # the plain server knows no tasks: without the gateway there is nothing to measure
            direct = {} if leg.judges_tasks else await run_suite(url, leg.revision, folder / "direct")
            through = await run_suite(front, leg.revision, folder / "through")
    expected = Expected.of(leg)
    scenarios = sorted({name for name in {*direct, *through} if leg.judges(name)} | expected.names())
    return [
        _row(name, expected, direct.get(name), through.get(name)) for name in scenarios if name not in expected.ignored
    ]


def _row(scenario: str, expected: Expected, direct: Finding | None, through: Finding | None) -> Row:
    faults = _faults(direct, through)
    passes_directly = None if direct is None else not direct.failures
    counts = scenario in expected.scored or scenario in expected.exceptions
    return Row(scenario, passes_directly, not faults, counts, _wrong(scenario, expected, faults, direct))


def _faults(direct: Finding | None, through: Finding | None) -> list[str]:
    """What fails through the gateway, and what a scenario that skips or tolerates it would hide."""
    if through is None:
        return ["the suite did not run it"]
    if direct is None:
        return list(through.failures)
    lost = sorted(direct.passed - through.passed)
    wrongly = sorted(through.errors - direct.errors)
    return [
        *through.failures,
        *(f"{check}: passes directly only" for check in lost),
        *(f"{check}: gives an error only through the gateway" for check in wrongly),
    ]


def _wrong(scenario: str, expected: Expected, faults: list[str], direct: Finding | None) -> str:
    if scenario not in expected.names():
        return "expected.toml does not name it"
    if scenario in expected.exceptions:
        return "" if faults else f"it passes: take it out of the exceptions ({expected.exceptions[scenario]})"
    own = [f"the fixture itself fails: {fault}" for fault in (direct.failures if direct is not None else ())]
    return "; ".join([*own, *faults])
