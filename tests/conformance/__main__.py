"""Measures conformance and prints what the tests assert: each scenario, against the fixture and through the gateway."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio
import click

from tests.conformance.legs import LEGS, Leg, Row, measure
from tests.conformance.suite import PACKAGES, WITHOUT_PACKAGES

MARKS = {True: "passes", False: "fails", None: ""}


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...", type=click.Choice([leg.name for leg in LEGS]))
def main(names: tuple[str, ...]) -> None:
    """Run the conformance suite through the gateway: all runs, or these (2025-11-25, 2026-07-28, tasks).

    Ends with 1 if a scenario does not come to what tests/conformance/expected.toml says.
    """
    if not PACKAGES:
        raise click.ClickException(f"{WITHOUT_PACKAGES}; ./dev conformance sets it up")
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    rows: list[Row] = []
    for leg in LEGS:
        if leg.name in names or not names:
            found = anyio.run(measure, leg, folder / leg.name)
            click.echo(report(leg, found))
            rows += found
    click.echo(f"What each check said: {folder}")
    sys.exit(1 if any(row.wrong for row in rows) else 0)


def report(leg: Leg, rows: list[Row]) -> str:
    counted = [row for row in rows if row.counts]
    scores = [f"{sum(row.through for row in counted)} of {len(counted)} through the gateway"]
    if not leg.judges_tasks:
        scores.insert(0, f"{sum(row.direct is True for row in counted)} directly")
    lines = [f"{row.scenario:48}{MARKS[row.direct]:9}{MARKS[row.through]:9}{row.wrong}" for row in rows]
    table = [f"{'scenario':48}{'direct':9}through", *(line.rstrip() for line in lines)]
    return "\n".join([f"{leg.name}: {', '.join(scores)}", *table, ""])


if __name__ == "__main__":
    main()
