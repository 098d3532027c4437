"""`asyncfc-mcp doctor`: what is wrong with each server, and how to mend it."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from asyncfc_mcp.cli.files import chosen_file
from asyncfc_mcp.cli.interrupts import run_interruptible
from asyncfc_mcp.cli.tables import harmless
from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.inspection.desktop import desktop_environ, desktop_path, living_in
from asyncfc_mcp.inspection.doctor import Question, Report, examine
from asyncfc_mcp.inspection.findings import Finding, Severity
from asyncfc_mcp.inspection.reading import Reading, read
from asyncfc_mcp.inspection.servers import ListedServer
from asyncfc_mcp.telemetry.logs import configure_logs

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


def run_doctor(
    config: Path | None, server: str | None, *, client: str | None, timeout_s: float, is_gui: bool, as_json: bool
) -> None:
    """Start the servers, and print what was found; exit code 1 when something of it is an error, 2 without a file."""
    configure_logs("critical")  # what they say is in the findings
    file = chosen_file(config)
    environ = desktop_environ(os.environ) if is_gui else dict(os.environ)
    terminal_path = os.environ.get("PATH", "") if is_gui else ""
    question = Question(client=client, timeout_s=timeout_s, terminal_path=terminal_path)
    reading = read(file, environ)
    reading = reading if server is None else reading.only(server)
    if not as_json and sys.stderr.isatty():
        click.echo(f"starting {_counted(len(reading.config.servers), 'server')} …", err=True)
    with living_in(environ) if is_gui else nullcontext():
        report = run_interruptible(partial(examine, reading, question, environ, state_folder=state_folder(os.environ)))
    if as_json:
        click.echo(json.dumps(_document(file, reading, report, is_gui=is_gui), indent=2))
    else:
        _print(file, reading, report, is_gui=is_gui)
    sys.exit(0 if report.is_well else 1)


def _document(file: Path, reading: Reading, report: Report, *, is_gui: bool) -> dict[str, Any]:
    counts = Counter(finding.severity for finding in report.findings)
    return {
        "file": str(file),
        "gui": is_gui,
        "servers": [
            *(_facts(server) for server in report.servers),
            *({"server": key, "state": "not started"} for key in reading.missing),
        ],
        "findings": [asdict(finding) for finding in report.findings],
        "counts": {severity.value: counts[severity] for severity in Severity},
    }


def _facts(server: ListedServer) -> dict[str, Any]:
    status = server.status
    return {
        "server": server.key,
        "state": "ready" if server.ready_s is not None else "failed",
        "ready_s": None if server.ready_s is None else round(server.ready_s, 3),
        "tools": len(server.tools),
        "protocol_version": status.protocol_version,
        "name": status.server_name,
        "version": status.server_version,
    }


def _print(file: Path, reading: Reading, report: Report, *, is_gui: bool) -> None:
    click.echo(f"{file}, {_counted(len(report.servers) + len(reading.missing), 'server')}{_surroundings(is_gui)}\n")
    width = max((len(server.key) for server in report.servers), default=0)
    for server in report.servers:
        click.echo(harmless(f"  {server.key:{width}}  {_in_words(server)}"))
    for key in reading.missing:
        click.echo(harmless(f"  {key:{width}}  not started"))
    for line in _lines(report.findings):
        click.echo(line)
    click.echo(f"\n{_summary(report.findings)}")


def _surroundings(is_gui: bool) -> str:  # noqa: FBT001 - one fact in, one text out
    if not is_gui:
        return ""
    path = desktop_path()
    return f", as a program with windows starts them, with the PATH {path}" if path else ", as in a terminal"


def _in_words(server: ListedServer) -> str:
    status = server.status
    if server.ready_s is None:
        return "not up"
    itself = " ".join(word for word in (status.server_name, status.server_version) if word)
    said = f"MCP {status.protocol_version}{f', {itself}' if itself else ''}"
    return f"ready in {server.ready_s:.1f} s, {_counted(len(server.tools), 'tool')}, {said}"


def _lines(findings: tuple[Finding, ...]) -> Iterator[str]:
    for finding in findings:
        head = click.style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
        whose = f"{finding.server}: " if finding.server else ""
        yield f"\n{head} {harmless(f'{whose}{finding.fact}')} [{finding.code}]"
        yield f"    {harmless(finding.remedy)}"


def _summary(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "Nothing is wrong."
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(_counted(counts[severity], severity.value) for severity in Severity if counts[severity])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
