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
from tests.chaos.world import Plan, Plant

EPISODE_S = 60.0
"""One run in four also fills the disk: what the store lets go then must not hide what it loses otherwise."""


@click.command()
@click.option("--minutes", type=float, default=5.0, show_default=True, help="How long programs and faults run.")
@click.option("--seed", help="Of the programs and the faults; by chance if it is not given.")
@click.option("--pause-s", type=float, default=1.5, show_default=True, help="Between two faults, on average.")
@click.option("--real/--no-real", default=True, help="Whether other people's servers take part, where installed.")
@click.option("--plant", type=click.Choice([one for one in get_args(Plant) if one]), help="A fault that must be found.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where logs go.  [default: a temporary one]")
def main(
    *, minutes: float, seed: str | None, pause_s: float, real: bool, plant: Plant | None, folder: Path | None
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
    left_s, number = minutes * 60, 0
    started_at = time.monotonic()
    while left_s > 0:
        number += 1
        place = folder / f"{number:03}"
        place.mkdir()
        plan = Plan(place, f"{seed}/{number}", plant or "", has_real_servers=real, fills_disk=number % 4 == 0)
        history, world = anyio.run(play, plan, Times(min(EPISODE_S, left_s), pause_s))
        left_s -= EPISODE_S
        totals += history.counts
        logged += world.logged
        violations += len(history.violations)
        slowest_s = max(slowest_s, history.slowest_s)
        history.close()
        click.echo(f"run {number}: {history.counts['calls']} calls, {len(history.violations)} violations")
        report_violations(history)
    click.echo(f"{(time.monotonic() - started_at) / 60:.1f} minutes; slowest answer {slowest_s:.1f} s; seed {seed}")
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
