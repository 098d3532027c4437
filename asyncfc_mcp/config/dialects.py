"""One server's entry as the MCP clients write it, read into ours; and what in it belongs to other tools."""

from __future__ import annotations

import io
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PureWindowsPath
from typing import Literal, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values

from asyncfc_mcp.config.expand import UnknownVariable, Variables
from asyncfc_mcp.config.models import RemoteEntry, StdioEntry
from asyncfc_mcp.config.oauth import OAuthReader
from asyncfc_mcp.config.problems import HIDDEN, Findings, Key, did_you_mean, shown

Kind = Literal["stdio", "http", "sse"]

KINDS: dict[str, Kind] = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamableHttp": "http",
    "sse": "sse",
}
"""What `type` may say, and what it means."""

URL_KEYS = ("httpUrl", "url", "serverUrl")
"""Strongest first: Gemini takes `httpUrl` before `url`."""

ENTRY_KEYS = frozenset(
    {"command", "args", "env", "envFile", "cwd", "type", "transport", *URL_KEYS, "headers", "oauth"}
    | {"asyncfc", "disabled", "enabled"}
)

OTHER_TOOLS_KEYS: dict[str, str | None] = {
    "alwaysAllow": None,
    "auth": None,
    "authProviderType": None,
    "autoApprove": None,
    "description": None,
    "dev": None,
    "disabledTools": "asyncfc.exclude",
    "excludeTools": "asyncfc.exclude",
    "gallery": None,
    "includeTools": "asyncfc.include",
    "name": None,
    "timeout": "asyncfc.timeout_s",
    "tools": "asyncfc.include",
    "trust": None,
    "version": None,
}
"""Keys that other tools are known to write, and ours that does the same."""

_PACKAGE = re.compile(r"asyncfc[-_]mcp(\[[\w,-]*\])?((@|==|>=|~=)[\w.*-]+)?", re.IGNORECASE)
_IMAGE = re.compile(r"([\w.:-]+/)*asyncfc[-_]mcp(:[\w.-]+)?(@sha256:\w+)?")
_BARE_VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_CONTAINER_RUNNERS = frozenset({"docker", "podman", "nerdctl"})
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "fish", "cmd", "powershell", "pwsh"})
_SCRIPT_FOLDERS = frozenset({"bin", "scripts"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def without_options(command: str) -> str:
    """A command as it may be shown: where options stand in it that belong into `args`, they may be secret."""
    program, *words = command.split()
    return f"{program} …" if any(word.startswith("-") for word in words) else command


def program_name(command: str) -> str:
    """The program without its folder and the endings that Windows adds; both kinds of slash count."""
    path = PureWindowsPath(command)
    return path.stem.lower() if path.suffix.lower() in {".exe", ".cmd", ".bat"} else path.name.lower()


def runs_gateway(command: str, args: Sequence[str]) -> bool:
    """Whether this command line starts a gateway of ours; a mere folder of that name among the arguments does not."""
    program = program_name(command)
    words = [word for arg in args for word in _words(arg)] if program in _SHELLS else list(args)
    if _PACKAGE.fullmatch(program):
        return True
    if program in _CONTAINER_RUNNERS:
        return any(_IMAGE.fullmatch(word) for word in words)
    modules = {after for before, after in pairwise(words) if before == "-m"}
    if modules & {"asyncfc_mcp", "asyncfc_mcp.cli.main"}:
        return True
    return "serve" in words and any(_names_gateway(word) for word in words)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote: still good enough to look for a name in
        return text.split()


def _names_gateway(word: str) -> bool:
    if _PACKAGE.fullmatch(word):
        return True
    in_script_folder = PureWindowsPath(word).parent.name.lower() in _SCRIPT_FOLDERS
    return in_script_folder and _PACKAGE.fullmatch(program_name(word)) is not None


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads one entry. What is wrong goes to `findings`, and the value returned then only lets reading go on."""

    raw: Mapping[str, object]
    at: Key
    variables: Variables
    findings: Findings

    def reason_to_skip(self) -> str | None:
        """Why this entry is not a server of ours, if it is not."""
        if self.raw.get("disabled") is True or self.raw.get("enabled") is False:
            return "skipped, it is disabled"
        command, args = self.raw.get("command"), self.raw.get("args")
        words = [word for word in cast("list[object]", args) if isinstance(word, str)] if isinstance(args, list) else []
        if isinstance(command, str) and runs_gateway(command, words):
            return "skipped, it is this gateway itself"
        return None

    def transport(self) -> StdioEntry | RemoteEntry | None:
        """How to reach the server; None when the entry does not say."""
        self._warn_of_ignored_keys()
        url_key = next((key for key in URL_KEYS if self.raw.get(key) is not None), None)
        declared = self.raw.get("type", self.raw.get("transport"))
        kind = KINDS.get(declared) if isinstance(declared, str) else None
        if declared is not None and kind is None:
            place = "type" if "type" in self.raw else "transport"
            self.findings.wrong((*self.at, place), shown(declared), ", ".join(KINDS))
            return None
        if kind is None and url_key is not None and self.raw.get("command") is not None:
            self.findings.wrong(self.at, "an entry with both a command and a url", "one of the two, or a type")
            return None
        if kind == "stdio" or (kind is None and url_key is None):
            return self._stdio()
        return self._remote(url_key or "url", kind)

    def _stdio(self) -> StdioEntry:
        command = self._text("command")
        if command is None:
            hint = "the program to start (or url, for a server that runs elsewhere)"
            near = next((name for name in self.raw if did_you_mean(name, ["command"], likeness=0.8)), None)
            self.findings.wrong((*self.at, "command"), f"missing (there is {shown(near)})" if near else "missing", hint)
        cwd = self._text("cwd")
        env = self._table("env")
        for name in env:
            if not name or "=" in name or "\0" in name:
                self.findings.wrong((*self.at, "env", name), "no name of a variable", "a name without = in it")
        return StdioEntry(
            command=command or "",
            args=self._texts("args"),
            env=self._env_file() | env,
            cwd=self.variables.workspace / cwd if cwd is not None else None,
        )

    def _remote(self, url_key: str, kind: Kind | None) -> RemoteEntry:
        place = (*self.at, url_key)
        url = self._text(url_key)
        fault = _fault_of_url(url) if url else None
        if url is None:
            self.findings.wrong(place, "missing", "the http:// or https:// URL of the server")
        elif fault is not None:
            self.findings.wrong(place, fault, "a URL with http:// or https:// and a host")
            url = ""
        if url_key == "httpUrl":
            kind = "http"
        elif kind is None:
            kind = "sse" if urlsplit(url or "").path.rstrip("/").endswith("/sse") else "http"
        headers = self._table("headers")
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                self.findings.wrong((*self.at, "headers", name), "no name of a header", "letters, digits and -")
            elif not value.isascii() or not value.isprintable():
                self.findings.wrong((*self.at, "headers", name), HIDDEN, "printable ASCII text on one line")
        oauth = OAuthReader(self.raw.get("oauth"), (*self.at, "oauth"), self.variables, self.findings).entry()
        return RemoteEntry(url=url or "", headers=headers, type="sse" if kind == "sse" else "http", oauth=oauth)

    def _text(self, name: str) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self.findings.wrong((*self.at, name), shown(value), "text")
            return ""
        return self._expanded(value, (*self.at, name))

    def _texts(self, name: str) -> tuple[str, ...]:
        value = self.raw.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.findings.wrong((*self.at, name), HIDDEN, "a list of texts")
            return ()
        items = enumerate(cast("list[object]", value))
        return tuple(self._scalar(item, (*self.at, name, index)) for index, item in items)

    def _table(self, name: str) -> dict[str, str]:
        value = self.raw.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.findings.wrong((*self.at, name), HIDDEN, "an object of texts")
            return {}
        items = cast("dict[str, object]", value).items()
        return {key: self._scalar(item, (*self.at, name, key)) for key, item in items}

    def _scalar(self, value: object, place: Key) -> str:
        # Numbers are written without quotes by hand, and VS Code allows them.
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            self.findings.wrong(place, HIDDEN, "text")
            return ""
        if _BARE_VARIABLE.fullmatch(value):
            self.findings.warn(place, "looks like $NAME, which is passed on as it is; write ${NAME} to expand it")
        return self._expanded(value, place)

    def _expanded(self, value: str, place: Key) -> str:
        try:
            expanded = self.variables.expand(value)
        except UnknownVariable as error:
            self.findings.wrong(place, f"{error.written}, which has no value here", error.allowed)
            return ""
        if "\0" not in expanded:
            return expanded
        self.findings.wrong(place, HIDDEN, "text without a NUL character, which no program can be given")
        return ""

    def _env_file(self) -> dict[str, str]:
        name = self._text("envFile")
        if not name:
            return {}
        path = self.variables.workspace / name
        self.findings.files.append(path)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe waits for whoever writes into it
                return self._without_env_file("no regular file")
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            return self._without_env_file(error.strerror or "unreadable")
        except UnicodeDecodeError:
            return self._without_env_file("not UTF-8")
        values = dotenv_values(stream=io.StringIO(text), interpolate=False)
        return {key: value for key, value in values.items() if value is not None}

    def _without_env_file(self, reason: str) -> dict[str, str]:
        written = f"{shown(self.raw['envFile'])} ({reason})"
        self.findings.wrong((*self.at, "envFile"), written, "a readable file of NAME=value lines")
        return {}

    def _warn_of_ignored_keys(self) -> None:
        ignored = [_ignored(key) for key in self.raw if key not in ENTRY_KEYS]
        if ignored:
            self.findings.warn(self.at, f"ignored, not ours: {', '.join(ignored)}")


def _ignored(key: str) -> str:
    if key not in OTHER_TOOLS_KEYS:
        return key + did_you_mean(key, ENTRY_KEYS, likeness=0.75).replace("; did", " (did").replace("?", "?)")
    ours = OTHER_TOOLS_KEYS[key]
    return f"{key} (here: {ours})" if ours else key


def _fault_of_url(url: str) -> str | None:
    """What is wrong with it, without a word of it: a token may stand in any of its parts."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a broken IPv6 host, or a port that is no number
        return "a URL with a broken host or port"
    if parts.scheme not in {"http", "https"}:
        return "without http:// or https:// at its start"
    if not parts.hostname:
        return "a URL without a host"
    if port == 0:
        return "a URL with port 0"
    return None if url.isprintable() else "a URL with characters that cannot be printed"
