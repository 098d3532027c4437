"""Settings and their levels, and every way in which a configuration can be wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from asyncfc_mcp.config.document import MOST_CHARACTERS, MOST_TOLERATED_CHARACTERS
from asyncfc_mcp.config.load import (
    INSIDE_MARKER,
    ConfigurationError,
    LoadedConfig,
    RunsBehindItself,
    from_command,
    load_file,
)
from asyncfc_mcp.config.models import StdioEntry

ECHO = {"command": "echo"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "servers.json"


def load(file: Path, document: object, **environ: str) -> LoadedConfig:
    file.write_text(json.dumps(document))
    return load_file(file, environ)


def refusal(file: Path, document: object, **environ: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(file, document, **environ)
    assert str(caught.value).startswith(f"{file}: ")
    return caught.value


def refused_entry(file: Path, entry: object) -> ConfigurationError:
    return refusal(file, {"mcpServers": {"x": entry}})


def refused_text(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_file(file, {})
    return str(caught.value).removeprefix(f"{file}: ")


# Levels


def test_a_setting_counts_from_the_server_then_the_top_then_the_defaults(file: Path) -> None:
    entry = {**ECHO, "asyncfc": {"mode": "sync", "timeout_s": 5}}
    loaded = load(file, {"mcpServers": {"x": entry}, "asyncfc": {"timeout_s": 7, "concurrency": 2}})
    settings = loaded.config.servers[0].settings
    assert (settings.mode, settings.timeout_s, settings.concurrency) == ("sync", 5, 2)
    assert (settings.inline_wait_s, settings.include, settings.exclude) == ("auto", ("*",), ())
    assert loaded.warnings == ()


def test_servers_that_are_started_here_are_trusted_and_others_not(file: Path) -> None:
    started, remote, told = load(
        file,
        {
            "mcpServers": {
                "a": ECHO,
                "b": {"url": "https://b.example"},
                "c": {"url": "https://c.example", "asyncfc": {"trust": True}},
            }
        },
    ).config.servers
    assert (started.settings.trust, remote.settings.trust, told.settings.trust) == (True, False, True)
    assert started.settings.prefix is None


def test_flags_are_stronger_than_the_top_of_the_file_and_weaker_than_a_server(file: Path) -> None:
    document = {
        "mcpServers": {"a": ECHO, "b": {**ECHO, "asyncfc": {"mode": "async"}}},
        "asyncfc": {"mode": "auto", "store": "sqlite:///x"},
    }
    file.write_text(json.dumps(document))
    config = load_file(file, {}, {"mode": "sync", "schema": "describe", "store": None}).config
    assert [server.settings.mode for server in config.servers] == ["sync", "async"]
    assert (config.settings.schema_, config.settings.store) == ("describe", "sqlite:///x")


def test_a_wrong_flag_is_blamed_on_the_command_line(file: Path) -> None:
    file.write_text(json.dumps({"mcpServers": {"a": ECHO}}))
    with pytest.raises(ConfigurationError, match='the command line: mode is "fast"; allowed: "auto", '):
        load_file(file, {}, {"mode": "fast"})


def test_a_store_may_have_its_password_in_a_variable(file: Path) -> None:
    document = {"mcpServers": {"a": ECHO}, "asyncfc": {"store": "redis://:${PASSWORD}@localhost"}}
    assert load(file, document, PASSWORD="p").config.settings.store == "redis://:p@localhost"
    assert refusal(file, document).key == "asyncfc.store"


def test_servers_keep_the_order_of_the_file(file: Path) -> None:
    config = load(file, {"mcpServers": {"z": ECHO, "a": ECHO, "m": ECHO}}).config
    assert [server.key for server in config.servers] == ["z", "a", "m"]


# One command


def test_a_command_becomes_one_server_with_bare_tool_names() -> None:
    loaded = from_command(["npx", "-y", "@modelcontextprotocol/server-filesystem", "${HOME}"], {})
    (server,) = loaded.config.servers
    assert server.key == "filesystem"
    assert server.transport == StdioEntry(
        command="npx", args=("-y", "@modelcontextprotocol/server-filesystem", "${HOME}")
    )
    assert (server.settings.prefix, server.settings.trust, server.settings.mode) == ("", True, "auto")
    assert loaded.config.source is None


def test_flags_count_for_a_command() -> None:
    config = from_command(["echo"], {}, {"prefix": "e", "inline_wait_s": 0, "order": "strict"}).config
    assert (config.servers[0].settings.prefix, config.servers[0].settings.inline_wait_s) == ("e", 0)
    assert config.settings.order == "strict"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("npx -y @modelcontextprotocol/server-everything@2026.8.31", "everything"),
        ("npx @playwright/mcp@latest", "playwright"),
        ("uvx mcp-server-git --repository /r", "git"),
        ("uvx run notes[all]==1.0", "notes"),
        ("python -m my_server", "my"),
        ("/usr/bin/python3.12 /srv/weather/server.py", "weather"),
        ("node /srv/notes/dist/index.js", "notes"),
        ("/opt/github-mcp-server", "github"),
        ("/opt/mcp-server", "server"),
        ("npx", "npx"),
        ("./天気", "server"),
    ],
)
def test_a_command_has_a_short_name(command: str, name: str) -> None:
    assert from_command(command.split(), {}).config.servers[0].key == name


@pytest.mark.parametrize("argv", [[], [""], [" "]])
def test_an_empty_command_is_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="the command after `--` is missing"):
        from_command(argv, {})


# Never behind itself


def test_the_gateway_does_not_run_behind_itself(file: Path) -> None:
    file.write_text(json.dumps({"mcpServers": {"a": ECHO}}))
    with pytest.raises(RunsBehindItself, match=INSIDE_MARKER):
        load_file(file, {INSIDE_MARKER: "1"})
    with pytest.raises(RunsBehindItself, match=INSIDE_MARKER):
        from_command(["echo"], {INSIDE_MARKER: "1"})
    with pytest.raises(RunsBehindItself, match="starts it again"):
        from_command(["uvx", "asyncfc-mcp", "serve"], {})


def test_a_file_with_nothing_but_the_gateway_is_refused(file: Path) -> None:
    error = refusal(file, {"mcpServers": {"gate": {"command": "asyncfc-mcp", "args": ["serve"]}}})
    assert "without a server to run" in str(error)
    assert "mcpServers.gate: skipped, it is this gateway itself" in str(error)


def test_what_is_wrong_in_a_skipped_entry_does_not_matter(file: Path) -> None:
    gate = {"command": "asyncfc-mcp", "args": ["serve", "${MISSING}"], "asyncfc": {"nonsense": 1}}
    loaded = load(file, {"mcpServers": {"gate": gate, "off": {"enabled": False}, "a": ECHO}})
    assert [server.key for server in loaded.config.servers] == ["a"]


# Files that are none


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: the file is missing; allowed: the path of a readable"):
        load_file(tmp_path / "none.json", {})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the file is unreadable"):
        load_file(tmp_path, {})


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes('{"mcpServers": {}}'.encode("utf-16"))
    with pytest.raises(ConfigurationError, match="the file is not UTF-8 text"):
        load_file(file, {})


def test_a_large_file_may_be_plain_json_and_nothing_else(file: Path) -> None:
    servers = ",\n".join(f'"s{at}": {{"command": "echo"}}' for at in range(10_000))
    text = f'{{"mcpServers": {{{servers}}}}}'
    assert len(text) > MOST_TOLERATED_CHARACTERS
    file.write_text(text)
    assert len(load_file(file, {}).config.servers) == 10_000
    message = refused_text(file, text.replace('"s9999"', "// the last one\n"))
    assert message.startswith("line 10000, column 1 is not JSON (Expecting property name enclosed in double quotes)")
    assert message.endswith("comments and trailing commas only in a file of at most 200,000 characters")


def test_a_file_that_is_far_too_large_is_refused(file: Path) -> None:
    message = refused_text(file, " " * (MOST_CHARACTERS + 1))
    assert message.startswith("the file is longer than 64,000,000 characters; allowed: the path of a readable JSON")


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_text(json.dumps({"mcpServers": {"a": ECHO}}), encoding="utf-8-sig")
    assert len(load_file(file, {}).config.servers) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"mcpServers": {\n  "a": {"command": "echo"}\n  "b": 1\n}}', "line 3, column 3 is not JSON ("),
        ('{// ok\n"mcpServers": }', "line 2, column 15 is not JSON ("),
        ('{"mcpServers": ', "line 1, column 16 is not JSON ("),
        ("", "the file is empty"),
        ("[" * 100_000, "the file is nested too deeply"),
        ("[1]", "the file is a list"),
        ("{}", "mcpServers is missing; allowed: mcpServers, or servers as VS Code writes it"),
        ('{"mcpservers": {}}', 'mcpServers is missing (there is "mcpservers")'),
        ('{"mcpServers": []}', "mcpServers is a list"),
        ('{"mcpServers": {}}', "mcpServers is without a server to run (empty)"),
        ('{"servers": {"a": 3}}', "servers.a is 3; allowed: an object with a command or a url"),
        ('{"mcpServers": {"-": {"command": "a"}}}', "mcpServers.- is a server name without a letter or digit"),
    ],
)
def test_a_file_that_lists_no_servers_says_what_it_lacks(file: Path, text: str, message: str) -> None:
    assert refused_text(file, text).startswith(message)


# Wrong entries


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "mcpServers.x.command is missing; allowed: the program to start"),
        ({"comand": "a"}, 'mcpServers.x.command is missing (there is "comand")'),
        ({"type": "http"}, "mcpServers.x.url is missing"),
        ({"type": "stdio", "url": "https://a"}, "mcpServers.x.command is missing"),
        ({"command": 7}, "mcpServers.x.command is 7; allowed: text"),
        ({"command": ""}, 'mcpServers.x.command is ""; allowed: text'),
        ({"command": "a", "url": "https://a"}, "mcpServers.x is an entry with both a command and a url"),
        ({"type": "websocket", "url": "wss://a"}, 'mcpServers.x.type is "websocket"; allowed: stdio, local, http'),
        ({"transport": ["http"]}, "mcpServers.x.transport is a list; allowed: stdio"),
        (
            {"url": "wss://a"},
            "mcpServers.x.url is without http:// or https:// at its start; allowed: a URL with http://",
        ),
        ({"url": "http://[::1"}, "mcpServers.x.url is a URL with a broken host or port; allowed: a URL with http://"),
        ({"url": "http://host:port/mcp"}, "mcpServers.x.url is a URL with a broken host or port"),
        ({"url": "http://:80"}, "mcpServers.x.url is a URL without a host"),
        ({"url": "http://host:0"}, "mcpServers.x.url is a URL with port 0"),
        ({"url": "http://host/\u2028"}, "mcpServers.x.url is a URL with characters that cannot be printed"),
        ({"command": "a", "args": "b"}, "mcpServers.x.args is (hidden); allowed: a list of texts"),
        ({"command": "a", "args": ["b", None]}, "mcpServers.x.args.1 is (hidden); allowed: text"),
        ({"command": "a", "env": ["b"]}, "mcpServers.x.env is (hidden); allowed: an object of texts"),
        ({"command": "a", "cwd": ["b"]}, "mcpServers.x.cwd is a list; allowed: text"),
        ({"command": "a", "envFile": "no.env"}, 'mcpServers.x.envFile is "no.env" (No such file or directory)'),
        ({"command": "a", "asyncfc": 3}, "mcpServers.x.asyncfc is 3; allowed: an object of settings"),
        ({"url": "https://a", "headers": {"X": "é"}}, "mcpServers.x.headers.X is (hidden); allowed: printable ASCII"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_allowed(file: Path, entry: object, message: str) -> None:
    assert str(refused_entry(file, entry)).removeprefix(f"{file}: ").startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "fast"}, 'mode is "fast"; allowed: "auto", "async" or "sync"'),
        ({"inline_wait_s": -1}, 'inline_wait_s is -1; allowed: a number, at least 0, or "auto"'),
        ({"inline_wait_s": "soon"}, 'inline_wait_s is "soon"; allowed: a number, or "auto"'),
        ({"inline_wait_s": float("inf")}, 'inline_wait_s is Infinity; allowed: a finite number, or "auto"'),
        ({"concurrency": 1.5}, "concurrency is 1.5; allowed: a whole number"),
        ({"isolated": "maybe"}, 'isolated is "maybe"; allowed: true or false'),
        ({"prefix": "a b"}, 'prefix is "a b"; allowed: letters, digits, _ and -'),
        ({"include": "a*"}, 'include is "a*"; allowed: a list of texts'),
        ({"tools": []}, "tools is a list; allowed: an object"),
        ({"tools": {"t": 1}}, "tools.t is 1; allowed: an object"),
        ({"tools": {"t": {"writes": [1]}}}, "tools.t.writes.0 is 1; allowed: text"),
        ({"tools": {"t": {"writes": ["a", "fs/{b"]}}}, 'tools.t.writes.1 is "fs/{b", which has a'),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(file: Path, settings: object, message: str) -> None:
    error = refused_entry(file, {**ECHO, "asyncfc": settings})
    assert str(error).removeprefix(f"{file}: mcpServers.x.asyncfc.").startswith(message)


@pytest.mark.parametrize(
    ("settings", "key", "hint"),
    [
        ({"inline_wait": 1}, "inline_wait", "did you mean inline_wait_s?"),
        ({"store": "memory"}, "store", "(store stands in the asyncfc object at the top of the file)"),
        ({"reads": []}, "reads", "(reads stands in asyncfc.tools.TOOL of a server)"),
        ({"tools": {"t": {"write": []}}}, "tools.t.write", "did you mean writes?"),
        ({"tools": {"t": {"concurrency": 1}}}, "tools.t.concurrency", "the asyncfc object"),
    ],
)
def test_an_unknown_setting_is_an_error_that_knows_better(file: Path, settings: object, key: str, hint: str) -> None:
    error = refused_entry(file, {**ECHO, "asyncfc": settings})
    assert (error.key, error.value) == (f"mcpServers.x.asyncfc.{key}", "an unknown key")
    assert hint in str(error)


def test_tools_at_the_top_are_sent_to_their_server(file: Path) -> None:
    error = refusal(file, {"mcpServers": {"x": ECHO}, "asyncfc": {"tools": {}}})
    assert "(tools stands in the asyncfc object of a server)" in str(error)


def test_one_message_names_all_that_is_wrong_one_a_line(file: Path) -> None:
    error = refusal(
        file,
        {
            "mcpServers": {
                "a": {"command": "${MISSING}", "env": {"A": "${ALSO}"}, "asyncfc": {"mode": "x", "timeout_s": "y"}},
                "two words": {"url": "ftp://b"},
            },
            "asyncfc": {"piggyback": "all"},
        },
    )
    first, *lines = str(error).splitlines()
    assert first == f"{file}: 6 problems"
    assert [line.split(" is ")[0].strip() for line in lines] == [
        "asyncfc.piggyback",
        "mcpServers.a.command",
        "mcpServers.a.env.A",
        "mcpServers.a.asyncfc.mode",
        "mcpServers.a.asyncfc.timeout_s",
        'mcpServers."two words".url',
    ]
    assert len(error.problems) == 6


def test_an_unset_variable_is_named_with_its_key(file: Path) -> None:
    error = refused_entry(file, {"url": "https://a", "headers": {"Authorization": "Bearer ${WEB_TOKEN}"}})
    assert str(error) == (
        f"{file}: mcpServers.x.headers.Authorization is ${{WEB_TOKEN}}, which has no value here; "
        "allowed: a variable that is set, or ${WEB_TOKEN:-default}"
    )


def test_an_input_of_vs_code_cannot_be_asked_for(file: Path) -> None:
    error = refusal(file, {"servers": {"x": {**ECHO, "env": {"KEY": "${input:api-key}"}}}})
    assert error.key == "servers.x.env.KEY"
    assert "${input:api-key}" in str(error)
    assert "nobody can be asked" in str(error)


# Secrets


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "a", "env": {"KEY": ["s3cret"]}},
        {"command": "a", "env": "KEY=s3cret"},
        {"command": "a", "args": ["--key", {"s3cret": 1}]},
        {"url": "https://a", "headers": {"Authorization": {"Bearer": "s3cret"}}},
        {"url": "https://a", "headers": {"Authorization": "s3cret ${MISSING}"}},
        {"url": "ftp://ada:s3cret@host/mcp"},
        {"url": "ada:s3cret@host/mcp"},
        {"url": "ftp://host/mcp?key=s3cret"},
        {"url": "ftp://s3cret/mcp"},
        {"url": "ftp://s3cret@host"},
        {"url": "http://:s3cret"},
        {"url": "http://host:s3cret/mcp"},
        {"url": "http://[s3cret"},
        {"url": "http:s3cret"},
        {"url": "s3cret"},
        {"httpUrl": "host/s3cret/mcp"},
        {"type": "https://s3cret", "url": "https://a"},
        {"url": "https://a", "oauth": {"redirectUri": "http://s3cret"}},
        {"url": "https://a", "oauth": "s3cret"},
        {"url": "https://a", "headers": {"A": "${B:-s3cret${KEY}}"}},
        {"command": "a", "asyncfc": {"mode": "https://s3cret"}},
        "npx server --key s3cret",
        {"url": "ftp://host/mcp?key=${KEY}"},
        {"command": "a", "args": ["s3cret"], "env": {"A": "s3cret"}, "asyncfc": {"mode": "x"}},
        "https://ada:s3cret@host",
    ],
)
def test_no_secret_is_in_a_message(file: Path, entry: object) -> None:
    error = refusal(file, {"mcpServers": {"x": entry}}, KEY="s3cret")
    assert "s3cret" not in str(error)
    assert "s3cret" not in repr(error)
    assert error.__cause__ is None


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with a name")
def test_an_env_file_that_is_a_pipe_is_named_and_not_waited_for(file: Path) -> None:
    os.mkfifo(file.with_name("pipe.env"))
    error = refused_entry(file, {"command": "a", "envFile": "pipe.env"})
    assert 'mcpServers.x.envFile is "pipe.env" (no regular file)' in str(error)


# Warnings


def test_keys_of_other_tools_are_named_in_a_warning(file: Path) -> None:
    entry = {**ECHO, "autoApprove": ["x"], "comand": "y", "frob": "s3cret", "disabledTools": ["z"]}
    (warning,) = load(file, {"mcpServers": {"x": entry}}).warnings
    assert warning == (
        "mcpServers.x: ignored, not ours: autoApprove, comand (did you mean command?), frob, "
        "disabledTools (here: asyncfc.exclude)"
    )


@pytest.mark.parametrize("name", ["asynfc", "asyncFC", "AsyncFc"])
def test_a_mistyped_asyncfc_object_does_not_pass_unseen(file: Path, name: str) -> None:
    loaded = load(file, {"mcpServers": {"x": ECHO}, name: {"mode": "sync"}, "theme": "dark"})
    assert loaded.warnings == (f"{name}: ignored; did you mean asyncfc?",)


def test_a_name_that_stands_twice_is_told(file: Path) -> None:
    file.write_text('{"mcpServers": {"x": {"command": "a"}, "x": {"command": "b"}, /* c */ }}')
    loaded = load_file(file, {})
    assert [server.transport for server in loaded.config.servers] == [StdioEntry(command="b")]
    assert loaded.warnings == ("x: stands twice in one object, the last one counts",)


def test_of_several_lists_one_is_read_and_the_others_named(file: Path) -> None:
    loaded = load(file, {"servers": {"b": ECHO}, "mcpServers": {"a": ECHO}, "mcp": {"servers": {"c": ECHO}}})
    assert [server.key for server in loaded.config.servers] == ["a"]
    assert loaded.warnings == ("servers: ignored, mcpServers is read", "mcp.servers: ignored, mcpServers is read")


def test_the_servers_of_vs_codes_settings_are_found(file: Path) -> None:
    loaded = load(file, {"editor.fontSize": 12, "mcp": {"inputs": [], "servers": {"c": ECHO}}})
    assert [server.key for server in loaded.config.servers] == ["c"]
