"""The `oauth` object of a server's entry, in the dialects of several clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.config.models import OAuthEntry, RemoteEntry
from asyncfc_mcp.config.problems import ConfigurationError


def read(tmp_path: Path, oauth: Any, **environ: str) -> tuple[OAuthEntry | None, tuple[str, ...]]:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"far": {"url": "https://example.org/mcp", "oauth": oauth}}}))
    loaded = load_file(file, environ)
    transport = loaded.config.servers[0].transport
    assert isinstance(transport, RemoteEntry)
    return transport.oauth, tuple(loaded.warnings)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, OAuthEntry()),
        (True, OAuthEntry()),
        ({}, OAuthEntry()),
        (False, None),
        ({"enabled": False, "clientId": "me"}, None),
        ({"clientId": "me", "clientSecret": "${SECRET}"}, OAuthEntry(client_id="me", client_secret="hush")),
        ({"scopes": ["a", "b"]}, OAuthEntry(scopes=("a", "b"))),
        ({"scopes": "a b"}, OAuthEntry(scopes=("a", "b"))),
        ({"scope": "a b"}, OAuthEntry(scopes=("a", "b"))),
        ({"callbackPort": 8123}, OAuthEntry(redirect_uri="http://localhost:8123/callback")),
        ({"redirectUri": "http://127.0.0.1:8123/x"}, OAuthEntry(redirect_uri="http://127.0.0.1:8123/x")),
    ],
)
def test_each_dialect_is_read(tmp_path: Path, written: Any, meant: OAuthEntry | None) -> None:
    assert read(tmp_path, written, SECRET="hush") == (meant, ())


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("yes", r"far\.oauth is a text; allowed: an object"),
        ({"clientId": 5}, r"far\.oauth\.clientId is 5; allowed: text"),
        ({"clientSecret": 12345}, r"far\.oauth\.clientSecret is \(hidden\); allowed: text"),
        ({"clientSecret": "${NOT_SET}"}, r"far\.oauth\.clientSecret is \$\{NOT_SET\}"),
        ({"scopes": ["a", 5]}, r"far\.oauth\.scopes is a list with something else in it"),
        ({"scopes": 5}, r"far\.oauth\.scopes is 5"),
        ({"callbackPort": 0}, r"far\.oauth\.callbackPort is 0; allowed: a port"),
        ({"redirectUri": "https://example.org/back"}, r"far\.oauth\.redirectUri is .* allowed: http://127\.0\.0\.1"),
        ({"redirectUri": "http://localhost/back"}, r"far\.oauth\.redirectUri is "),
        ({"redirectUri": "http://localhost:x/back"}, r"far\.oauth\.redirectUri is "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, written: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(tmp_path, written)


def test_keys_of_other_tools_are_passed_over_with_a_warning(tmp_path: Path) -> None:
    entry, warnings = read(tmp_path, {"tokenUrl": "https://example.org/token", "clientid": "me"})
    assert entry == OAuthEntry()
    assert "ignored, not ours: tokenUrl, clientid; did you mean clientId?" in warnings[0]


def test_the_secret_shows_in_no_text_of_the_entry(tmp_path: Path) -> None:
    entry, _ = read(tmp_path, {"clientSecret": "hush-hush"})
    assert "hush" not in repr(entry)
