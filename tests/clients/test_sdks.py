"""The clients that people build on work with the gateway, over each transport that they have."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from tests.clients.programs import CLIENTS
from tests.clients.support import Door, Json, Visit, make_place, visit

Way = tuple[str, Door]
WAYS: list[Way] = [
    *((client, "stdio") for client in CLIENTS),
    *((client, "http") for client in CLIENTS),
    ("python-sdk-1", "sse"),
    ("typescript-sdk-1", "sse"),
]
"""HTTP with SSE is what clients of the handshake era fall back to."""

SIDE_BY_SIDE = 3
"""They wait more than they work."""
INSTALLING = threading.Lock()

pytestmark = [pytest.mark.real, pytest.mark.parametrize("way", WAYS, ids="-".join)]

Visits = Callable[[Way], Visit]
NAMES = {
    "python-sdk-1": "mcp",
    "python-sdk-2-legacy": "mcp",
    "python-sdk-2-auto": "mcp",
    "fastmcp-auto": "fastmcp",
    "typescript-sdk-1": "asyncfc-test-typescript",
    "typescript-sdk-2-legacy": "asyncfc-test-typescript",
    "typescript-sdk-2-auto": "asyncfc-test-typescript",
}
"""The TypeScript SDK has no name of its own: every application says its own."""


@pytest.fixture(scope="module")
def visits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Visits]:
    """Each client plays the scenario once by each way that is asked for, a few of them side by side."""

    def play(way: Way) -> Visit:
        client, door = way
        with INSTALLING:
            command = CLIENTS[client]()
        return visit(make_place(tmp_path_factory.mktemp("-".join(way))), command, door)

    tmp_path_factory.getbasetemp()  # made by whoever comes first, and two threads that come at once would both make it
    asked = {way for item in request.session.items if item.path == request.path for way in ways_of(item)}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        made = {way: pool.submit(play, way) for way in WAYS if way in asked}
        yield lambda way: made[way].result()


def ways_of(item: pytest.Item) -> list[Way]:
    assert isinstance(item, pytest.Function)
    return [cast("Way", item.callspec.params["way"])]


def test_it_lists_what_the_gateway_and_its_servers_have(visits: Visits, way: Way) -> None:
    report = visits(way).report
    assert report["tools"][:4] == ["await_future", "get_future", "cancel_future", "list_futures"]
    assert {"echo", "hold", "release"} <= set(report["tools"])
    assert report["resources"] == ["shelf://note"]
    assert report["prompts"] == ["greet"]


def test_a_fast_call_answers_with_its_value(visits: Visits, way: Way) -> None:
    assert text_of(visits(way).report["inline"]) == "hello"


def test_a_slow_call_answers_with_a_token(visits: Visits, way: Way) -> None:
    pending = visits(way).report["pending"]
    assert pending["_meta"]["asyncfc/future"]["state"] == "running"
    assert text_of(pending).startswith(f"{token_of(pending)} stands for the result of hold.")


def test_a_call_that_got_a_token_waits_for_its_value(visits: Visits, way: Way) -> None:
    report = visits(way).report
    assert report["passed_on"]["_meta"]["asyncfc/future"]["state"] == "pending"
    assert f"for the value of {token_of(report['pending'])}" in text_of(report["passed_on"])
    assert text_of(report["awaited"]).startswith("held a")


def test_a_future_can_be_read_as_a_resource(visits: Visits, way: Way) -> None:
    report = visits(way).report
    token = token_of(report["pending"])
    assert future_in(report["running"]) == (token, "running")
    assert future_in(report["settled"]) == (token, "resolved")


def test_who_subscribed_to_a_future_hears_when_it_changes(visits: Visits, way: Way) -> None:
    assert visits(way).report["updated"]


def test_resources_and_prompts_of_a_server_come_through(visits: Visits, way: Way) -> None:
    report = visits(way).report
    assert [(one["uri"], one["text"]) for one in report["note"]["contents"]] == [("shelf://note", "Water the plants.")]
    assert [one["content"]["text"] for one in report["greeting"]["messages"]] == ["Greet Ada."]


def test_a_call_can_be_cancelled(visits: Visits, way: Way) -> None:
    assert re.search(r"fut_hold_\w+ \(toy: hold\) cancell(ing|ed)", text_of(visits(way).report["cancelled"]))


def test_its_own_time_out_is_an_error_to_it(visits: Visits, way: Way) -> None:
    assert re.search("timed? ?out", visits(way).report["own_limit"], re.IGNORECASE)


def test_after_its_own_time_out_it_cancels_the_way_its_era_has_or_is_known_not_to(visits: Visits, way: Way) -> None:
    client, door = way
    requests = visits(way).requests
    (given_up,) = (one["id"] for one in requests if one.get("params", {}).get("name") == "destroy")
    cancels = [one["params"]["requestId"] for one in requests if one["method"] == "notifications/cancelled"]
    dropped = [one["id"] for one in requests if one["method"] == "HTTP dropped"]
    if client == "python-sdk-1":
        assert given_up not in cancels
    elif client.endswith("auto") and door == "http":
        assert given_up in dropped
    else:
        assert given_up in cancels


def test_a_call_that_it_gave_up_leaves_no_token_behind(visits: Visits, way: Way) -> None:
    assert "fut_destroy" not in text_of(visits(way).report["left"])


def test_it_gives_the_name_that_the_limits_go_by(visits: Visits, way: Way) -> None:
    client, _ = way
    said = [info for one in visits(way).requests if (info := client_info(one))]
    assert {info["name"] for info in said} == {NAMES[client]}


def client_info(request: Json) -> Json | None:
    said: Json = request.get("params") or {}
    return said.get("clientInfo") or said.get("_meta", {}).get("io.modelcontextprotocol/clientInfo")


def token_of(result: Json) -> str:
    return result["_meta"]["asyncfc/future"]["token"]


def future_in(read: Json) -> tuple[str, str]:
    (content,) = read["contents"]
    future = json.loads(content["text"])
    return future["token"], future["state"]


def text_of(result: dict[str, Any]) -> str:
    return "\n".join(block["text"] for block in result["content"])
