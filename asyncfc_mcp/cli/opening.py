"""`asyncfc-mcp dashboard`: opens the dashboard of a running gateway, or says what has none."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.dashboard.directory import RunningGateway, running_gateways
from asyncfc_mcp.dashboard.reading import Seen, address_good_once
from asyncfc_mcp.errors import GatewayError


class NoDashboard(GatewayError):
    """There is nothing to open."""

    def __init__(self, pid: int | None, running: list[RunningGateway]) -> None:
        way_out = 'give it one with `serve --dashboard 0`, or "dashboard": 0 in the "asyncfc" object of its file'
        if not running:
            fact = f"no gateway with process id {pid} runs" if pid is not None else "no gateway runs"
        else:
            fact = f"no dashboard is served by {', '.join(map(gateway_in_words, running))}"
        super().__init__(f"{fact}; {way_out}")
        self.pid = pid


def open_dashboard(pid: int | None, *, prints_only: bool) -> None:
    """Open the page of that gateway, or of the one that was started last; where there is no terminal, say its address.

    Raises:
        click.ClickException: no such gateway has one.
    """
    running = [one for one in running_gateways(state_folder(os.environ)) if pid in (None, one.pid)]
    shown = [(one, one.address) for one in running if one.address is not None]
    if not shown:
        raise click.ClickException(str(NoDashboard(pid, running)))
    gateway, address = shown[-1]
    if not prints_only and sys.stdout.isatty() and _opens(gateway):
        click.echo(f"opened the dashboard of {gateway_in_words(gateway)}")
    else:
        click.echo(address)
    for other, _ in shown[:-1]:
        click.echo(f"another one: `asyncfc-mcp dashboard {other.pid}`, of {gateway_in_words(other)}", err=True)


def _opens(gateway: RunningGateway) -> bool:
    address = address_good_once(gateway)
    if address is None:
        raise click.ClickException(f"{gateway_in_words(gateway)}: {Seen(gateway, None).why_nothing}")
    return webbrowser.open(address)


def gateway_in_words(gateway: RunningGateway) -> str:
    """Which one it is."""
    return f"process {gateway.pid} ({gateway.transport}: {', '.join(gateway.servers)})"
