"""What a client sees of a real server is the same with the gateway in between, but for the rules in `rules.py`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fidelity.doors import Era, connected
from tests.fidelity.gateways import ERAS, MODES, Mode, Side, gateway_command, record_all
from tests.fidelity.pairs import SERVER_INFO, Pair, Rule
from tests.fidelity.recording import Answer, Recording
from tests.fidelity.rules import RULES
from tests.fidelity.servers import EVERYTHING, NPM, SERVERS, WITHOUT_NPM, RealServer, npm_server

pytestmark = pytest.mark.real

Recordings = dict[Side, Recording]
AVAILABLE = tuple(server for server in SERVERS if NPM or not server.needs_npm)
needs_npm = pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Every server, directly and behind the gateway in each mode, for clients of both eras."""
    home = tmp_path_factory.mktemp("fidelity")

    async def record_within_bounds() -> Recordings:
        with anyio.fail_after(120):
            return await record_all(AVAILABLE, home)

    return anyio.run(record_within_bounds)


def per_server() -> list[Any]:
    return [pytest.param(one, id=one.name, marks=[needs_npm] if one.needs_npm else []) for one in SERVERS]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", per_server())
def test_a_server_looks_the_same_but_for_the_rules(
    recordings: Recordings, server: RealServer, mode: Mode, era: Era
) -> None:
    for pair in pairs(recordings, server, mode, era):
        apply_rules(pair, mode)
        assert pair.seen == pair.direct, f"{pair.kind} {pair.call or ''}"


@pytest.fixture(scope="module")
def applied(recordings: Recordings) -> set[tuple[str, Mode]]:
    """Which rules had something to do, and in which mode."""
    return {
        (name, mode)
        for mode in MODES
        for server in AVAILABLE
        for era in ERAS
        for pair in pairs(recordings, server, mode, era)
        for name in apply_rules(pair, mode)
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@needs_npm
def test_every_rule_is_needed_in_each_of_its_modes(applied: set[tuple[str, Mode]], rule: Rule) -> None:
    assert [mode for mode in rule.modes if (rule.name, mode) not in applied] == []


@needs_npm
def test_the_fixed_set_has_every_kind_of_answer(recordings: Recordings) -> None:
    answers = [answer for side, recording in recordings.items() if side.mode is None for answer in recording.answers]
    results = [answer.body["result"] for answer in answers if "result" in answer.body]
    blocks = [block for result in results for block in result["content"]]
    assert {block["type"] for block in blocks} == {"text", "image", "audio", "resource_link", "resource"}
    assert any(result.get("isError") for result in results)
    assert any("error" in answer.body for answer in answers)
    assert any("structuredContent" in result for result in results)
    assert any("annotations" in block for block in blocks)
    assert any(block.get("text") == "" for block in blocks)
    assert any(len(block.get("text", "")) > 100_000 for block in blocks)
    assert any(answer.progress for answer in answers)


@needs_npm
@pytest.mark.parametrize("mode", MODES)
def test_a_difference_that_no_rule_knows_is_found(recordings: Recordings, mode: Mode) -> None:
    for pair in pairs(recordings, EVERYTHING, mode, "legacy"):
        pair.seen["foreign"] = 1
        apply_rules(pair, mode)
        assert pair.seen != pair.direct


def test_no_result_says_that_it_comes_from_another_server_than_the_gateway(recordings: Recordings) -> None:
    for side, recording in recordings.items():
        if side.mode is None:
            continue
        for answer in recording.answers:
            said = answer.body.get("result", {}).get("_meta", {}).get(SERVER_INFO)
            assert said is None or said["name"] == "asyncfc-mcp", side


@needs_npm
@pytest.mark.anyio
async def test_a_server_that_was_there_before_is_quoted_in_the_instructions(tmp_path: Path) -> None:
    program, *arguments = npm_server("everything")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"mcpServers": {"everything": {"command": program, "args": arguments}}}))
    env = {"ASYNCFC_STATE_FOLDER": str(tmp_path / "state")}
    with anyio.fail_after(30):
        async with connected(gateway_command(config), "legacy", env=env) as door:
            await door.client.list_tools()
        async with connected(gateway_command(config), "legacy", env=env) as door:
            assert "everything: # Everything Server" in (door.client.instructions or "")


def apply_rules(pair: Pair, mode: Mode) -> list[str]:
    """Take out all that the rules of this mode know; the names of those that had something to do."""
    return [rule.name for rule in RULES if rule.kind == pair.kind and mode in rule.modes and rule.take_out(pair)]


def pairs(recordings: Recordings, server: RealServer, mode: Mode, era: Era) -> Iterator[Pair]:
    """All that is to be compared; nothing of it is shared with the recordings."""
    direct = copy.deepcopy(recordings[Side(server.name, era, None)])
    seen = copy.deepcopy(recordings[Side(server.name, era, mode)])
    yield Pair("introduction", server.name, era, introduction_of(direct), introduction_of(seen))
    tools = [tool for tool in seen.listing["tools"] if origin_of(tool).get("server") == server.name]
    assert [origin_of(tool)["name"] for tool in tools] == [tool["name"] for tool in direct.listing["tools"]]
    for direct_tool, seen_tool in zip(direct.listing["tools"], tools, strict=True):
        yield Pair("tool", server.name, era, copy.deepcopy(direct_tool), copy.deepcopy(seen_tool))
    yield listing_pair(server, era, direct, seen)
    for position, call in enumerate(server.calls):
        converted = direct.answers_to_converted.get(position)
        yield Pair(
            "answer",
            server.name,
            era,
            answer_of(direct.answers[position]),
            answer_of(seen.answers[position]),
            call,
            answer_of(converted) if converted else None,
        )


def listing_pair(server: RealServer, era: Era, direct: Recording, seen: Recording) -> Pair:
    """The lists as a whole: which tools there are, in which order; each of them is compared on its own."""
    names = [
        {"_meta": {"asyncfc/tool": {"server": server.name, "name": tool["name"]}}} for tool in direct.listing["tools"]
    ]
    shown = [
        {"_meta": {"asyncfc/tool": origin_of(tool)}} if origin_of(tool) else {"name": tool["name"]}
        for tool in seen.listing["tools"]
    ]
    return Pair("listing", server.name, era, {**direct.listing, "tools": names}, {**seen.listing, "tools": shown})


def origin_of(tool: dict[str, Any]) -> dict[str, Any]:
    return tool.get("_meta", {}).get("asyncfc/tool", {})


def introduction_of(recording: Recording) -> dict[str, Any]:
    """The same in both eras, which say it in different places."""
    said = recording.introduction
    return {
        "version": said.get("protocolVersion") or said["supportedVersions"][0],
        "capabilities": said["capabilities"],
        "info": said.get("serverInfo") or said["_meta"][SERVER_INFO],
        "instructions": said.get("instructions"),
    }


def answer_of(answer: Answer) -> dict[str, Any]:
    return asdict(answer)
