"""The `oauth` object of a server's entry, as several MCP clients write it, read into ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from asyncfc_mcp.config.expand import UnknownVariable, Variables
from asyncfc_mcp.config.models import OAuthEntry
from asyncfc_mcp.config.problems import HIDDEN, Findings, Key, did_you_mean, kind_shown, shown

KEYS = ("enabled", "clientId", "clientSecret", "scopes", "scope", "redirectUri", "callbackPort")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class OAuthReader:
    """Reads one `oauth` value. What is wrong goes to `findings`, and reading goes on."""

    raw: object
    at: Key
    variables: Variables
    findings: Findings

    def entry(self) -> OAuthEntry | None:
        """How to sign in; None for never."""
        if self.raw is False:
            return None
        if self.raw is None or self.raw is True:
            return OAuthEntry()
        raw = self.raw
        if not isinstance(raw, dict):
            self.findings.wrong(self.at, kind_shown(raw), "an object, or false for no sign-in")
            return None
        table = cast("dict[str, object]", raw)
        unknown = [key + did_you_mean(key, KEYS) for key in table if key not in KEYS]
        if unknown:
            self.findings.warn(self.at, f"ignored, not ours: {', '.join(unknown)}")
        if table.get("enabled") is False:
            return None
        return OAuthEntry(
            client_id=self._text(table, "clientId"),
            client_secret=self._text(table, "clientSecret", is_secret=True),
            scopes=self._scopes(table),
            redirect_uri=self._redirect_uri(table),
        )

    def _text(self, table: Mapping[str, object], name: str, *, is_secret: bool = False) -> str | None:
        value = table.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self.findings.wrong((*self.at, name), HIDDEN if is_secret else shown(value), "text")
            return None
        try:
            expanded = self.variables.expand(value)
        except UnknownVariable as error:
            self.findings.wrong((*self.at, name), f"{error.written}, which has no value here", error.allowed)
            return None
        if expanded.isprintable():
            return expanded
        self.findings.wrong((*self.at, name), HIDDEN, "printable text on one line")
        return None

    def _scopes(self, table: Mapping[str, object]) -> tuple[str, ...]:
        name = "scope" if table.get("scopes") is None else "scopes"
        value = table.get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(value.split())
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        scopes = tuple(item for item in items if isinstance(item, str))
        if len(scopes) < len(items):
            found = "a list with something else in it" if isinstance(value, list) else shown(value)
            self.findings.wrong((*self.at, name), found, "a list of texts, or a text with spaces between")
        return scopes

    def _redirect_uri(self, table: Mapping[str, object]) -> str | None:
        port = table.get("callbackPort")
        if port is not None:
            if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536:
                # As the client has it that knows this key, so that one registration serves both.
                return f"http://localhost:{port}/callback"
            self.findings.wrong((*self.at, "callbackPort"), shown(port), "a port, 1 to 65535")
            return None
        uri = self._text(table, "redirectUri")
        if uri is None or _is_loopback(uri):
            return uri
        fact = "not an address of this machine with a port"
        self.findings.wrong((*self.at, "redirectUri"), fact, "http://127.0.0.1:PORT/PATH or with localhost")
        return None


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and bool(parts.port)
    except ValueError:  # a port that is no number
        return False
