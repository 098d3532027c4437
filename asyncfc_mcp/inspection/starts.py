"""How a server that we start came up, or why it did not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.downstream.links.secrets import names_secret
from asyncfc_mcp.inspection.clues import last_words, quoted, remedy_for
from asyncfc_mcp.inspection.commands import command_findings, path_findings
from asyncfc_mcp.inspection.findings import Finding, Severity
from asyncfc_mcp.inspection.servers import ListedServer

SLOW_S = 3.0
TOO_SLOW_S = 10.0
"""Hosts ask for the list of tools once, when they start, and some of them wait no longer."""
OLD_VERSIONS = tuple(version for version in HANDSHAKE_PROTOCOL_VERSIONS if version < LATEST_HANDSHAKE_VERSION)

_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|(your|my|insert|enter|put)[-_ ].*|x{3,}|\.{3}|…|changeme|change[-_]me|todo|.*[-_]here|replace.*",
    re.IGNORECASE,
)
_EXPLAINS = frozenset({"folder_missing", "command_not_found", "not_executable", "script_missing"})
"""Findings that leave nothing to be said of how the start went."""


def start_findings(
    entry: StdioEntry, server: ListedServer, environ: Mapping[str, str], terminal_path: str
) -> Iterator[Finding]:
    """What is to be said of its start in this environment."""
    yield from _variable_findings(server.key, entry)
    is_up = server.ready_s is not None
    reasons = [*(command_findings(server.key, entry, environ, terminal_path) if not is_up else ())]
    if not reasons:
        reasons = [*path_findings(server.key, entry, is_up=is_up)]
    yield from reasons
    if is_up:
        yield from _noise_findings(server)
    elif not _EXPLAINS.intersection(reason.code for reason in reasons):
        yield failure(server)


def health_findings(server: ListedServer) -> Iterator[Finding]:
    """What is to be said of any server that is up."""
    if server.ready_s is None:
        return
    if server.ready_s > SLOW_S:
        yield Finding(
            server.key,
            Severity.ERROR if server.ready_s > TOO_SLOW_S else Severity.WARNING,
            "slow_start",
            f"it took {server.ready_s:.1f} s to come up (all servers start side by side)",
            "install it once and start the installed program: `npx -y` and `uvx` may look for a newer version at each "
            "start, and a first start downloads it; run doctor again to see whether it was the download",
        )
    version = server.status.protocol_version
    if version in OLD_VERSIONS:
        yield Finding(
            server.key,
            Severity.WARNING if version == OLD_VERSIONS[0] else Severity.NOTE,
            "old_protocol",
            f"it speaks MCP {version}; {LATEST_HANDSHAKE_VERSION} and later can do more",
            "update it: a version in `args` (NAME@1.2.3, NAME==1.2.3) may hold it back",
        )


def failure(server: ListedServer) -> Finding:
    """Why a server is not up."""
    message = (server.status.message or "").partition("; its stderr is in the log")[0]
    if "process exited" in message or "process was ended" in message:
        return _ended(server, message)
    if server.noise and not server.status.message:
        return Finding(
            server.key,
            Severity.ERROR,
            "not_mcp",
            f"it writes text to stdout where only MCP messages may stand, and answers none: {quoted(server.noise)}",
            "if it has a mode for stdio, give it in `args` (often `stdio`, `mcp` or `--stdio`); if it listens on a "
            "port, write `url` and not `command`",
        )
    if not message:
        return Finding(
            server.key,
            Severity.ERROR,
            "no_answer",
            f"it runs, but did not answer in time{last_words(server)}",
            "see that it is an MCP server and speaks over stdio; a first `npx` or `uvx` downloads it and may need more "
            "time: run doctor again with a larger --timeout",
        )
    if "protocol version" in message:
        remedy = f"update it to one that speaks {HANDSHAKE_PROTOCOL_VERSIONS[0]} or later"
        return Finding(server.key, Severity.ERROR, "protocol_unsupported", message, remedy)
    remedy = remedy_for(message, *server.stderr) or "run its command in a terminal, and see what it says there"
    return Finding(server.key, Severity.ERROR, "not_started", f"{message}{last_words(server)}", remedy)


def _ended(server: ListedServer, message: str) -> Finding:
    words = (*server.stderr, *server.noise)
    if not words:
        remedy = "run its command in a terminal to see why; it may want other `args`"
    else:
        remedy = remedy_for(*words) or "mend what it says"
    return Finding(server.key, Severity.ERROR, "exits", f"{message} before it was ready{last_words(server)}", remedy)


def _noise_findings(server: ListedServer) -> Iterator[Finding]:
    if server.noise:
        yield Finding(
            server.key,
            Severity.WARNING,
            "stdout_noise",
            f"it writes to stdout what is no MCP message: {quoted(server.noise[:1])}",
            "have it log to stderr; the gateway drops such lines, but other hosts end the connection over them",
        )


def _variable_findings(server: str, entry: StdioEntry) -> Iterator[Finding]:
    for name, value in entry.env.items():
        if not names_secret(name) or (value.strip() and not _PLACEHOLDER.fullmatch(value.strip())):
            continue
        fact = f"variable {name} is {'a placeholder' if value.strip() else 'empty'}"
        remedy = f"put the real one there, or write ${{{name}}} and set it in the environment"
        yield Finding(server, Severity.WARNING, "variable_empty", fact, remedy)
