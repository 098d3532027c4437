"""One server's entry, from the dialect of its client into that of the gateway's file; or why it cannot be moved.

Entries hold secrets: reasons and notes name keys and variables, never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any, cast
from urllib.parse import urlsplit

from asyncfc_mcp.clients.places import CLAUDE_DESKTOP, CODEX, GEMINI, ClientFile, Surroundings
from asyncfc_mcp.config.dialects import KINDS, URL_KEYS, EntryReader
from asyncfc_mcp.config.expand import Variables
from asyncfc_mcp.config.problems import Findings

Entry = dict[str, Any]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"(?:env:)?([A-Za-z_]\w*)(:-[^}]*)?")
_ASKED = re.compile(r"(?:command|config|file|extensionInstallFolder):[\w./~-]*")
_BARE = re.compile(r"\$([A-Za-z_]\w*)")
_CREDENTIAL_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_OF_PROJECT = frozenset({"workspaceFolder", "workspaceFolderBasename"})
_OF_EDITOR = frozenset({"userHome", "pathSeparator"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_TAKEN_OVER = frozenset({"command", "args", "env", "envFile", "cwd", "type", "headers", "oauth", *URL_KEYS})
_TRANSLATED = frozenset(
    {"auth", "bearer_token_env_var", "http_headers", "env_http_headers", "env_vars", "disabled", "enabled"}
    | {"timeout", "tool_timeout_sec", "transport"}
    | {"includeTools", "excludeTools", "enabled_tools", "disabled_tools", "disabledTools", "tools"}
)
_LEFT_BEHIND: dict[str, str] = {
    "trust": "not carried over: it would hold for every server behind the gateway",
    "startup_timeout_sec": "not carried over: the gateway waits for no server at its start",
    "startup_timeout_ms": "not carried over: the gateway waits for no server at its start",
    "alwaysAllow": "approvals are kept by tool name; see the rules below",
    "autoApprove": "approvals are kept by tool name; see the rules below",
    "default_tools_approval_mode": "not carried over: it would hold for every server behind the gateway",
    "required": "not carried over: it would hold for every server behind the gateway",
    "dev": "not carried over: VS Code's own development mode",
    "gallery": "",
    "version": "",
    "description": "",
    "name": "",
}
_FILLS_IN_NOTHING = frozenset({CLAUDE_DESKTOP, CODEX})
"""Clients whose documentation knows no variables in entries."""
_SIGN_IN_BY_OTHERS = {
    "authProviderType": "it signs in with credentials of Google's own tools, which only the client has",
    "headersHelper": "its headers come from a helper program that only the client runs",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """An entry as it will stand in the gateway's file."""

    entry: Entry
    notes: tuple[str, ...] = ()
    """What is different from now on."""
    variables: tuple[str, ...] = ()
    """Variables that the gateway has to be given by a client that passes on only some (Codex)."""
    signs_in: bool = False
    """Whether it may ask for a sign-in by browser, so that it is moved only when it is named."""


@dataclass(frozen=True, slots=True)
class Stays:
    """Why an entry cannot be moved."""

    reason: str


class _CannotMove(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def translated(raw: Mapping[str, Any], file: ClientFile, where: Surroundings) -> Moved | Stays:
    """What becomes of a server's entry."""
    try:
        return _Translation(raw, file, where).moved()
    except _CannotMove as error:
        return Stays(error.reason)


class _Translation:
    def __init__(self, raw: Mapping[str, Any], file: ClientFile, where: Surroundings) -> None:
        self._raw = raw
        self._file = file
        self._where = where
        self._notes: list[str] = []
        self._variables: list[str] = _texts(raw.get("env_vars"))

    def moved(self) -> Moved:
        raw = self._raw
        if raw.get("disabled") is True or raw.get("enabled") is False:
            raise _CannotMove("it is disabled")
        for key, reason in _SIGN_IN_BY_OTHERS.items():
            if key in raw and raw[key] != "dynamic_discovery":
                raise _CannotMove(reason)
        is_remote = any(raw.get(key) is not None for key in URL_KEYS)
        if is_remote == isinstance(raw.get("command"), str):
            raise _CannotMove("it has neither a command nor a url" if not is_remote else "it has a command and a url")
        entry = self._remote() if is_remote else self._local()
        self._refuse_unreadable(entry)
        settings = self._settings()
        if settings:
            entry["asyncfc"] = settings
        self._note_the_rest()
        signs_in = is_remote and self._may_sign_in(entry)
        return Moved(entry, tuple(self._notes), tuple(dict.fromkeys(self._variables)), signs_in)

    def _local(self) -> Entry:
        raw = self._raw
        if self._kind() not in {None, "stdio"}:
            raise _CannotMove("its type does not fit its command")
        entry: Entry = {"command": self._text(raw["command"])}
        for key in ("args", "env"):
            if raw.get(key):
                entry[key] = self._expanded(raw[key])
        for key in ("cwd", "envFile"):
            if raw.get(key):
                entry[key] = self._place(key, self._text(raw[key]))
        self._refuse_relative_command(entry["command"])
        return entry

    def _remote(self) -> Entry:
        raw = self._raw
        key = next(key for key in URL_KEYS if raw.get(key) is not None)
        kind = "http" if key == "httpUrl" else self._kind()
        if kind not in {None, "http", "sse"}:
            raise _CannotMove("its type does not fit its url")
        if kind is None and self._file.client is GEMINI:
            kind = "sse"  # what `url` means there
        entry: Entry = {"type": kind} if kind is not None else {}
        entry["url"] = self._text(raw[key])
        headers = self._expanded({**self._object("headers"), **self._object("http_headers")})
        for name, variable in self._object("env_http_headers").items():
            headers[name] = self._of_variable(variable)
        if raw.get("bearer_token_env_var"):
            headers["Authorization"] = f"Bearer {self._of_variable(raw['bearer_token_env_var'])}"
        if headers:
            entry["headers"] = headers
        oauth = raw.get("oauth", self._cursor_auth())
        if oauth is not None:
            entry["oauth"] = self._expanded(oauth)
        return entry

    def _cursor_auth(self) -> Entry | None:
        auth = self._raw.get("auth")
        if not isinstance(auth, dict):
            return None
        given = cast("Entry", auth)
        names = {"CLIENT_ID": "clientId", "CLIENT_SECRET": "clientSecret", "scopes": "scopes"}
        return {ours: given[theirs] for theirs, ours in names.items() if theirs in given} or None

    def _may_sign_in(self, entry: Entry) -> bool:
        if entry.get("oauth") is False or any(_CREDENTIAL_HEADER.search(name) for name in entry.get("headers", ())):
            return False
        parts = urlsplit(str(entry["url"]))
        return parts.username is None and parts.hostname not in _LOOPBACK

    def _settings(self) -> Entry:
        raw, settings = self._raw, Entry()
        include = raw.get("includeTools", raw.get("enabled_tools"))
        if include is None and isinstance(raw.get("tools"), list):
            include = raw["tools"]
        exclude = raw.get("excludeTools", raw.get("disabled_tools", raw.get("disabledTools")))
        for key, names in (("include", include), ("exclude", exclude)):
            if _texts(names):
                settings[key] = [re.sub(r"\(.*\)$", "", name) for name in _texts(names)]
        if self._file.client is GEMINI and _is_time(raw.get("timeout")):
            settings["timeout_s"] = raw["timeout"] / 1000
        if self._file.client is CODEX and _is_time(raw.get("tool_timeout_sec")):
            settings["timeout_s"] = raw["tool_timeout_sec"]
        return settings

    def _note_the_rest(self) -> None:
        for key in self._raw:
            if key in _TAKEN_OVER or (
                key in _TRANSLATED and not (key == "timeout" and self._file.client is not GEMINI)
            ):
                continue
            reason = _LEFT_BEHIND.get(key, "not carried over: the gateway does not know it")
            if reason:
                self._notes.append(f"{key}: {reason}")

    def _kind(self) -> str | None:
        declared = self._raw.get("type", self._raw.get("transport"))
        if declared is None:
            return None
        kind = KINDS.get(declared) if isinstance(declared, str) else None
        if kind is None:
            raise _CannotMove(f"the gateway does not know its type {declared!r}")
        return kind

    def _object(self, key: str) -> Entry:
        found = self._raw.get(key)
        return cast("Entry", found) if isinstance(found, dict) else {}

    def _of_variable(self, name: Any) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _CannotMove("it takes a header from a variable whose name cannot be one")
        self._variables.append(name)
        self._note_unset(name)
        return f"${{{name}:-}}"

    def _expanded(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._expanded(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self._expanded(item) for key, item in cast("Entry", value).items()}
        return value

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise _CannotMove("it has something else where a text belongs")
        if self._file.client in _FILLS_IN_NOTHING and _VARIABLE.search(value):
            title = self._file.client.title
            raise _CannotMove(f"{title} hands a ${{...}} in it on as it stands, and the gateway would fill it in")
        text = _VARIABLE.sub(self._variable, value)
        return _BARE.sub(self._bare_variable, text) if self._file.client is GEMINI else text

    def _variable(self, found: re.Match[str]) -> str:
        inner = found[1]
        if inner in _OF_EDITOR:
            return found[0]
        if inner in _OF_PROJECT:
            if self._file.scope == "user":
                raise _CannotMove(
                    f"{found[0]} means the folder that is open in the client, which the gateway cannot know"
                )
            return found[0]
        if inner.startswith("input:"):
            raise _CannotMove(f"{found[0]} is asked for by the client, and the gateway has nobody to ask")
        name = _NAME.fullmatch(inner)
        if name is None:
            shown = found[0] if _ASKED.fullmatch(inner) else "a ${...} in it"  # which may be half of a password
            raise _CannotMove(f"{shown} is something that only the client can fill in")
        if name[2] is not None:
            return f"${{{name[1]}{name[2]}}}"
        # Without a default one variable that is missing would keep the gateway from starting at all.
        self._variables.append(name[1])
        self._note_unset(name[1])
        return f"${{{name[1]}:-}}"

    def _bare_variable(self, found: re.Match[str]) -> str:
        self._note_unset(found[1])
        return f"${{{found[1]}:-}}"

    def _note_unset(self, name: str) -> None:
        if not self._where.environ.get(name):
            self._notes.append(f"the variable {name} is not set here")

    def _place(self, key: str, text: str) -> str:
        if self._file.scope == "user" and not _is_absolute(text):
            raise _CannotMove(f"its {key} is relative to a folder that the gateway cannot know")
        return text

    def _refuse_unreadable(self, entry: Entry) -> None:
        """One entry that the gateway cannot read would keep it from starting at all."""
        findings = Findings()
        environ = {"HOME": str(self._where.home), **self._where.environ}
        EntryReader(entry, (), Variables(environ, self._where.project), findings).transport()
        if findings.problems:
            raise _CannotMove(f"the gateway could not read it: {findings.problems[0]}")

    def _refuse_relative_command(self, command: str) -> None:
        is_path = "/" in command or "\\" in command
        if is_path and not _is_absolute(command) and self._file.scope == "user":
            raise _CannotMove("its command is relative to a folder that the gateway cannot know")


def _texts(value: Any) -> list[str]:
    return [item for item in cast("list[Any]", value) if isinstance(item, str)] if isinstance(value, list) else []


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


def _is_absolute(text: str) -> bool:
    return text.startswith(("/", "${")) or PureWindowsPath(text).is_absolute() or PurePath(text).is_absolute()
