"""Reads the configuration: a file in any client's dialect or one command, the environment and the flags.

The only reader of the environment for configuration. How the file is read is `document`'s business, how an entry is
written `dialects`', what `${...}` means `expand`'s, and what a setting means for a tool `policy`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, TypeVar, cast

from platformdirs import user_state_path
from pydantic import ValidationError

from asyncfc_mcp.config.dialects import EntryReader, program_name, runs_gateway
from asyncfc_mcp.config.document import read_document
from asyncfc_mcp.config.expand import UnknownVariable, Variables, workspace_of
from asyncfc_mcp.config.models import (
    DEFAULTS,
    GatewayConfig,
    GatewaySettings,
    RemoteEntry,
    ServerEntry,
    ServerSettings,
    SharedSettings,
    StdioEntry,
)
from asyncfc_mcp.config.problems import (
    ConfigurationError,
    Findings,
    Key,
    did_you_mean,
    dotted,
    kind_shown,
    note_invalid,
    shown,
)
from asyncfc_mcp.core.label import BadTemplate, Template
from asyncfc_mcp.errors import GatewayError

__all__ = [
    "INSIDE_MARKER",
    "ConfigurationError",
    "LoadedConfig",
    "RunsBehindItself",
    "from_command",
    "load_document",
    "load_file",
    "load_noting",
    "state_folder",
]

INSIDE_MARKER = "ASYNCFC_INSIDE"
"""The variable that the gateway sets in the environment of the servers it starts."""

COMMAND_LINE = "the command line"
SERVER_LISTS: tuple[tuple[str, ...], ...] = (("mcpServers",), ("servers",), ("mcp", "servers"))
"""Where files list their servers, strongest first: most clients, VS Code's `mcp.json`, VS Code's `settings.json`."""

_NOTHING: Mapping[str, object] = MappingProxyType({})
_Settings = TypeVar("_Settings", GatewaySettings, ServerSettings)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that can be used, and what its user should know about it."""

    config: GatewayConfig
    warnings: tuple[str, ...]


class RunsBehindItself(GatewayError):
    """The gateway was started by a gateway, so that its calls would go round in circles."""

    def __init__(self, fact: str, way_out: str) -> None:
        super().__init__(f"asyncfc-mcp will not run behind itself: {fact}; {way_out}")


def load_file(path: Path, environ: Mapping[str, str], overrides: Mapping[str, object] = _NOTHING) -> LoadedConfig:
    """Read a configuration file; `overrides` are top-level settings from flags, None meaning not given."""
    return load_noting(path, environ, overrides, Findings())


def load_noting(
    path: Path, environ: Mapping[str, str], overrides: Mapping[str, object], findings: Findings
) -> LoadedConfig:
    """Read a configuration file as `load_file` does; also when it cannot be used, `findings` say what was read."""
    _refuse_inside(environ)
    flags = _checked_flags(overrides)
    document = read_document(path, findings)
    loaded = _loaded(path, document, Variables(environ, workspace_of(path)), flags, findings)
    return replace(loaded, config=loaded.config.model_copy(update={"source": path.absolute()}))


def load_document(document: Mapping[str, object], name: str, environ: Mapping[str, str]) -> LoadedConfig:
    """The configuration in a dictionary, which messages call `name`; relative paths are those of this process."""
    _refuse_inside(environ)
    return _loaded(name, document, Variables(environ, Path.cwd()), {}, Findings())


def _loaded(
    path: Path | str,
    document: Mapping[str, object],
    variables: Variables,
    flags: Mapping[str, object],
    findings: Findings,
) -> LoadedConfig:
    at, entries = _server_list(path, document, findings)
    settings = _settings(
        _own_object(document, ("asyncfc",), findings, variables) | dict(flags), ("asyncfc",), findings, GatewaySettings
    )
    servers = tuple(_servers(entries, at, settings, variables, findings))
    findings.check(path)
    _warn_of_idle_flows(settings, servers, findings)
    if not servers:
        skipped = "; ".join(findings.warnings) or "empty"
        raise ConfigurationError(path, dotted(at), f"without a server to run ({skipped})", "at least one server")
    return LoadedConfig(GatewayConfig(servers=servers, settings=settings), tuple(findings.warnings))


def from_command(
    argv: Sequence[str], environ: Mapping[str, str], overrides: Mapping[str, object] = _NOTHING
) -> LoadedConfig:
    """The configuration of one server whose command stands on our own command line, with bare tool names."""
    _refuse_inside(environ)
    if not argv or not argv[0].strip():
        raise ConfigurationError(COMMAND_LINE, "the command after `--`", "missing", "COMMAND [ARGUMENTS]")
    if runs_gateway(argv[0], argv[1:]):
        raise RunsBehindItself("the command after `--` starts it again", "name the server that it should stand before")
    settings = GatewaySettings.model_validate(_checked_flags(overrides))
    transport = StdioEntry(command=argv[0], args=tuple(argv[1:]))
    bare = DEFAULTS.model_copy(update={"prefix": "", "trust": True})
    entry = ServerEntry(
        key=short_name(argv), transport=transport, settings=_resolved(ServerSettings(), (settings, bare))
    )
    return LoadedConfig(GatewayConfig(servers=(entry,), settings=settings), ())


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's tool lists and futures are kept: `ASYNCFC_STATE_FOLDER`, else as the platform has it."""
    chosen = environ.get("ASYNCFC_STATE_FOLDER")
    return Path(chosen) if chosen else user_state_path("asyncfc-mcp", appauthor=False)


def _refuse_inside(environ: Mapping[str, str]) -> None:
    if environ.get(INSIDE_MARKER):
        raise RunsBehindItself(
            f"it was started by a server of another asyncfc-mcp ({INSIDE_MARKER} is set)",
            f"take it out of that configuration, or unset {INSIDE_MARKER} if this is meant",
        )


def _server_list(path: Path | str, document: Mapping[str, object], findings: Findings) -> tuple[Key, dict[str, object]]:
    present = [at for at in SERVER_LISTS if _member(document, at) is not None]
    if not present:
        near = next((name for name in document if did_you_mean(name, ["mcpServers"], likeness=0.8)), None)
        value = f"missing (there is {shown(near)})" if near else "missing"
        raise ConfigurationError(path, "mcpServers", value, "mcpServers, or servers as VS Code writes it")
    at, *others = present
    for other in others:
        findings.warn(other, f"ignored, {dotted(at)} is read")
    entries = _member(document, at)
    if not isinstance(entries, dict):
        raise ConfigurationError(path, dotted(at), kind_shown(entries), "an object from server names to entries")
    for name in document:
        if name != "asyncfc" and did_you_mean(name.lower(), ["asyncfc"], likeness=0.8):
            findings.warn((name,), "ignored; did you mean asyncfc?")
    return at, cast("dict[str, object]", entries)


def _member(holder: object, at: tuple[str, ...]) -> object:
    if not at:
        return holder
    if not isinstance(holder, dict):
        return None
    return _member(cast("dict[str, object]", holder).get(at[0]), at[1:])


def _servers(
    entries: Mapping[str, object], at: Key, top: GatewaySettings, variables: Variables, findings: Findings
) -> Iterator[ServerEntry]:
    for key, raw in entries.items():
        place = (*at, key)
        if not any(character.isalnum() for character in key):
            findings.wrong(place, "a server name without a letter or digit", "a name such as files")
        if not isinstance(raw, dict):
            findings.wrong(place, kind_shown(raw), "an object with a command or a url")
            continue
        reader = EntryReader(cast("dict[str, object]", raw), place, variables, findings)
        reason = reader.reason_to_skip()
        if reason is not None:
            findings.warn(place, reason)
            continue
        transport = reader.transport()
        own_place = (*place, "asyncfc")
        own = _settings(_own_object(reader.raw, own_place, findings, variables), own_place, findings, ServerSettings)
        _note_bad_templates(own, own_place, findings)
        if transport is not None:
            yield ServerEntry(key=key, transport=transport, settings=_resolved(own, (top, _defaults_for(transport))))


def _warn_of_idle_flows(settings: GatewaySettings, servers: Sequence[ServerEntry], findings: Findings) -> None:
    """A rule that fits no server protects nothing, and is most often a typing mistake."""
    keys = [server.key for server in servers]
    for index, rule in enumerate(settings.flows):
        for name, glob in (("from", rule.from_), ("to", rule.to)):
            if not any(fnmatchcase(key, glob) for key in keys):
                meant = did_you_mean(glob, keys)
                findings.warn(("asyncfc", "flows", index, name), f"{shown(glob)} fits no server{meant}")


def _note_bad_templates(own: ServerSettings, at: Key, findings: Findings) -> None:
    for tool, settings in own.tools.items():
        for key, templates in (("reads", settings.reads), ("writes", settings.writes)):
            for index, text in enumerate(templates or ()):
                try:
                    Template.parse(text)
                except BadTemplate as error:
                    place = (*at, "tools", tool, key, index)
                    findings.wrong(place, f"{shown(text)}, which {error.fact}", "such as db/{table} or fs/{path:path}")


def _own_object(holder: Mapping[str, object], at: Key, findings: Findings, variables: Variables) -> dict[str, Any]:
    """The `asyncfc` object of the file or of an entry; a store may have its password in a variable."""
    value = holder.get("asyncfc")
    if value is None:
        return {}
    if not isinstance(value, dict):
        findings.wrong(at, shown(value), "an object of settings")
        return {}
    own = cast("dict[str, Any]", value)
    store = own.get("store")
    if not isinstance(store, str):
        return own
    try:
        return own | {"store": variables.expand(store)}
    except UnknownVariable as error:
        findings.wrong((*at, "store"), f"{error.written}, which has no value here", error.allowed)
        return {}


def _settings(raw: Mapping[str, object], at: Key, findings: Findings, model: type[_Settings]) -> _Settings:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        note_invalid(findings, error, at, model)
        return model()


def _checked_flags(overrides: Mapping[str, object]) -> dict[str, object]:
    """The flags that were given; checked apart from the file, so that a wrong one is not blamed on it."""
    given = {name: value for name, value in overrides.items() if value is not None}
    findings = Findings()
    _settings(given, (), findings, GatewaySettings)
    findings.check(COMMAND_LINE)
    return given


def _defaults_for(transport: StdioEntry | RemoteEntry) -> SharedSettings:
    return DEFAULTS.model_copy(update={"trust": isinstance(transport, StdioEntry)})


def _resolved(own: ServerSettings, levels: Sequence[SharedSettings]) -> ServerSettings:
    """The server's settings, with what it leaves open taken from the first level that says something."""
    filled: dict[str, object] = {}
    for name in SharedSettings.model_fields:
        said = (getattr(level, name) for level in (own, *levels))
        filled[name] = next((value for value in said if value is not None), None)
    return own.model_copy(update=filled)


_RUNNERS = re.compile(r"(npx|npm|pnpm|bunx?|yarn|uvx?|pipx|node|deno|python[\d.]*|py|docker|podman)")
_RUNNER_WORDS = frozenset({"run", "exec", "dlx", "x", "tool"})
_SAYS_NOTHING = frozenset({"index", "main", "mcp", "server", "cli", "app", "dist", "build", "src", "bin", "__main__"})


def short_name(argv: Sequence[str]) -> str:
    """A server's name from its command: `filesystem` for `npx -y @modelcontextprotocol/server-filesystem /data`."""
    words = [argv[0]]
    if _RUNNERS.fullmatch(program_name(argv[0])):
        words = [word for word in argv[1:] if not word.startswith("-") and word not in _RUNNER_WORDS] or words
    parts = [part for part in PureWindowsPath(words[0]).parts if part not in {"/", "\\"}]
    names = [re.sub(r"(?<=.)@.*|[=<>~\[].*|\.(m?js|ts|py|exe|cmd)$", "", part) for part in reversed(parts)]
    name = next((name for name in names if name.lower() not in _SAYS_NOTHING), names[0] if names else "")
    name = re.sub(r"^@|^(mcp[-_])?(server[-_])?|([-_]mcp)?([-_]server)?([-_]mcp)?$", "", name) or name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:24] or "server"
