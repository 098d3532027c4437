"""All that can be found out about the servers of a configuration by starting them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.inspection.addresses import address_findings
from asyncfc_mcp.inspection.desktop import desktop_findings
from asyncfc_mcp.inspection.findings import Finding, Severity, in_order
from asyncfc_mcp.inspection.hosts import Host, chosen_hosts
from asyncfc_mcp.inspection.reading import Reading
from asyncfc_mcp.inspection.schemas import schema_findings
from asyncfc_mcp.inspection.servers import ListedServer, Start, started
from asyncfc_mcp.inspection.sharing import gateway_findings, sharing_findings
from asyncfc_mcp.inspection.starts import health_findings, start_findings
from asyncfc_mcp.inspection.tools import number_findings, tool_findings


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    servers: tuple[ListedServer, ...]
    findings: tuple[Finding, ...]
    """The worst first."""

    @property
    def is_well(self) -> bool:
        """Whether nothing is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know."""

    client: str | None = None
    """The host that has to take it all in; None: each that is known, and then it is no error."""
    timeout_s: float = 60.0
    terminal_path: str = ""
    """Where else commands may be found, when the environment is not that of the terminal."""


async def examine(
    reading: Reading, question: Question, environ: Mapping[str, str], *, state_folder: Path | None = None
) -> Report:
    """Start the servers and say what is wrong with them.

    Raises:
        GatewayError: two tools were given one name in the configuration.
    """
    entries = reading.config.servers
    start = await started(reading.config, question.timeout_s, state_folder=state_folder)
    findings = [*reading.findings]
    findings += await _of_addresses(entries, start)
    findings += _of_all(entries, start, question, environ)
    return Report(start.servers, in_order(findings, reading.servers))


async def _of_addresses(entries: Sequence[ServerEntry], start: Start) -> list[Finding]:
    found: list[Finding] = []

    async def look(transport: RemoteEntry, server: ListedServer) -> None:
        found.extend(await address_findings(transport, server))

    async with anyio.create_task_group() as tasks:
        for entry, server in zip(entries, start.servers, strict=True):
            if isinstance(entry.transport, RemoteEntry):
                tasks.start_soon(look, entry.transport, server)
    return found


def _of_all(
    entries: Sequence[ServerEntry], start: Start, question: Question, environ: Mapping[str, str]
) -> Iterator[Finding]:
    hosts = chosen_hosts(question.client)
    is_chosen = question.client is not None
    for entry, server in zip(entries, start.servers, strict=True):
        if isinstance(entry.transport, StdioEntry):
            yield from start_findings(entry.transport, server, environ, question.terminal_path)
            yield from desktop_findings(entry, environ)
        yield from _of_one(entry, server, hosts, is_chosen=is_chosen)
    for collision in start.collisions:
        remedy = "set another `prefix` for one of the servers, or a `name` for one of the tools"
        yield Finding("", Severity.ERROR, "names_collide", collision, remedy)
    yield from number_findings(start.servers, hosts, is_chosen=is_chosen)
    yield from sharing_findings(entries, start.servers)


def _of_one(entry: ServerEntry, server: ListedServer, hosts: Sequence[Host], *, is_chosen: bool) -> Iterator[Finding]:
    yield from health_findings(server)
    yield from gateway_findings(server)
    yield from tool_findings(entry, server, hosts, is_chosen=is_chosen)
    yield from schema_findings(server.key, server.tools, hosts, is_chosen=is_chosen)
