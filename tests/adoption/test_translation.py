"""How a server's entry is written in the gateway's file, whichever client it comes from."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.adoption.translation import Moved, Stays, translated
from asyncfc_mcp.clients.places import (
    CLAUDE_CODE,
    CLAUDE_DESKTOP,
    CLIENTS,
    CODEX,
    CURSOR,
    GEMINI,
    VS_CODE,
    WINDSURF,
    Client,
    ClientFile,
    Scope,
    Surroundings,
)
from asyncfc_mcp.config.load import load_file

HERE = Path(__file__).parent


def outcome(client: Client, raw: dict[str, Any], scope: Scope = "user", **environ: str) -> Moved | Stays:
    return translated(raw, ClientFile(client, HERE, scope), Surroundings(HERE, environ, "linux", HERE))


def moved(client: Client, raw: dict[str, Any], scope: Scope = "user", **environ: str) -> Moved:
    found = outcome(client, raw, scope, **environ)
    assert isinstance(found, Moved), found
    return found


@pytest.mark.parametrize(
    ("client", "raw", "entry"),
    [
        (CLAUDE_DESKTOP, {"command": "npx", "args": ["-y", "x"]}, {"command": "npx", "args": ["-y", "x"]}),
        (CLAUDE_CODE, {"type": "stdio", "command": "npx", "env": {}}, {"command": "npx"}),
        (
            CURSOR,
            {"url": "https://a/mcp", "headers": {"X-Key": "${env:KEY}"}},
            {"url": "https://a/mcp", "headers": {"X-Key": "${KEY:-}"}},
        ),
        (
            CURSOR,
            {"url": "https://a/mcp", "auth": {"CLIENT_ID": "i", "CLIENT_SECRET": "s", "scopes": ["r"]}},
            {"url": "https://a/mcp", "oauth": {"clientId": "i", "clientSecret": "s", "scopes": ["r"]}},
        ),
        (VS_CODE, {"type": "http", "url": "https://a/mcp"}, {"type": "http", "url": "https://a/mcp"}),
        (VS_CODE, {"command": "x", "env": {"PORT": 1}}, {"command": "x", "env": {"PORT": 1}}),
        (GEMINI, {"httpUrl": "https://a/mcp"}, {"type": "http", "url": "https://a/mcp"}),
        (GEMINI, {"url": "https://a/mcp"}, {"type": "sse", "url": "https://a/mcp"}),
        (
            GEMINI,
            {"command": "x", "env": {"A": "$B", "C": "${D}", "E": "1 $F"}, "timeout": 1500, "excludeTools": ["y"]},
            {
                "command": "x",
                "env": {"A": "${B:-}", "C": "${D:-}", "E": "1 ${F:-}"},
                "asyncfc": {"exclude": ["y"], "timeout_s": 1.5},
            },
        ),
        (GEMINI, {"command": "x", "includeTools": ["read(path)"]}, {"command": "x", "asyncfc": {"include": ["read"]}}),
        (WINDSURF, {"serverUrl": "https://a/sse"}, {"url": "https://a/sse"}),
        (WINDSURF, {"command": "x", "disabledTools": ["y"]}, {"command": "x", "asyncfc": {"exclude": ["y"]}}),
        (
            CODEX,
            {
                "url": "https://a/mcp",
                "bearer_token_env_var": "TOKEN",
                "http_headers": {"A": "b"},
                "env_http_headers": {"C": "D"},
            },
            {"url": "https://a/mcp", "headers": {"A": "b", "C": "${D:-}", "Authorization": "Bearer ${TOKEN:-}"}},
        ),
        (
            CODEX,
            {"command": "x", "cwd": "/y", "enabled_tools": ["a"], "disabled_tools": ["b"], "tool_timeout_sec": 90},
            {"command": "x", "cwd": "/y", "asyncfc": {"include": ["a"], "exclude": ["b"], "timeout_s": 90}},
        ),
        (CLAUDE_CODE, {"command": "${A:-x}", "args": ["${B}"]}, {"command": "${A:-x}", "args": ["${B:-}"]}),
    ],
)
def test_an_entry_says_the_same_in_the_gateways_file(
    client: Client, raw: dict[str, Any], entry: dict[str, Any]
) -> None:
    assert moved(client, raw).entry == entry


@pytest.mark.parametrize(
    ("client", "raw", "reason"),
    [
        (VS_CODE, {"command": "x", "env": {"K": "${input:k}"}}, "${input:k} is asked for by the client"),
        (VS_CODE, {"command": "${config:python.path}"}, "only the client can fill in"),
        (CLAUDE_DESKTOP, {"command": "sh", "args": ["-c", "echo ${x}"]}, "hands a ${...} in it on as it stands"),
        (CODEX, {"command": "x", "env": {"K": "pa${ss}word"}}, "hands a ${...} in it on as it stands"),
        (WINDSURF, {"command": "x", "env": {"K": "${file:/key}"}}, "only the client can fill in"),
        (WINDSURF, {"command": "x", "env": {"K": "half${of a}password"}}, "a ${...} in it is something that only"),
        (CURSOR, {"command": "x", "args": ["${workspaceFolder}"]}, "the folder that is open in the client"),
        (CURSOR, {"command": "x", "envFile": ".env"}, "its envFile is relative"),
        (CURSOR, {"command": "x", "envFile": "/nowhere/.env"}, "envFile is "),
        (GEMINI, {"command": "x", "cwd": "./y"}, "its cwd is relative"),
        (CURSOR, {"command": "./x"}, "its command is relative"),
        (CURSOR, {"command": "x", "disabled": True}, "it is disabled"),
        (CODEX, {"command": "x", "enabled": False}, "it is disabled"),
        (CLAUDE_CODE, {"url": "https://a", "headersHelper": "x"}, "a helper program"),
        (CLAUDE_CODE, {"type": "ws", "url": "wss://a"}, "does not know its type 'ws'"),
        (CLAUDE_CODE, {"type": "stdio", "url": "https://a"}, "its type does not fit its url"),
        (CLAUDE_CODE, {"type": "http", "command": "x"}, "its type does not fit its command"),
        (CURSOR, {}, "neither a command nor a url"),
        (CURSOR, {"command": "x", "url": "https://a"}, "a command and a url"),
        (CURSOR, {"command": "x", "args": [{"a": "${input:b}"}]}, "${input:b}"),
    ],
)
def test_what_the_gateway_cannot_know_stays(client: Client, raw: dict[str, Any], reason: str) -> None:
    found = outcome(client, raw)
    assert isinstance(found, Stays)
    assert reason in found.reason


def test_a_projects_own_folder_is_known() -> None:
    raw = {
        "command": "./x",
        "args": ["${workspaceFolder}/a"],
        "cwd": "sub",
        "envFile": "${workspaceFolder}/__init__.py",
    }
    assert moved(VS_CODE, raw, "project").entry == raw


@pytest.mark.parametrize(
    ("raw", "signs_in"),
    [
        ({"url": "https://a/mcp"}, True),
        ({"url": "https://a/mcp", "headers": {"X-Region": "eu"}}, True),
        ({"url": "https://a/mcp", "headers": {"Authorization": "Bearer x"}}, False),
        ({"url": "https://a/mcp", "headers": {"X-Api-Key": "x"}}, False),
        ({"url": "https://a/mcp", "oauth": False}, False),
        ({"url": "https://me:x@a/mcp"}, False),
        ({"url": "http://localhost:3000/mcp"}, False),
        ({"command": "x"}, False),
    ],
)
def test_a_remote_server_without_credentials_may_want_a_sign_in(raw: dict[str, Any], *, signs_in: bool) -> None:
    assert moved(CURSOR, raw).signs_in is signs_in


KEYS = ["command", "args", "env", "cwd", "envFile", "url", "httpUrl", "serverUrl", "headers", "type", "oauth", "auth"]
OTHER_KEYS = [
    "timeout",
    "tool_timeout_sec",
    "includeTools",
    "disabledTools",
    "env_vars",
    "bearer_token_env_var",
    "tools",
]
RARE_KEYS = ["http_headers", "env_http_headers", "trust", "disabled", "enabled", "authProviderType"]
TEXTS = st.sampled_from(
    ["", "x", "/x", "https://a/mcp", "http://[", "stdio", "http", "${A}", "$B", "${workspaceFolder}", "\0", "a=b"]
)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@given(
    st.sampled_from(CLIENTS),
    st.dictionaries(st.sampled_from([*KEYS, *OTHER_KEYS, *RARE_KEYS]), VALUES, max_size=5),
    st.sampled_from(["user", "project"]),
)
def test_whatever_stands_in_an_entry_the_gateway_can_read_what_is_moved(
    client: Client, raw: dict[str, Any], scope: Scope
) -> None:
    found = outcome(client, raw, scope)
    if isinstance(found, Moved):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "servers.json")
            file.write_text(json.dumps({"mcpServers": {"x": found.entry}}))
            assert len(load_file(file, {}).config.servers) == 1


def test_what_is_left_behind_and_what_is_not_set_is_said_without_a_value() -> None:
    raw = {"command": "x", "env": {"K": "S3CRET"}, "trust": True, "args": ["${A}", "${B}"], "shape": "round"}
    assert moved(GEMINI, raw, B="set").notes == (
        "the variable A is not set here",
        "trust: not carried over: it would hold for every server behind the gateway",
        "shape: not carried over: the gateway does not know it",
    )


def test_variables_that_codex_has_to_pass_on_are_known() -> None:
    raw = {"url": "https://a", "bearer_token_env_var": "T", "env_vars": ["U"]}
    assert moved(CODEX, raw).variables == ("U", "T")


def test_the_gateway_reads_what_was_written(tmp_path: Path) -> None:
    raws: list[tuple[Client, dict[str, Any]]] = [
        (CODEX, {"url": "https://a/mcp", "bearer_token_env_var": "NEVER_SET"}),
        (GEMINI, {"command": "x", "args": ["$NEVER_SET", "${NEVER_SET}"], "timeout": 1000}),
        (WINDSURF, {"serverUrl": "https://a/mcp", "disabledTools": ["z"]}),
    ]
    servers = {client.key: moved(client, raw).entry for client, raw in raws}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": servers}))
    config = load_file(tmp_path / "servers.json", {}).config
    assert [server.key for server in config.servers] == list(servers)
    assert config.servers[1].settings.timeout_s == 1
    assert config.servers[2].settings.exclude == ("z",)
