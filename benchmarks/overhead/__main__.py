"""What the gateway costs beside no gateway, the barest one, and others: `python -m benchmarks.overhead`.

All routes of a setting (`client transport>server transport`) are open at once and take turns, so that whatever else the
machine does hits them alike; ratios are formed within a round. Peers come from `python -m benchmarks.overhead.peers`;
what is not installed is left out. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click

from benchmarks.common import machine, report
from benchmarks.overhead.measures import FULL, MEASURES, QUICK, Echoes, Measure, Size, listing
from benchmarks.overhead.peers import CONTEXTFORGE, PEERS
from benchmarks.overhead.processes import nothing_left_behind, usage
from benchmarks.overhead.routes import HTTP, ROUTES, SETTINGS, STDIO, Era, Opened, Route, Setting, opened
from benchmarks.overhead.summary import LISTED, Failure, Rounds, failures_table, table, targets

FIRST_LIST, FIRST_LIST_EVER = "first tools/list", "first tools/list ever"
KINDS = (*MEASURES, "list", "first")
MANY_TOOLS = 500
SHORT_TURNS = 10
"""How many turns the echoes of a round are divided into."""
LIST_TURNS = 5
"""Likewise for long lists, each turn a round of its own."""
QUICK_SETTINGS = (STDIO, HTTP)
WARM_UP = Size(echoes=20, load=64, blobs=1, finishes=1, lists=1, limit_s=2)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    settings: tuple[Setting, ...]
    routes: tuple[Route, ...]
    kinds: tuple[str, ...]
    rounds: int
    starts: int
    size: Size
    is_quick: bool = False
    era: Era = "auto"

    def routes_in(self, setting: Setting) -> list[Route]:
        return [route for route in self.routes if setting in route.settings]


async def measure(plan: Plan, folder: Path) -> Rounds:
    """Everything, one setting after another."""
    rounds = Rounds()
    for setting in plan.settings:
        home = folder / setting.name.replace(">", "-to-")
        calls = {kind: MEASURES[kind] for kind in plan.kinds if kind in MEASURES}
        if calls:
            await _take_turns(plan, setting, home / "calls", calls, rounds)
        if plan.is_quick and setting is not plan.settings[0]:
            continue  # these start many processes, and the same ones wherever they stand
        if "list" in plan.kinds:
            await _list_many(plan, setting, home / "many", rounds)
        if "first" in plan.kinds:
            await _start_often(plan, setting, home / "first", rounds)
    return rounds


async def _take_turns(plan: Plan, setting: Setting, folder: Path, calls: dict[str, Measure], rounds: Rounds) -> None:
    """Each measure of each round goes through all routes, in an order that turns from round to round."""
    async with AsyncExitStack() as stack:
        routes = [
            await _warm(stack, plan, route, setting, folder / route.name, rounds) for route in plan.routes_in(setting)
        ]
        rounds.protocols |= {f"{setting.name} {one.route.name}": one.client.protocol_version for one in routes}
        _note_memory(routes, setting, "memory at start", rounds)
        for number in range(plan.rounds):
            for kind, take in calls.items():
                if kind == "echo":
                    await _take_short_turns(plan, setting, routes, number, rounds)
                    continue
                for route in _turned(routes, number):
                    figures = await _figures(take, route, plan.size, setting, rounds)
                    rounds.add(number, setting.name, route.route.name, figures)
            _say(f"{setting.name} round {number + 1} of {plan.rounds}")
        _note_memory(routes, setting, "memory after", rounds)


async def _take_short_turns(
    plan: Plan, setting: Setting, routes: Sequence[Opened], number: int, rounds: Rounds
) -> None:
    """The echoes of a round, a few of each route at a time: a busy second of the machine then hits all routes alike."""
    size = replace(
        plan.size,
        echoes=max(1, plan.size.echoes // SHORT_TURNS),
        finishes=max(1, plan.size.finishes // SHORT_TURNS),
    )
    taken = {route.route.name: Echoes() for route in routes}
    figures: dict[str, dict[str, float]] = {}
    for turn in range(SHORT_TURNS):
        for route in _turned(routes, number + turn):
            name = route.route.name
            figures[name] = await _figures(taken[name].echo, route, size, setting, rounds)
    for name, of_all in figures.items():
        rounds.add(number, setting.name, name, of_all)


async def _warm(
    stack: AsyncExitStack, plan: Plan, route: Route, setting: Setting, folder: Path, rounds: Rounds
) -> Opened:
    running = await stack.enter_async_context(opened(route, setting, folder, era=plan.era))
    _say(f"{setting.name} {route.name} is open")
    await running.client.list_tools()
    for kind in (kind for kind in plan.kinds if kind in MEASURES):
        await _figures(MEASURES[kind], running, WARM_UP, setting, rounds)
    return running


async def _figures(take: Measure, route: Opened, size: Size, setting: Setting, rounds: Rounds) -> dict[str, float]:
    """What was measured; nothing of a peer that fails, which is no reason to stop measuring the others."""
    try:
        return await take(route, size)
    except Exception as error:
        if route.route.peer is None:
            raise
        said = f"{error!r:.300}"
        print(f"{route.route.name} failed at {take.__name__}: {said}", file=sys.stderr)
        rounds.failures.append(Failure(setting.name, route.route.name, take.__name__, said))
        return {}


def _note_memory(routes: Sequence[Opened], setting: Setting, name: str, rounds: Rounds) -> None:
    for route in routes:
        if route.process:
            rounds.add(0, setting.name, route.route.name, {name: usage(route.process).resident_mb})


def _turned(routes: Sequence[Opened], number: int) -> list[Opened]:
    start = number % len(routes)
    return [*routes[start:], *routes[:start]]


async def _list_many(plan: Plan, setting: Setting, folder: Path, rounds: Rounds) -> None:
    async with AsyncExitStack() as stack:
        routes: list[Opened] = []
        for route in plan.routes_in(setting):
            if not route.is_async:
                many = opened(route, setting, folder / route.name, tools=MANY_TOOLS, era=plan.era)
                routes.append(await stack.enter_async_context(many))
                await listing(routes[-1], plan.size)
        size = replace(plan.size, lists=max(1, plan.size.lists // LIST_TURNS))
        for number in range(plan.rounds * LIST_TURNS):
            for route in _turned(routes, number):
                figures = await listing(route, size)
                rounds.add(number, setting.name, route.route.name, {LISTED: figures["tools/list p50"]})
        _say(f"{setting.name} lists of {MANY_TOOLS} tools")


async def _start_often(plan: Plan, setting: Setting, folder: Path, rounds: Rounds) -> None:
    """From the start of the process to the first list; the first time ever apart, since lists may be kept."""
    for number in range(plan.starts + 1):
        for route in plan.routes_in(setting):
            # It makes a database each time and would measure that.
            if route.is_async or route.peer is CONTEXTFORGE:
                continue
            took_s = await _first_list_s(route, setting, folder / route.name, plan.era)
            rounds.add(number, setting.name, route.name, {FIRST_LIST if number else FIRST_LIST_EVER: took_s})
        _say(f"{setting.name} start {number + 1} of {plan.starts + 1}")


async def _first_list_s(route: Route, setting: Setting, folder: Path, era: Era) -> float:
    started = time.perf_counter()
    async with opened(route, setting, folder, era=era) as running:
        await running.client.list_tools()
        return time.perf_counter() - started


def _say(text: str) -> None:
    """Where it is: on one line for people, on one each for files."""
    is_watched = sys.stderr.isatty()
    print(f"\r\033[K{text}" if is_watched else text, end="" if is_watched else "\n", file=sys.stderr, flush=True)


def versions(routes: Sequence[Route]) -> dict[str, str]:
    """Of what is compared."""
    ours = {name: version(name) for name in ("asyncfc-mcp", "mcp", "anyio", "pydantic", "uvicorn")}
    taken = {route.peer for route in routes}
    return ours | {peer.name: peer.requirement.partition("==")[2] for peer in PEERS if peer in taken}


def _planned(
    settings: Sequence[Setting], paths: str, measures: str, rounds: int, *, quick: bool, handshake: bool
) -> Plan:
    routes = _chosen("path", paths, {route.name.replace(" ", "-"): route for route in ROUTES})
    if quick and not paths:
        routes = [route for route in routes if route.peer is None]
    missing = [route.name for route in routes if not route.is_available]
    if missing:
        print(
            f"left out, since not installed (python -m benchmarks.overhead.peers): {', '.join(missing)}",
            file=sys.stderr,
        )
    # with a handshake servers answer in events, of which the SDK's client takes none of 1 MB
    kinds = [kind for kind in KINDS if kind != "sizes" or not handshake]
    return Plan(
        tuple(settings),
        tuple(route for route in routes if route.is_available),
        tuple(_chosen("measure", measures, {kind: kind for kind in kinds})),
        rounds=1 if quick else rounds,
        starts=0 if quick else max(2, rounds // 2),
        size=QUICK if quick else FULL,
        is_quick=quick,
        era="legacy" if handshake else "auto",
    )


def _chosen(what: str, names: str, known: dict[str, _T]) -> list[_T]:
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise click.BadParameter(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


@click.command()
@click.option("--only", type=click.Choice(["stdio", "http"]), default=None, help="The client's transport.")
@click.option("--back", type=click.Choice(["stdio", "http"]), default=None, help="The server's transport.")
@click.option("--paths", default="", help="Some of the paths, as in direct,relay,gateway,fastmcp-1-session.")
@click.option("--measures", default="", help=f"Some of {','.join(KINDS)}.")
@click.option("--rounds", default=8, show_default=True, type=click.IntRange(min=1))
@click.option("--handshake", is_flag=True, help="Clients of 2025-11-25, as most are today, not of the newest revision.")
@click.option("--quick", is_flag=True, help="One small round of what needs no peers; the figures mean nothing.")
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="Keep what the processes write here.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it here, too.")
def main(
    *,
    only: str | None,
    back: str | None,
    paths: str,
    measures: str,
    rounds: int,
    handshake: bool,
    quick: bool,
    logs: Path | None,
    file: Path | None,
) -> None:
    """Measure what each path between a client and a server costs."""
    settings = [
        setting
        for setting in (QUICK_SETTINGS if quick else SETTINGS)
        if only in (None, setting.front) and back in (None, setting.back)
    ]
    plan = _planned(settings, paths, measures, rounds, quick=quick, handshake=handshake)
    before = machine()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, nothing_left_behind():
        measured = anyio.run(measure, plan, logs or Path(folder))
    used = versions(plan.routes)
    print(", ".join(f"{name} {number}" for name, number in used.items()))
    rows = measured.rows()
    print("protocols:", ", ".join(f"{route} {revision}" for route, revision in measured.protocols.items()))
    print("\n".join([*table(rows), *failures_table(measured.failures)]), end="\n\n")
    judged = targets(measured, [setting.name for setting in plan.settings])
    is_met = report(judged, before=before, as_json=False)
    if file:
        document: dict[str, Any] = {
            "benchmark": "overhead",
            "machine_before": before,
            "machine_after": machine(),
            "versions": used,
            "protocols": measured.protocols,
            "plan": {"rounds": plan.rounds, "starts": plan.starts, **asdict(plan.size)},
            "rows": [row.as_json() for row in rows],
            "failures": [asdict(one) for one in measured.failures],
            "targets": [{**asdict(figure), "is_met": figure.is_met} for figure in judged],
        }
        file.write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(0 if is_met or quick else 1)


if __name__ == "__main__":
    main()
