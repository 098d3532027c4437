"""The `asyncfc-mcp` command and its sub-commands. What each one needs is imported when it runs, to start fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asyncfc_mcp import __version__
from asyncfc_mcp.cli.ages import age_s
from asyncfc_mcp.cli.network import NetworkOptions, network_options


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="asyncfc-mcp")
def main() -> None:
    """Give any MCP assistant asynchronous function calling."""


@main.command(context_settings={"ignore_unknown_options": False})
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="An `mcpServers` JSON file, as MCP clients use it."
)
@click.option("--mode", type=click.Choice(["auto", "async", "sync"]), help="Default mode of every tool.")
@click.option("--inline-wait-s", type=float, help="Default inline wait, in seconds.")
@click.option("--await-cap-s", type=float, help="The longest wait inside one request, in seconds.")
@click.option("--store", help="Where futures outlive the gateway: sqlite (default), sqlite:///PATH, or memory.")
@click.option("--transport", type=click.Choice(["stdio", "http", "sse"]), default="stdio", show_default=True)
@network_options
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def serve(
    *,
    config_file: Path | None,
    mode: str | None,
    inline_wait_s: float | None,
    await_cap_s: float | None,
    store: str | None,
    transport: str,
    log_level: str,
    command: tuple[str, ...],
    **network: Any,
) -> None:
    """Serve MCP in front of the servers of a file, or of one server: serve -- COMMAND ARGS.

    On stdio, or with --transport http at /mcp, or with --transport sse at /sse.
    """
    from asyncfc_mcp.cli.commands import run_serve

    flags = {"mode": mode, "inline_wait_s": inline_wait_s, "await_cap_s": await_cap_s, "store": store}
    overrides = {key: value for key, value in flags.items() if value is not None}
    if (config_file is None) == (not command):
        raise click.UsageError("say either --config FILE or -- COMMAND ARGS")
    options = NetworkOptions(**network)
    if transport == "stdio" and options.given:
        raise click.UsageError(f"{options.given[0]} needs --transport http or sse")
    run_serve(config_file, command, overrides, level=log_level, transport=transport, network=options)


@main.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The file whose gateways use the store; else the default store.",
)
@click.option("--store", help="The store, in place of the one that the file names: sqlite or sqlite:///PATH.")
@click.option("--all", "has_all", is_flag=True, help="Everything that has settled, not only what has expired.")
@click.option(
    "--older-than",
    "older_than_s",
    metavar="AGE",
    callback=age_s,
    help="What settled longer ago than that: 30m, 12h, 7d.",
)
def purge(*, config_file: Path | None, store: str | None, has_all: bool, older_than_s: float | None) -> None:
    """Delete futures from the store, also while gateways use it: those that have expired, or more."""
    from asyncfc_mcp.cli.purge import run_purge

    if has_all and older_than_s is not None:
        raise click.UsageError("say either --all or --older-than")
    run_purge(config_file, store, has_all=has_all, older_than_s=older_than_s)


@main.group()
def tools() -> None:
    """Tools that have changed since they were first used."""


@tools.command("list")
def list_tools() -> None:
    """Show what has changed in each of them."""
    from asyncfc_mcp.cli.tools import list_changed

    list_changed()


@tools.command("accept")
@click.argument("server")
@click.argument("tool", required=False)
def accept_tools(*, server: str, tool: str | None) -> None:
    """Accept what the tools of SERVER, or one TOOL of it, say now. A gateway that runs takes it up by itself."""
    from asyncfc_mcp.cli.tools import accept_changed

    accept_changed(server, tool)


@main.command()
@click.option("--speed", type=click.FloatRange(0.25, 20), default=1.0, show_default=True, help="How fast time runs.")
def demo(*, speed: float) -> None:
    """See calls overlap: one scripted agent, three ways, on small bundled servers. No keys, no network."""
    from asyncfc_mcp.cli.commands import run_demonstration

    run_demonstration(speed)
