"""`asyncfc-mcp tools`: look at tools that have changed since they were first used, and accept what they say now."""

from __future__ import annotations

import difflib
import json
import os

import click

from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.downstream.pins import ChangedTool, Definition, accept, changed_tools


def list_changed() -> None:
    """Print what has changed and is not accepted yet."""
    changed = changed_tools(state_folder(os.environ))
    if not changed:
        click.echo("No tool has changed since it was first used.")
    for one in changed:
        click.echo(f"{_named(one)} has changed: {one.in_words}")
        click.echo("\n".join(f"    {line}" for line in _difference(one)))


def accept_changed(server: str, tool: str | None) -> None:
    """Accept what the tools of a server, or one of them, say now.

    Raises:
        click.ClickException: nothing of it has changed.
    """
    accepted = accept(state_folder(os.environ), server, tool)
    if not accepted:
        what = f"server {server!r}" if tool is None else f"tool {tool!r} of server {server!r}"
        waiting = ", ".join(sorted({_named(one) for one in changed_tools(state_folder(os.environ))})) or "nothing"
        raise click.ClickException(f"no change of {what} waits to be accepted; waiting: {waiting}")
    for one in accepted:
        click.echo(f"{_named(one)} is accepted as it is now: {one.in_words}")


def _named(one: ChangedTool) -> str:
    # a terminal obeys control characters, and the name is the server's
    return f"{one.server}: {json.dumps(one.tool)[1:-1]}"


def _difference(one: ChangedTool) -> list[str]:
    before, after = _lines(one.before), _lines(one.after)
    return list(difflib.unified_diff(before, after, "when first used", "now", lineterm=""))


def _lines(definition: Definition) -> list[str]:
    return json.dumps(definition, indent=2, sort_keys=True).splitlines()
