"""Resources, prompts, messages and questions are the same with the gateway in between, but for the rules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from tests.fidelity.crossings import ON_HTTP, Crossing, Script, Way, record_crossings
from tests.fidelity.doors import Era, Json
from tests.fidelity.gateways import ERAS
from tests.fidelity.pairs import Pair, Rule
from tests.fidelity.script import SCRIPTS
from tests.fidelity.servers import EVERYTHING, FETCH, GALLERY, MEMORY, NPM, WITHOUT_NPM, RealServer
from tests.fidelity.surface_rules import SURFACE_RULES, listed_by_all
from tests.fidelity.surfaces import LISTS

pytestmark = pytest.mark.real

Recordings = dict[Crossing, Script]
SERVERS = (GALLERY, EVERYTHING, MEMORY, FETCH)
AVAILABLE = tuple(server for server in SERVERS if NPM or not server.needs_npm)
BEHIND: dict[Way, tuple[RealServer, ...]] = {"stdio": AVAILABLE, "http": ON_HTTP}
needs_npm = pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)
ways = pytest.mark.parametrize("way", BEHIND)
eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Every script, directly and behind gateways on stdio and HTTP, for clients of both eras."""
    home = tmp_path_factory.mktemp("surfaces")

    async def record_within_bounds() -> Recordings:
        with anyio.fail_after(120):
            return await record_crossings(AVAILABLE, home)

    return anyio.run(record_within_bounds)


def crossings() -> list[Any]:
    servers: dict[Way, tuple[RealServer, ...]] = {"stdio": SERVERS, "http": ON_HTTP}
    return [
        pytest.param(way, server, id=f"{way}-{server.name}", marks=[needs_npm] if server.needs_npm else [])
        for way, those in servers.items()
        for server in those
    ]


@eras
@pytest.mark.parametrize(("way", "server"), crossings())
def test_a_script_goes_the_same_way_but_for_the_rules(
    recordings: Recordings, way: Way, server: RealServer, era: Era
) -> None:
    for pair in step_pairs(recordings, way, server, era):
        apply_rules(pair)
        assert pair.seen == pair.direct, str(pair.step)


@eras
@ways
@pytest.mark.parametrize("method", LISTS)
def test_a_list_has_all_that_the_servers_list_in_their_order(
    recordings: Recordings, way: Way, era: Era, method: str
) -> None:
    for pair in list_pairs(recordings, way, era, method):
        apply_rules(pair)
        assert pair.seen == pair.direct


@pytest.fixture(scope="module")
def applied(recordings: Recordings) -> set[str]:
    """Which rules had something to do."""
    return {name for pair in all_pairs(recordings) for name in apply_rules(pair)}


@needs_npm
@pytest.mark.parametrize("rule", SURFACE_RULES, ids=lambda rule: rule.name)
def test_every_rule_is_needed(applied: set[str], rule: Rule) -> None:
    assert rule.name in applied


@needs_npm
def test_the_scripts_bring_about_every_kind_of_thing(recordings: Recordings) -> None:
    seen = [one for crossing, script in recordings.items() if crossing.way == "direct" for one in script.seen]
    heard = {one["method"] for each in seen for one in each["heard"]}
    asked = {(one["method"], one["params"].get("mode")) for each in seen for one in each["questions"]}
    results = [each["body"].get("result", {}) for each in seen]
    contents = [content for result in results for content in result.get("contents", [])]
    assert heard == {
        "notifications/message",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
        "notifications/resources/list_changed",
        "notifications/prompts/list_changed",
    }
    assert asked == {
        ("elicitation/create", "form"),
        ("elicitation/create", "url"),
        ("elicitation/create", None),
        ("sampling/createMessage", None),
    }
    assert {key for content in contents for key in content if key in ("text", "blob")} == {"text", "blob"}
    assert any(content["uri"].startswith("ui://") for content in contents)
    assert any(result.get("completion", {}).get("hasMore") for result in results)
    assert any(result.get("ttlMs") for result in results)
    assert any(each["progress"] for each in seen)
    assert any("error" in each["body"] for each in seen)


@eras
@ways
def test_a_difference_that_no_rule_knows_is_found(recordings: Recordings, way: Way, era: Era) -> None:
    for pair in step_pairs(recordings, way, GALLERY, era):
        pair.seen["foreign"] = 1
        apply_rules(pair)
        assert pair.seen != pair.direct


@eras
@ways
def test_every_missing_part_of_a_step_is_found(recordings: Recordings, way: Way, era: Era) -> None:
    for pair in step_pairs(recordings, way, GALLERY, era):
        for part in ("heard", "questions", "progress"):
            if not pair.direct[part]:
                continue
            lacking = copy.deepcopy(pair)
            lacking.seen[part] = lacking.seen[part][1:]
            apply_rules(lacking)
            assert lacking.seen != lacking.direct, f"{part} of {pair.step}"


def apply_rules(pair: Pair) -> list[str]:
    """Take out all that the rules know; the names of those that had something to do."""
    return [rule.name for rule in SURFACE_RULES if rule.kind == pair.kind and rule.take_out(pair)]


def all_pairs(recordings: Recordings) -> Iterator[Pair]:
    for way, servers in BEHIND.items():
        for era in ERAS:
            for server in servers:
                yield from step_pairs(recordings, way, server, era)
            for method in LISTS:
                yield from list_pairs(recordings, way, era, method)


def step_pairs(recordings: Recordings, way: Way, server: RealServer, era: Era) -> Iterator[Pair]:
    """What came of each step; nothing of it is shared with the recordings."""
    direct = copy.deepcopy(recordings[Crossing("direct", era, server.name)])
    seen = copy.deepcopy(recordings[Crossing(way, era, server.name)])
    for step, one, other in zip(SCRIPTS[server.name], direct.seen, seen.seen, strict=True):
        yield Pair("step", server.name, era, one, other, step=step)


def list_pairs(recordings: Recordings, way: Way, era: Era, method: str) -> Iterator[Pair]:
    """One list for all servers, before any script and after each of them, which may have made it longer."""
    servers = [server.name for server in BEHIND[way]]

    def direct(played: int) -> Json:
        scripts = [(server, recordings[Crossing("direct", era, server)]) for server in servers]
        lists: list[tuple[str, Json]] = [
            (server, script.lists_later[method] if position < played else script.lists[method])
            for position, (server, script) in enumerate(scripts)
        ]
        return listed_by_all(method, copy.deepcopy(lists), era)

    before = recordings[Crossing(way, era, servers[0])].lists[method]
    yield Pair("list", "", era, direct(0), copy.deepcopy(before))
    for position, server in enumerate(servers):
        later = recordings[Crossing(way, era, server)].lists_later[method]
        yield Pair("list", "", era, direct(position + 1), copy.deepcopy(later))
