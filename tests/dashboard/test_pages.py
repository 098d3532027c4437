"""The dashboard over HTTP: who is let in, what is said, and how updates come."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import psutil
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Message

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.dashboard.directory import RunningGateway, announced, running_gateways
from asyncfc_mcp.dashboard.feed import IDLE_PAUSE_S, Feed
from asyncfc_mcp.dashboard.guard import Guard
from asyncfc_mcp.dashboard.snapshot import Identity, View
from tests.bounds import bound_s
from tests.dashboard.support import LIMIT_S, TOKEN, Watched, watched
from tests.harness import TOY, toy
from tests.transports.support import serving

pytestmark = pytest.mark.anyio

DATA = ("/snapshot", "/events", "/session")
SECRET = "hunter2-planted"


@asynccontextmanager
async def events(gateway: Watched, **headers: str) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
    """The events of the feed, each with its `id` and `event`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def read(response: httpx2.Response) -> AsyncGenerator[dict[str, Any]]:
        event: dict[str, Any] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
            elif "data" in event:
                yield {**json.loads(event["data"]), "id": event["id"], "event": event["event"]}
                event = {}
            else:
                event = {}

    with anyio.fail_after(bound_s(LIMIT_S)):
        async with (
            gateway.http(gateway.gateway.token) as http,
            http.stream("GET", "/events", headers=named) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            yield read(response)


@pytest.mark.parametrize("path", DATA)
async def test_nothing_is_said_without_the_token(path: str, tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        for token in (None, "a-wrong-one", gateway.gateway.token[:-1] if gateway.gateway.token else ""):
            async with gateway.http(token) as http:
                answer = await http.get(path)
                assert answer.status_code == 401
                assert "toy" not in answer.text


async def test_the_token_of_the_gateway_lets_in_too(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path, token=TOKEN) as gateway, gateway.http(TOKEN) as http:
        assert (await http.get("/snapshot")).status_code == 200


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_it_is_there_on_every_transport_over_http(kind: Literal["http", "sse"], tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"toy": toy()}}))
    app = App(load_file(file, os.environ), tmp_path, serves_network=True)
    with anyio.fail_after(bound_s(LIMIT_S)):
        async with serving(app, kind, token=TOKEN) as url, httpx2.AsyncClient() as http:
            page = str(httpx2.URL(url).join("/dashboard"))
            assert (await http.get(page)).status_code == 200
            assert (await http.get(f"{page}/snapshot")).status_code == 401
            snapshot = await http.get(f"{page}/snapshot", headers={"authorization": f"Bearer {TOKEN}"})
            assert snapshot.json()["gateway"]["transport"] == kind


async def test_the_token_is_traded_for_a_cookie_that_is_not_the_token(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, gateway.http() as http:
        bearer = {"authorization": f"Bearer {gateway.gateway.token}"}
        cookie = (await http.post("/session", headers=bearer)).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/dashboard" in cookie
        assert (gateway.gateway.token or "?") not in cookie
        assert (await http.get("/snapshot")).status_code == 200


async def test_a_ticket_opens_the_page_once_and_nothing_else(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        async with gateway.http() as stranger:
            assert (await stranger.post("/ticket")).status_code == 401
        async with gateway.http(gateway.gateway.token) as owner:
            ticket = (await owner.post("/ticket")).json()["ticket"]
        async with gateway.http(ticket) as browser:
            assert (await browser.get("/snapshot")).status_code == 401
            assert (await browser.post("/session")).status_code == 204
        async with gateway.http(ticket) as another:
            assert (await another.post("/session")).status_code == 401


async def test_a_ticket_that_is_used_too_late_opens_nothing() -> None:
    guard = Guard(80, ticket_life_s=0.0)
    routes = [Route("/ticket", guard.give_ticket, methods=["POST"]), Route("/", guard.open_session, methods=["POST"])]
    transport = httpx2.ASGITransport(Starlette(routes=routes))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        ticket = (await http.post("/ticket")).json()["ticket"]
        assert (await http.post("/", headers={"authorization": f"Bearer {ticket}"})).status_code == 401


async def test_a_cookie_of_an_earlier_run_lets_nobody_in(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, gateway.http() as http:
        name = f"asyncfc_dashboard_{httpx2.URL(gateway.page).port}"
        assert (await http.get("/snapshot", headers={"cookie": f"{name}=of-yesterday"})).status_code == 401


async def test_the_page_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, gateway.http() as http:
        for path in ("", "/style.css", "/dashboard.js", "/icon.svg"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
        page = (await http.get("")).text
        assert "<style" not in page
        assert "style=" not in page
        assert page.count("<script") == page.count('src="/dashboard/dashboard.js"') == 1


async def test_foreign_web_pages_cannot_read_it(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, gateway.http(gateway.gateway.token) as http:
        assert (await http.get("/snapshot", headers={"host": "attacker.example"})).status_code == 421
        assert (await http.get("/snapshot", headers={"origin": "https://attacker.example"})).status_code == 403


async def test_the_snapshot_says_calls_servers_and_settings(tmp_path: Path) -> None:
    async with watched({"toy": toy(concurrency=3)}, tmp_path, order="strict") as gateway:
        await gateway.call("echo", wait_s=5, text="hello")
        async with gateway.http(gateway.gateway.token) as http:
            snapshot = (await http.get("/snapshot")).json()
    (span,) = snapshot["spans"]
    assert (span["server"], span["tool"], span["state"]) == ("toy", "echo", "resolved")
    (server,) = snapshot["servers"]
    assert (server["key"], server["state"], server["message"]) == ("toy", "ready", "")
    settings = {one["name"]: one for one in snapshot["settings"]["gateway"]}
    assert settings["order"] == {"name": "order", "value": "strict", "is_default": False}
    assert settings["concurrency"]["is_default"]
    (of_server,) = snapshot["settings"]["servers"]
    assert {"name": "concurrency", "value": 3, "is_default": False} in of_server["settings"]


async def test_planted_secrets_are_not_on_it(tmp_path: Path) -> None:
    servers = {
        "toy": {**toy(tools={"put": {"writes": ["{key}"]}}), "env": {"TOKEN": SECRET}},
        "web": {"url": f"http://127.0.0.1:1/{SECRET}", "headers": {"Authorization": SECRET}},
        "tool": {"command": f"no-such-{SECRET}", "args": [SECRET]},
    }
    store = f"sqlite:///{tmp_path / SECRET}.db"
    async with watched(servers, tmp_path, store=store) as gateway:
        await gateway.call("put", wait_s=5, key=SECRET, value=SECRET)
        await gateway.call("fail", wait_s=5, message=SECRET)
        async with gateway.http(gateway.gateway.token) as http:
            text = (await http.get("/snapshot")).text
        snapshot = json.loads(text)
        assert [span["state"] for span in snapshot["spans"]] == ["resolved", "failed"]
        del snapshot["servers"][2]["message"]  # why a command cannot be started names the command: the user's own line
        assert SECRET not in json.dumps(snapshot)


async def test_tokens_of_anonymous_callers_are_not_whole(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        answer = await gateway.client.call_tool("hold", {"key": "k", "_wait_s": 0})
        assert answer.meta is not None
        token: str = answer.meta["asyncfc/future"]["token"]
        async with gateway.http(gateway.gateway.token) as http:
            text = (await http.get("/snapshot")).text
        assert token not in text
        assert json.loads(text)["spans"][0]["token"] == token.rpartition("_")[0]
        await gateway.call("release", wait_s=5, key="k")


async def test_the_feed_begins_with_a_snapshot_and_goes_on_with_changes(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, events(gateway) as stream:
        first = await anext(stream)
        assert (first["event"], first["spans"]) == ("snapshot", [])
        await gateway.call("echo", wait_s=5, text="hello")
        change = await anext(stream)
        assert change["event"] == "changes"
        assert [span["tool"] for span in change["spans"]] == ["echo"]
        assert "settings" not in change  # only what is new


async def test_a_server_that_goes_down_while_nothing_is_called_is_shown_soon(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(f"import runpy; runpy.run_path({str(TOY)!r}, run_name='__main__')")
    servers = {"toy": {**toy(), "args": [str(script)]}}
    async with watched(servers, tmp_path) as gateway, events(gateway) as stream:
        await anext(stream)
        script.unlink()
        for child in psutil.Process().children(recursive=True):
            if str(script) in child.cmdline():
                child.kill()
        with anyio.fail_after(bound_s(IDLE_PAUSE_S / 2)):
            assert (await anext(stream))["servers"][0]["state"] != "ready"


async def test_who_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        async with events(gateway) as stream:
            last_seen = (await anext(stream))["id"]
        await gateway.call("echo", wait_s=5, text="hello")
        async with events(gateway, last_event_id=last_seen) as stream:
            missed = await anext(stream)
            assert (missed["event"], len(missed["spans"])) == ("changes", 1)


async def test_who_comes_back_to_another_run_gets_all_of_it(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, events(gateway, last_event_id="00000000-99") as stream:
        assert (await anext(stream))["event"] == "snapshot"


async def test_many_calls_come_in_few_updates(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway, events(gateway) as stream:
        await anext(stream)
        began = anyio.current_time()
        for number in range(40):
            await gateway.call("echo", wait_s=5, text=str(number))
        told: dict[int, str] = {}
        updates = 0
        while sum(state == "resolved" for state in told.values()) < 40:
            told |= {span["number"]: span["state"] for span in (await anext(stream))["spans"]}
            updates += 1
        assert updates <= 2 + (anyio.current_time() - began) / 0.1


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        view = View(gateway.app.gateway, Identity(1, 0.0, "http"), lambda: gateway.app.gateway.config)
        feed = Feed(view, most_sending_s=0.05)
        sent: list[Message] = []

        async def receive() -> Message:
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)
            if b"snapshot" in message.get("body", b""):
                await anyio.sleep_forever()

        with anyio.fail_after(bound_s(LIMIT_S)):
            await feed({"type": "http", "headers": []}, receive, send)
        assert len(sent) == 3


async def test_a_gateway_is_in_the_directory_while_it_runs(tmp_path: Path) -> None:
    async with watched({"toy": toy()}, tmp_path) as gateway:
        entry = tmp_path / "gateways" / f"{os.getpid()}.json"
        assert entry.stat().st_mode & 0o077 == 0
        assert gateway.gateway.servers == ("toy",)
        assert (gateway.gateway.token or "?") not in repr(gateway.gateway)
    assert running_gateways(tmp_path) == []
    assert not entry.exists()


async def test_what_a_killed_gateway_left_is_cleared_away(tmp_path: Path) -> None:
    with announced(tmp_path, RunningGateway(1234, 0.0, "stdio", ())):
        left = (tmp_path / "gateways" / "1234.json").read_bytes()
    stale = tmp_path / "gateways" / "4321.json"
    stale.write_bytes(left.replace(b"1234", b"4321"))
    assert running_gateways(tmp_path) == []
    assert not stale.exists()
