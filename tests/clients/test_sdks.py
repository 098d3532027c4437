"""The clients that people build on work with the gateway: lists, inline results, tokens, awaiting, cancelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.support import CLIENTS, Visit, make_place, visit

pytestmark = [pytest.mark.real, pytest.mark.parametrize("client", CLIENTS)]

Visits = Callable[[str], Visit]
NAMES = {
    "python-sdk-2-legacy": "mcp",
    "python-sdk-2-auto": "mcp",
    "python-sdk-1": "mcp",
    "typescript-sdk-1": "asyncfc-test-typescript",
}
"""The TypeScript SDK has no name of its own: every application says its own."""
SENDS_NO_CANCEL = {"python-sdk-1"}


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    """Each client plays the scenario once, when the first test asks for it."""
    known: dict[str, Visit] = {}

    def visit_of(client: str) -> Visit:
        if client not in known:
            command = CLIENTS[client]()
            known[client] = visit(make_place(tmp_path_factory.mktemp(client)), command)
        return known[client]

    return visit_of


def test_it_lists_the_tools_of_the_gateway_and_of_the_server(visits: Visits, client: str) -> None:
    tools = visits(client).report["tools"]
    assert tools[:4] == ["await_future", "get_future", "cancel_future", "list_futures"]
    assert {"echo", "hold", "release"} <= set(tools)


def test_a_fast_call_answers_with_its_value(visits: Visits, client: str) -> None:
    assert text_of(visits(client).report["inline"]) == "hello"


def test_a_slow_call_answers_with_a_token(visits: Visits, client: str) -> None:
    pending = visits(client).report["pending"]
    future = pending["_meta"]["asyncfc/future"]
    assert future["state"] == "running"
    assert text_of(pending).startswith(f"{future['token']} stands for the result of hold.")


def test_a_call_that_got_a_token_waits_for_its_value(visits: Visits, client: str) -> None:
    report = visits(client).report
    token = report["pending"]["_meta"]["asyncfc/future"]["token"]
    assert report["passed_on"]["_meta"]["asyncfc/future"]["state"] == "pending"
    assert f"for the value of {token}" in text_of(report["passed_on"])
    assert text_of(report["awaited"]).startswith("held a")


def test_a_call_can_be_cancelled(visits: Visits, client: str) -> None:
    assert re.search(r"fut_hold_\w+ \(toy: hold\) cancell(ing|ed)", text_of(visits(client).report["cancelled"]))


def test_its_own_time_out_is_an_error_to_it(visits: Visits, client: str) -> None:
    assert re.search("timed? ?out", visits(client).report["own_limit"], re.IGNORECASE)


def test_after_its_own_time_out_it_sends_a_cancel_or_is_known_not_to(visits: Visits, client: str) -> None:
    requests = visits(client).requests
    timed_out = next(one["id"] for one in requests if one.get("params", {}).get("name") == "destroy")
    cancels = [one for one in requests if one["method"] == "notifications/cancelled"]
    assert [one["params"]["requestId"] for one in cancels] == ([] if client in SENDS_NO_CANCEL else [timed_out])


def test_a_call_that_it_gave_up_leaves_no_token_behind(visits: Visits, client: str) -> None:
    assert "fut_destroy" not in text_of(visits(client).report["left"])


def test_it_gives_the_name_that_the_limits_go_by(visits: Visits, client: str) -> None:
    (first, *_) = visits(client).requests
    said: dict[str, Any] = first["params"]
    info = said.get("clientInfo") or said["_meta"]["io.modelcontextprotocol/clientInfo"]
    assert info["name"] == NAMES[client]


def text_of(result: dict[str, Any]) -> str:
    return "\n".join(block["text"] for block in result["content"])
