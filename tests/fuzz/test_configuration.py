"""Any file in the place of a configuration: it is one, or one error says what is wrong, and never what is secret."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import json5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.config.load import ConfigurationError, LoadedConfig, RunsBehindItself, from_command, load_file
from asyncfc_mcp.config.policy import ToolHints, resolve_policy
from asyncfc_mcp.errors import GatewayError
from tests.fuzz.attempts import attempt
from tests.fuzz.budget import examples
from tests.fuzz.hostile import HALVES, KEYS, LEAVES, TEXTS, among, json_of

SECRET = "s3cr3t"
ENVIRON = {
    "PLAIN": f"{SECRET}-text",
    "ADDRESS": f"https://user:{SECRET}@host/{SECRET}?key={SECRET}",
    "FOREIGN": f"{SECRET}\udcff",
    "HOME": "/home/user",
    "EMPTY": "",
}
REFERRING = among(
    [
        *(f"${{{name}}}" for name in ENVIRON),
        "${UNSET}",
        "${UNSET:-default}",
        "${env:PLAIN}",
        "${input:key}",
        "x${PLAIN}y",
    ]
)
SCALARS = LEAVES | HALVES | REFERRING | among(["node", "https://example.org/mcp", "a/../b", "asyncfc-mcp"])
ANYTHING = json_of(SCALARS, KEYS | HALVES)
ENTRY_KEYS = (
    *("command", "args", "env", "envFile", "cwd", "type", "transport", "url", "httpUrl", "serverUrl", "headers"),
    *("oauth", "asyncfc", "disabled", "enabled", "timeout"),
)
SETTING_KEYS = (
    *("mode", "inline_wait_s", "timeout_s", "concurrency", "prefix", "trust", "include", "tools", "store", "schema"),
    *("flows", "max_argument_mb", "ttl_s", "reads", "writes", "name", "from", "policy"),
)
OAUTH_KEYS = ("enabled", "clientId", "clientSecret", "scopes", "scope", "redirectUri", "callbackPort")


def some_of(keys: tuple[str, ...], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(among(keys) | KEYS, values, max_size=5)


SETTINGS = some_of(SETTING_KEYS, ANYTHING | some_of(SETTING_KEYS, ANYTHING))
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | some_of(OAUTH_KEYS, SCALARS) | SETTINGS


def both(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**base, **more}


ENTRIES = st.builds(
    both,
    among([{"command": "node"}, {"url": "https://example.org/mcp"}, {}]),
    some_of(ENTRY_KEYS, VALUES),
)
SERVERS = st.dictionaries(KEYS | HALVES, ENTRIES | ANYTHING, min_size=1, max_size=3)
DOCUMENTS = st.fixed_dictionaries(
    {"mcpServers": SERVERS}, optional={"asyncfc": SETTINGS | ANYTHING, "servers": ANYTHING, "mcp": ANYTHING}
)
DIGITS = "9" * 5000


def as_json5(document: Any) -> bytes:
    return json5.dumps(document).encode("utf-8", "backslashreplace")


def with_comment(document: Any) -> bytes:
    return f"// a comment\n{json.dumps(document)}".encode()


FILES = (
    st.binary(max_size=60)
    | TEXTS.map(str.encode)
    | (ANYTHING | DOCUMENTS).map(lambda document: json.dumps(document).encode())
    | DOCUMENTS.map(as_json5)
    | DOCUMENTS.map(with_comment)
)


def loaded(content: bytes) -> LoadedConfig | ConfigurationError:
    with tempfile.TemporaryDirectory() as folder:
        return loaded_in(folder, content)


def loaded_in(folder: str, content: bytes) -> LoadedConfig | ConfigurationError:
    file = Path(folder, "config.json")
    file.write_bytes(content)
    return attempt(lambda: load_file(file, ENVIRON), ConfigurationError)


def assert_usable(found: LoadedConfig | ConfigurationError) -> None:
    """It names the file and each place and shows no secret, or all of it can be written down and has its policies."""
    if isinstance(found, ConfigurationError):
        assert str(found).startswith(f"{found.file}: ")
        assert all(problem.key and problem.allowed for problem in found.problems)
        assert SECRET not in str(found)
        str(found).encode()
        return
    assert SECRET not in "".join(found.warnings)
    "".join(found.warnings).encode()
    for entry in found.config.servers:
        entry.key.encode()
        resolve_policy(entry, "tool", ToolHints(), has_ui=False, pack=None)


@examples(80)
@given(FILES)
def test_every_file_is_a_configuration_or_one_error(content: bytes) -> None:
    assert_usable(loaded(content))


@pytest.mark.parametrize(
    "entry",
    [
        f'{{"command":"x","args":[{DIGITS}]}}',
        f'{{"command":"x","timeout":{DIGITS}}}',
        f'{{"command":"x","args":[0x{DIGITS}]}}',
        f'{{"command":"x","asyncfc":{{"timeout_s":0x{DIGITS}}}}}',
        f"0x{DIGITS}",
    ],
)
def test_a_number_of_5000_digits_is_one_error(entry: str) -> None:
    found = loaded(f'{{"mcpServers":{{"a":{entry}}}}}'.encode())
    assert isinstance(found, ConfigurationError)
    assert "digits" in str(found)


@pytest.mark.parametrize("key", ["command", "cwd", "envFile"])
@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b"])
def test_a_text_that_no_program_can_be_given_is_refused_in_its_place(key: str, text: str) -> None:
    found = loaded(f'{{"mcpServers":{{"a":{{"command":"x","{key}":"{text}"}}}}}}'.encode())
    assert isinstance(found, ConfigurationError)
    assert f"mcpServers.a.{key}" in str(found)


@pytest.mark.parametrize(
    "entry",
    [
        r'{"command":"x","args":["a\u0000b"]}',
        r'{"command":"x","env":{"NAME":"a\u0000b"}}',
        r'{"command":"x","env":{"A=B":"c"}}',
        r'{"command":"x","env":{"":"c"}}',
        r'{"url":"http://x/","headers":{"a\nb":"c"}}',
        r'{"url":"http://x/\ud800"}',
        r'{"url":"http://x/","oauth":{"clientId":"\udfff"}}',
        r'{"command":"x","asyncfc":{"prefix":"x","tools":{"\ud800":{}}}}',
    ],
)
def test_what_could_not_be_handed_over_later_is_refused_at_once(entry: str) -> None:
    assert isinstance(loaded(f'{{"mcpServers":{{"a":{entry}}}}}'.encode()), ConfigurationError)


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "${PLAIN}"},
        {"url": "x${ADDRESS}"},
        {"command": "x", "envFile": "${PLAIN}"},
        {"url": "http://x/", "oauth": {"redirectUri": "${ADDRESS}"}},
        {"url": "http://x/", "headers": {"x": "${FOREIGN}"}},
    ],
)
def test_what_a_variable_holds_is_in_no_message(entry: dict[str, Any]) -> None:
    found = loaded(json.dumps({"mcpServers": {"a": entry}}).encode())
    assert isinstance(found, ConfigurationError)
    assert SECRET not in str(found)
    assert "mcpServers.a." in str(found)


def test_nesting_behind_a_comment_is_said_to_be_nesting() -> None:
    assert "nested too deeply" in str(loaded(b"//\n" + b"[" * 100_000))


@examples(40)
@given(DOCUMENTS)
def test_comments_change_nothing(document: dict[str, Any]) -> None:
    plain, commented = json.dumps(document), f"/* a comment */ {json.dumps(document)}"
    with tempfile.TemporaryDirectory() as folder:  # the same for both: what is relative is relative to the file
        one, other = (loaded_in(folder, content.encode()) for content in (plain, commented))
    if isinstance(one, LoadedConfig):
        assert isinstance(other, LoadedConfig)
        assert repr(one.config.servers) == repr(other.config.servers)
        assert one.warnings == other.warnings


@examples(60)
@given(st.lists(TEXTS | among(["npx", "-y", "asyncfc-mcp", "serve", "python3", "-m", "/", "@"]), max_size=4))
def test_every_command_line_is_a_configuration_or_one_error(argv: list[str]) -> None:
    found = attempt(lambda: from_command(argv, ENVIRON), GatewayError)
    if isinstance(found, GatewayError):
        assert isinstance(found, ConfigurationError | RunsBehindItself)
        return
    (entry,) = found.config.servers
    assert 1 <= len(entry.key) <= 24
    assert entry.key.isascii()
