"""What goes from one server to another is written down, without what it says."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.gateway.flows.auditing import AuditLine, AuditLog
from tests.harness import LIMIT_S, running
from tests.questions.support import User
from tests.security.support import Shifty, audited
from tests.transports.support import Place, serving, token, value

pytestmark = pytest.mark.anyio

LINE = AuditLine("me", "me", {"server": "a"}, {"server": "b"}, "allow")


def two(folder: Path) -> dict[str, Any]:
    return {name: Shifty(folder, name).entry() for name in ("notes", "web")}


async def test_a_crossing_is_one_line_of_who_what_and_where_to(tmp_path: Path) -> None:
    async with running(two(tmp_path), state_folder=tmp_path) as gateway:
        token = await gateway.named("notes_say")
        await gateway.call("web_relay", text=f"to {token}".replace(token, "${" + token + "}"), _as="sent")
        (line,) = audited(tmp_path)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line == {
            "principal": "local",
            "scope": "local",
            "from": {"server": "notes", "tool": "say", "future": token},
            "to": {"server": "web", "tool": "relay", "argument": "arguments.text", "future": "fut_sent"},
            "decision": "allow",
        }


async def test_what_stays_with_its_server_is_not_noted_and_what_was_made_from_others_is(tmp_path: Path) -> None:
    servers = {**two(tmp_path), "third": Shifty(tmp_path, "third").entry()}
    async with running(servers, state_folder=tmp_path) as gateway:
        one = await gateway.named("notes_say")
        await gateway.call("notes_relay", text=one)
        assert audited(tmp_path) == []
        relayed = await gateway.named("web_relay", text=one)
        await gateway.call("third_relay", text=relayed)
        noted = [(line["from"], line["to"]["server"]) for line in audited(tmp_path)]
        made = {"server": "web", "tool": "relay", "future": relayed}
        assert noted[1:] == [({**made, "made_from": "notes"}, "third"), (made, "third")]


@pytest.mark.parametrize("decision", ["allow once", "allow for this conversation"])
async def test_the_users_answer_is_noted(tmp_path: Path, decision: str) -> None:
    user = User({"decision": decision})
    flows = [{"policy": "ask"}]
    async with running(
        two(tmp_path), flows=flows, state_folder=tmp_path, era="legacy", client_options=user.options
    ) as gateway:
        token = await gateway.named("notes_say")
        for _ in range(2):
            await gateway.call("web_relay", text=token, _wait_s=LIMIT_S)
        second = decision if decision == "allow once" else "allowed before"
        assert [line["decision"] for line in audited(tmp_path)] == [decision, second]


async def test_a_refusal_is_noted(tmp_path: Path) -> None:
    async with running(two(tmp_path), flows=[{"policy": "deny"}], state_folder=tmp_path) as gateway:
        token = await gateway.named("notes_say")
        await gateway.call("web_relay", text=token)
        with anyio.fail_after(LIMIT_S):
            while not audited(tmp_path):
                await anyio.lowlevel.checkpoint()
        (line,) = audited(tmp_path)
        assert line["decision"] == "deny"
        assert "future" not in line["to"]


async def test_the_log_can_be_switched_off(tmp_path: Path) -> None:
    async with running(two(tmp_path), audit=False, state_folder=tmp_path) as gateway:
        await gateway.call("web_relay", text=await gateway.named("notes_say"))
        assert not (tmp_path / "audit.jsonl").exists()


async def test_a_log_that_cannot_be_written_warns_once_and_stops_nothing(
    tmp_path: Path, logged: list[MutableMapping[str, Any]]
) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    async with running(two(tmp_path), state_folder=tmp_path) as gateway:
        token = await gateway.named("notes_say")
        for _ in range(2):
            assert await gateway.text("web_relay", text=token) == "said"
    assert len([one for one in logged if one["event"] == "audit_not_written"]) == 1


async def test_an_anonymous_callers_token_is_not_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": two(tmp_path)}))
    app = App(load_file(file, os.environ), tmp_path, serves_network=True)
    async with serving(app, "http") as url, Place("http", url, None).client() as client:
        secret = await token(client, "notes_say")
        assert await value(client, "web_relay", text=secret, _wait_s=LIMIT_S) == "said"
    (line,) = audited(tmp_path)
    assert line["principal"] == line["scope"] == "anonymous"
    assert line["from"]["future"] == "fut_say"
    assert secret not in json.dumps(line)


async def test_the_file_is_private(tmp_path: Path) -> None:
    await AuditLog(tmp_path / "state").write([LINE])
    assert stat.S_IMODE((tmp_path / "state" / "audit.jsonl").stat().st_mode) == 0o600


async def test_lines_keep_their_order(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path)
    for number in range(50):
        audit.begin([AuditLine("me", str(number), {}, {}, "allow")])
    await audit.write([AuditLine("me", "last", {}, {}, "allow")])
    assert [line["scope"] for line in audited(tmp_path)] == [*map(str, range(50)), "last"]


async def test_a_file_that_is_full_is_moved_aside_and_three_are_kept(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, most_bytes=300)
    for number in range(20):
        await audit.write([AuditLine("me", str(number), {}, {}, "allow")])
    files = sorted(tmp_path.iterdir())
    assert len(files) <= 3
    kept = [json.loads(line)["scope"] for file in files for line in file.read_text().splitlines()]
    newest = [str(number) for number in range(20)][-len(kept) :]
    assert sorted(kept, key=int) == newest
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_several_gateways_write_to_one_file_and_lose_nothing(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        audit = AuditLog(tmp_path)
        written = [audit.begin([AuditLine(str(writer), str(number), {}, {}, "x" * 500)]) for number in range(100)]
        for one in written:
            one.result(timeout=LIMIT_S)

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    lines = audited(tmp_path)
    for writer in range(4):
        assert [line["scope"] for line in lines if line["principal"] == str(writer)] == [str(n) for n in range(100)]
