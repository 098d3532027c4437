"""A configuration as doctor reads it: a variable without a value costs its server, and not the whole file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncfc_mcp.config.load import SERVER_LISTS, ConfigurationError, LoadedConfig, load_file
from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.config.problems import Problem, dotted
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.inspection.findings import Finding, Severity

_MISSING = re.compile(r"\$\{(?:env:)?(?P<name>[A-Za-z_]\w*)\}, which has no value here")
_STAND_INS = ("1", "http://127.0.0.1:1")
"""In place of what is missing, so that the rest can be read; no server is started with them. A `url` takes the last."""


class NoSuchServer(GatewayError):
    """A server was asked for that the file does not have."""

    def __init__(self, server: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no server {server!r}; the file has {', '.join(known)}")
        self.server = server


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and what was found while doing so."""

    config: GatewayConfig
    """Without the servers that cannot be started for want of a variable."""
    missing: tuple[str, ...]
    """The keys of these."""
    findings: tuple[Finding, ...]

    @property
    def servers(self) -> list[str]:
        """The keys of all servers."""
        return [*(entry.key for entry in self.config.servers), *self.missing]

    def only(self, server: str) -> Reading:
        """The same with one server alone.

        Raises:
            NoSuchServer: it is not there.
        """
        if server not in self.servers:
            raise NoSuchServer(server, self.servers)
        return Reading(
            _alone(self.config, server),
            tuple(key for key in self.missing if key == server),
            tuple(finding for finding in self.findings if finding.server == server),
        )


def narrowed(config: GatewayConfig, server: str | None) -> GatewayConfig:
    """The configuration with one server alone; with all of them for None.

    Raises:
        NoSuchServer: it is not there.
    """
    if server is None:
        return config
    known = [entry.key for entry in config.servers]
    if server not in known:
        raise NoSuchServer(server, known)
    return _alone(config, server)


def _alone(config: GatewayConfig, server: str) -> GatewayConfig:
    return config.model_copy(update={"servers": tuple(entry for entry in config.servers if entry.key == server)})


def read(path: Path, environ: Mapping[str, str]) -> Reading:
    """Read a file.

    Raises:
        GatewayError: it cannot be used at all.
    """
    try:
        loaded = load_file(path, environ)
    except ConfigurationError as error:
        names = [_MISSING.fullmatch(problem.value) for problem in error.problems]
        variables = {found["name"] for found in names if found is not None}
        if len(variables) == 0 or None in names:
            raise
        loaded = _loaded_without(path, environ, variables, error)
        return _reading(loaded, error.problems)
    return _reading(loaded, ())


def _loaded_without(
    path: Path, environ: Mapping[str, str], variables: set[str], error: ConfigurationError
) -> LoadedConfig:
    for stand_in in _STAND_INS:
        try:
            return load_file(path, {**environ, **dict.fromkeys(variables, stand_in)})
        except ConfigurationError:  # it did not fit everywhere
            continue
    raise error


def _reading(loaded: LoadedConfig, problems: Sequence[Problem]) -> Reading:
    config = loaded.config
    owners = {problem.key: _owner(problem.key, config) for problem in problems}
    findings = [
        Finding(
            owners[problem.key],
            Severity.ERROR,
            "variable_missing",
            f"{problem.key} is {problem.value}, so that no gateway starts with this file",
            f"set it where the host is started, or allow for its absence: {problem.allowed}",
        )
        for problem in problems
    ]
    findings += [_warning(text, config) for text in loaded.warnings]
    missing = tuple(entry.key for entry in config.servers if entry.key in owners.values())
    servers = tuple(entry for entry in config.servers if entry.key not in missing)
    return Reading(config.model_copy(update={"servers": servers}), missing, tuple(findings))


def _warning(text: str, config: GatewayConfig) -> Finding:
    """Something that reading passed over."""
    server = _owner(text.partition(": ")[0], config)
    if text.endswith("it is this gateway itself"):
        remedy = "that is well where the file is a host's own; in a file for the gateway, take it out"
        return Finding(server, Severity.NOTE, "gateway_itself", text, remedy)
    remedy = "correct the entry, or leave it as it is if this is meant"
    return Finding(server, Severity.NOTE, "configuration", text, remedy)


def _owner(key: str, config: GatewayConfig) -> str:
    """The server whose entry holds this place; empty for what stands at the top, or in an entry that is skipped."""
    places = {dotted((*at, entry.key)): entry.key for entry in config.servers for at in SERVER_LISTS}
    return next((server for place, server in places.items() if key == place or key.startswith(f"{place}.")), "")
