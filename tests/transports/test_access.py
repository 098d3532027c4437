"""Who comes in over the network: Host and Origin, the bearer token, and where the gateway may listen without one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from asyncfc_mcp.transports.access import Access, NoAddress, OpenToEverybody, TokenFault, token_from
from asyncfc_mcp.transports.listener import AddressUnusable, Listener
from tests.transports.support import TOKEN, Kind, place

pytestmark = pytest.mark.anyio

every_network = pytest.mark.parametrize("kind", ["http", "sse"])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert Access.to(host, token=None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example.org", ""])
def test_other_addresses_need_a_token_or_insecure(host: str) -> None:
    with pytest.raises(OpenToEverybody, match="ASYNCFC_TOKEN"):
        Access.to(host, token=None)
    assert Access.to(host, token=TOKEN).token == TOKEN
    assert Access.to(host, token=None, is_insecure=True).token is None


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Access.to("0.0.0.0", token=TOKEN))


def test_the_token_of_the_file_comes_before_that_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}\n")
    assert token_from({"ASYNCFC_TOKEN": "another-one-of-16-characters"}, file) == TOKEN
    assert token_from({"ASYNCFC_TOKEN": TOKEN}, None) == TOKEN
    assert token_from({}, None) is None


@pytest.mark.parametrize(
    ("text", "fact"),
    [("", "is empty"), (" \n", "is empty"), ("fifteen-letters", "fewer than 16"), ("spaces in the secret", "header")],
)
def test_a_token_that_is_none_is_named_without_being_shown(tmp_path: Path, text: str, fact: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    for environ, path in (({"ASYNCFC_TOKEN": text}, None), ({}, file)):
        with pytest.raises(TokenFault, match=fact) as fault:
            token_from(environ, path)
        assert not text.strip() or text.strip() not in str(fault.value)


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenFault, match="no such file"):
        token_from({}, tmp_path / "nowhere")


def test_a_port_in_use_and_a_host_that_is_not_ours_are_refused() -> None:
    first = Listener("127.0.0.1", 0)
    try:
        with pytest.raises(AddressUnusable, match=f"127.0.0.1 port {first.port}: address already in use"):
            Listener("127.0.0.1", first.port)
    finally:
        first.close()
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1"):
        Listener("192.0.2.1", 0)
    for host in ("", "x" * 70, "no.such.host.invalid"):
        with pytest.raises(AddressUnusable, match="--host"):
            Listener(host, 0)


@every_network
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example.com"}, 421),
        ({"host": "localhost.evil.example.com:80"}, 421),
        ({"host": "192.0.2.1:8765"}, 421),
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost"}, None),
        ({"host": "[::1]:1234", "origin": "http://localhost:6274"}, None),
    ],
)
async def test_a_request_meant_for_somebody_else_is_refused(
    kind: Kind, headers: dict[str, str], status: int | None
) -> None:
    async with place(kind) as gateway, gateway.http() as http:
        # a path that answers at once on both
        url = gateway.url.replace("/sse", "/messages/")
        answer = await http.client.post(url, json=http.message("ping"), headers=headers)
        assert (answer.status_code if answer.status_code in {421, 403} else None) == status
        if status is not None:
            assert "--allow-" in answer.text


async def test_further_hosts_are_let_in_by_name_with_any_port() -> None:
    access = Access.to("0.0.0.0", token=TOKEN, more_hosts=["lan.example.org", "one.example.org:8443"])
    assert {"lan.example.org", "lan.example.org:*", "one.example.org:8443", "localhost:*"} <= set(access.hosts)
    assert "one.example.org:*" not in access.hosts
    assert "https://lan.example.org:*" in access.origins
    assert not any(host.startswith("0.0.0.0") for host in access.hosts)


@every_network
async def test_with_a_token_only_those_who_bring_it_come_in(kind: Kind) -> None:
    async with place(kind, token=TOKEN) as gateway, gateway.http() as http:
        for sent in (None, "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            http.client.headers.pop("authorization", None)
            headers = {"authorization": sent} if sent else {}
            for path in ("", "/nowhere"):
                answer = await http.client.post(gateway.url + path, json=http.message("ping"), headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert TOKEN not in answer.text
        async with gateway.client("legacy") as client:
            assert len((await client.list_tools()).tools) > 4


async def test_a_session_does_not_let_in_who_brings_no_token() -> None:
    async with place("http", token=TOKEN) as gateway, gateway.http() as http:
        await http.initialize()
        assert (await http.post(http.message("ping"))).status_code == 200
        assert (await http.post(http.message("ping"), authorization="Bearer wrong")).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"host": "127.0.0.1:9000"}, "--host"),
        ({"host": "http://127.0.0.1"}, "--host"),
        ({"more_hosts": ["https://lan.example.org"]}, "--allow-host"),
        ({"more_hosts": ["lan.example.org/mcp"]}, "--allow-host"),
        ({"more_origins": ["lan.example.org"]}, "--allow-origin"),
        ({"more_origins": ["https://lan.example.org/"]}, "--allow-origin"),
    ],
)
def test_a_name_that_no_request_could_match_is_refused(wrong: dict[str, Any], option: str) -> None:
    given: dict[str, Any] = {"host": "127.0.0.1", "token": None, **wrong}
    with pytest.raises(NoAddress, match=option):
        Access.to(**given)


def test_names_and_origins_with_ports_and_in_brackets_are_taken() -> None:
    names, origins = ["lan.example.org:8443", "[fe80::1]:8443", "[fe80::1]"], ["https://lan.example.org:8443", "null"]
    access = Access.to("::1", token=None, more_hosts=names, more_origins=origins)
    assert {*names} <= set(access.hosts)
    assert {*origins} <= set(access.origins)


@every_network
async def test_a_path_where_nothing_is_names_the_one_where_mcp_is(kind: Kind) -> None:
    async with place(kind) as gateway, gateway.http() as http:
        path = "/" + gateway.url.rpartition("/")[2]
        answer = await http.client.get(gateway.url.removesuffix(path) + "/nowhere")
        assert answer.status_code == 404
        assert f"MCP is at {path}" in answer.text


@every_network
async def test_a_request_without_the_token_is_said_in_the_log_but_not_what_it_brought(kind: Kind) -> None:
    async with place(kind, token=TOKEN) as gateway, gateway.http() as http:
        with structlog.testing.capture_logs() as lines:
            for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}):
                http.client.headers.pop("authorization", None)
                await http.client.post(gateway.url, json=http.message("ping"), headers=headers)
        refused = [line["why"] for line in lines if line["event"] == "request_refused"]
        assert refused == ["it brings no bearer token", "it brings a wrong bearer token"]
        assert TOKEN not in str(lines)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_address_that_is_named_is_one_that_is_let_in(host: str) -> None:
    assert "localhost" in Access.to(host, token=TOKEN).hosts
    with closing(Listener(host, 0)) as listener:
        assert listener.origin == f"http://localhost:{listener.port}"
