"""Runs the chaos suite: random programs under faults, in runs of a minute each, until the time is over."""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import get_args

import anyio
import click

from tests.chaos.episode import Times, play
from tests.chaos.history import History
from tests.chaos.plan import Disk, Plan, Plant

EPISODE_S = 60.0
DISKS: tuple[Disk, ...] = ("", "full", "", "", "", "full", "", "limit")
"""What becomes of the store's room in one run after the other: what it lets go must not hide what it loses."""


@click.command()
@click.option("--minutes", type=float, default=5.0, show_default=True, help="How long it all takes.")
@click.option("--seed", help="Of the programs and the faults; by chance if it is not given.")
@click.option("--pause-s", type=float, default=1.5, show_default=True, help="Between two faults, on average.")
@click.option("--real/--no-real", default=True, help="Whether other people's servers take part, where installed.")
@click.option("--plant", type=click.Choice([one for one in get_args(Plant) if one]), help="A fault that must be found.")
@click.option("--small-disk", type=click.Path(path_type=Path), help="Where stores go: a disk that may be filled up.")
@click.option("--disk", type=click.Choice([one for one in get_args(Disk) if one]), help="The same in every run.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where logs go.  [default: a temporary one]")
def main(
    *,
    minutes: float,
    seed: str | None,
    pause_s: float,
    real: bool,
    plant: Plant | None,
    small_disk: Path | None,
    disk: Disk | None,
    folder: Path | None,
) -> None:
    """Kill, freeze, corrupt and disconnect the gateway and its servers, and see that every promise is kept.

    Ends with 1 if one was not.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything it has started ends with it
    seed = seed or secrets.token_hex(4)
    folder = folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"seed {seed}, logs in {folder}")
    totals: Counter[str] = Counter()
    logged: Counter[str] = Counter()
    violations, slowest_s = 0, 0.0
    chaos_s, number = 0.0, 0
    memory_mb: list[list[tuple[float, float]]] = []
    started_at = time.monotonic()
    while (left_s := minutes * 60 - (time.monotonic() - started_at)) > 0:
        number += 1
        episode_s = min(EPISODE_S, left_s)
        place = folder / f"{number:03}"
        place.mkdir()
        room = disk or DISKS[(number - 1) % len(DISKS)]
        plan = Plan(place, f"{seed}/{number}", plant or "", has_real_servers=real, disk=room, small_disk=small_disk)
        history, world = anyio.run(play, plan, Times(episode_s, pause_s))
        chaos_s += episode_s
        memory_mb.append(history.memory_mb)
        totals += history.counts
        logged += world.logged
        violations += len(history.violations)
        slowest_s = max(slowest_s, history.slowest_s)
        history.close()
        click.echo(f"run {number}: {history.counts['calls']} calls, {len(history.violations)} violations")
        report_violations(history)
    took_s = time.monotonic() - started_at
    click.echo(f"{took_s / 60:.1f} minutes, {chaos_s / 60:.1f} of them under faults; {number} runs; seed {seed}")
    click.echo(f"slowest answer {slowest_s:.1f} s")
    for title, measured in (("first", memory_mb[0]), ("last", memory_mb[-1])):
        click.echo(f"memory of the gateways in the {title} run, in MB, fresh and at rest afterwards: {measured}")
    for title, counts in (("Counted", totals), ("Logged by the gateways", logged)):
        click.echo(f"{title}:")
        for name, count in sorted(counts.items(), key=lambda item: (not item[0].startswith("fault"), item[0])):
            click.echo(f"  {count:7} {name}")
    click.echo(f"violations: {violations}")
    sys.exit(1 if violations else 0)


def report_violations(history: History) -> None:
    """Each with the history of the calls that it is about."""
    for violation in history.violations:
        click.echo(f"VIOLATION {violation.promise}: {violation.fact} {' '.join(violation.calls)}")
        for call in violation.calls:
            click.echo(history.story(call))


if __name__ == "__main__":
    main()
