"""The `asyncfc-mcp` command and its sub-commands. What each one needs is imported when it runs, to start fast."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from asyncfc_mcp import __version__
from asyncfc_mcp.cli.ages import Seconds, age_s
from asyncfc_mcp.cli.endings import Commands
from asyncfc_mcp.cli.network import NetworkOptions, network_options
from asyncfc_mcp.inspection.hosts import HOSTS

FUTURE_STATES = ("pending", "running", "input_required", "cancelling", "resolved", "failed", "cancelled")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="An `mcpServers` JSON file.  [default: the one that `init` makes]",
)
store_config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The file whose gateways use the store; else the default store.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="asyncfc-mcp")
def main() -> None:
    """Give any MCP assistant asynchronous function calling."""
    if os.environ.get("OTEL_PROPAGATORS"):  # read by what most commands import
        from asyncfc_mcp.telemetry.propagators import settle_propagators

        settle_propagators(os.environ)
    if "OTEL_PYTHON_TRACER_PROVIDER" in os.environ:
        from asyncfc_mcp.telemetry.tracer_provider import settle_tracer_provider

        settle_tracer_provider(os.environ)


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
    "--dashboard",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Show the calls of stdio in a browser, on this machine alone; 0 takes a free port.",
)
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
    dashboard: int | None,
    log_level: str,
    command: tuple[str, ...],
    **network: Any,
) -> None:
    """Serve MCP in front of the servers of a file, or of one.

    One server is given by its command: serve -- COMMAND ARGS. On stdio, or with --transport http at /mcp, or with
    --transport sse at /sse.
    """
    from asyncfc_mcp.cli.commands import run_serve

    flags = {"mode": mode, "inline_wait_s": inline_wait_s, "await_cap_s": await_cap_s, "store": store}
    flags |= {"dashboard": dashboard}
    overrides = {key: value for key, value in flags.items() if value is not None}
    if (config_file is None) == (not command):
        raise click.UsageError("say either --config FILE or -- COMMAND ARGS")
    options = NetworkOptions(**network)
    if transport == "stdio" and options.given:
        raise click.UsageError(f"{options.given[0]} needs --transport http or sse")
    if transport != "stdio" and dashboard is not None:
        raise click.UsageError(f"--dashboard is for stdio; over {transport} it is at /dashboard of the same port")
    run_serve(config_file, command, overrides, level=log_level, transport=transport, network=options)


@main.command()
@store_config_option
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
    """Delete stored futures that have expired, or more. Gateways may use the store meanwhile."""
    from asyncfc_mcp.cli.purge import run_purge

    if has_all and older_than_s is not None:
        raise click.UsageError("say either --all or --older-than")
    run_purge(config_file, store, has_all=has_all, older_than_s=older_than_s)


@main.command()
@config_option
@click.option("--server", help="Only this server.")
@click.option("--client", type=click.Choice(list(HOSTS)), help="The host that has to take in all the tools.")
@click.option("--gui", "is_gui", is_flag=True, help="Start them as a program with windows would, with its short PATH.")
@click.option("--timeout", "timeout_s", type=Seconds(1), default=60.0, show_default=True, help="Seconds for a start.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def doctor(
    *,
    config_file: Path | None,
    server: str | None,
    client: str | None,
    is_gui: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Start each server, and say what is wrong and how to mend it. Exit code 1: something is."""
    from asyncfc_mcp.cli.doctor import run_doctor

    run_doctor(config_file, server, client=client, timeout_s=timeout_s, is_gui=is_gui, as_json=as_json)


@main.command()
@config_option
@click.option("--server", help="Only this server.")
@click.option("--write", "writes", is_flag=True, help="Write the labels into the file, after showing the difference.")
@click.option(
    "--explain",
    nargs=2,
    metavar="CALL CALL",
    help='Say why two calls may or may not overlap, each as \'TOOL {"argument": "value"}\'.',
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def annotate(
    *, config_file: Path | None, server: str | None, writes: bool, explain: tuple[str, str] | None, as_json: bool
) -> None:
    """Propose labels for tools that have none, with the reasons. What it is unsure of stays at the root."""
    from asyncfc_mcp.cli.annotate import run_annotate, run_explain

    if explain is None:
        run_annotate(config_file, server, writes=writes, as_json=as_json)
    elif writes:
        raise click.UsageError("say either --write or --explain")
    else:
        run_explain(config_file, server, explain, as_json=as_json)


@main.command()
@click.argument("first")
@click.argument("second")
@config_option
@click.option("--server", help="Start only this server.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def explain(*, first: str, second: str, config_file: Path | None, server: str | None, as_json: bool) -> None:
    """Say why two calls may or may not overlap. Each is 'TOOL {"argument": "value"}'; nothing is called."""
    from asyncfc_mcp.cli.annotate import run_explain

    run_explain(config_file, server, (first, second), as_json=as_json)


@main.command()
@click.argument("server", required=False)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="How many lines.")
def logs(*, server: str | None, lines: int, follows: bool) -> None:
    """Show what SERVER wrote on stderr, also in earlier runs. Without SERVER: which ones have a log."""
    from asyncfc_mcp.cli.logs import run_logs

    run_logs(server, lines=lines, follows=follows)


@main.group(invoke_without_command=True)
@config_option
@click.option("--server", help="Only this server.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def tools(context: click.Context, *, config_file: Path | None, server: str | None, as_json: bool) -> None:
    """List all tools with their modes and labels. Or look at those that have changed since they were first used."""
    if context.invoked_subcommand is not None:
        return
    from asyncfc_mcp.cli.tool_list import run_tools

    run_tools(config_file, server, as_json=as_json)


@main.command()
@click.argument("tool")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--args", "whole", metavar="JSON", help="All arguments as a JSON object; - reads it from stdin.")
@config_option
@click.option("--url", help="A gateway that runs, instead of one of our own: http://127.0.0.1:8765/mcp, say.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Holds the bearer token for --url.")
@click.option("--wait", "wait_s", type=Seconds(0), help="Seconds to wait for the result.  [default: until it is there]")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON document.")
def call(
    *,
    tool: str,
    arguments: tuple[str, ...],
    whole: str | None,
    config_file: Path | None,
    url: str | None,
    token_file: Path | None,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Call TOOL through a gateway. Its result is on stdout, how its future stands on stderr; Ctrl-C cancels it."""
    from asyncfc_mcp.cli.call import Wish, run_call

    if url is not None and config_file is not None:
        raise click.UsageError("say either --config or --url")
    if token_file is not None and url is None:
        raise click.UsageError("--token-file needs --url")
    run_call(Wish(tool, arguments, whole, wait_s, as_json), config_file, url, token_file)


@tools.command("changed")
def changed_tools() -> None:
    """Show what has changed in tools since they were first used."""
    from asyncfc_mcp.cli.tools import list_changed

    list_changed()


@tools.command("list")
@click.pass_context
def list_tools(context: click.Context) -> None:
    """The same as `tools` alone, with the options of that before it."""
    from asyncfc_mcp.cli.tool_list import run_tools

    given = context.parent.params if context.parent is not None else {}
    run_tools(given["config_file"], given["server"], as_json=given["as_json"])


@tools.command("accept")
@click.argument("server")
@click.argument("tool", required=False)
def accept_tools(*, server: str, tool: str | None) -> None:
    """Accept what the tools of SERVER, or one TOOL of it, say now. A gateway that runs takes it up by itself."""
    from asyncfc_mcp.cli.tools import accept_changed

    accept_changed(server, tool)


@main.command("dashboard")
@click.option("--print", "prints_only", is_flag=True, help="Print the address, and open no browser.")
@click.argument("pid", type=int, required=False)
def dashboard_command(*, prints_only: bool, pid: int | None) -> None:
    """Open the dashboard of a running gateway. It is that of PID, or of the one that was started last."""
    from asyncfc_mcp.cli.opening import open_dashboard

    open_dashboard(pid, prints_only=prints_only)


@main.command()
@store_config_option
@click.option("--all", "has_all", is_flag=True, help="Those that have settled too, also of gateways that have ended.")
@click.option("--state", type=click.Choice(FUTURE_STATES), help="Only those in this state.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.argument("token", required=False)
def futures(*, config_file: Path | None, has_all: bool, state: str | None, as_json: bool, token: str | None) -> None:
    """Show the futures of running gateways, or the one of TOKEN. Values and arguments are not shown."""
    from asyncfc_mcp.cli.futures import Wanted, run_futures

    run_futures(config_file, Wanted(has_all, state, token), as_json=as_json)


@main.command()
@click.option("--watch", "watches", is_flag=True, help="Again every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def stats(*, watches: bool, as_json: bool) -> None:
    """Show what running gateways did and saved. Calls, how long they waited and ran, failures, servers."""
    from asyncfc_mcp.cli.stats import run_stats

    if watches and as_json:
        raise click.UsageError("say either --watch or --json")
    run_stats(watches=watches, as_json=as_json)


@main.command()
@click.option("--yes", "does_it", is_flag=True, help="Do it without asking. In a script, init only shows it without.")
@click.option("--client", "clients", multiple=True, metavar="NAME", help="Only this client: cursor, vscode, codex, ...")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server; can be repeated.")
@click.option("--except", "excepted", multiple=True, metavar="NAME", help="Not this server; can be repeated.")
@click.option("--rewrite-rules", is_flag=True, help="Add permission rules for the new names of tools.")
@click.option("--no-start", is_flag=True, help="Do not start the servers to list their tools afterwards.")
@click.option("--undo", is_flag=True, help="Put everything back that init has changed.")
def init(
    *,
    does_it: bool,
    clients: tuple[str, ...],
    servers: tuple[str, ...],
    excepted: tuple[str, ...],
    rewrite_rules: bool,
    no_start: bool,
    undo: bool,
) -> None:
    """Put the gateway before the servers of your MCP clients. It finds them, asks, and keeps the way back."""
    from asyncfc_mcp.adoption.planning import Choice
    from asyncfc_mcp.cli.init import Options, run_init, run_undo

    if not undo:
        choice = Choice(clients, servers, excepted, rewrites_rules=rewrite_rules)
        run_init(Options(choice, does_it=does_it, starts_servers=not no_start))
    elif clients or servers or excepted or rewrite_rules:
        raise click.UsageError("--undo puts everything back: it takes no choice of clients, servers or rules")
    else:
        run_undo()


@main.command()
def off() -> None:
    """Take the gateway out of every client's file, for now. The servers are there again."""
    from asyncfc_mcp.cli.init import run_off

    run_off()


@main.command("on")
def switch_on() -> None:
    """Put the gateway back where `off` took it out."""
    from asyncfc_mcp.cli.init import run_on

    run_on()


@main.command()
@click.option("--speed", type=click.FloatRange(0.25, 20), default=1.0, show_default=True, help="How fast time runs.")
def demo(*, speed: float) -> None:
    """See calls overlap: a scripted agent on small bundled servers. It runs three ways; no keys, no network."""
    from asyncfc_mcp.cli.commands import run_demonstration

    run_demonstration(speed)
