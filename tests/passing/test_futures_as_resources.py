"""`future://<token>`: what a future looks like to whoever may see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import INVALID_PARAMS, ResourceTemplateReference

from tests.harness import FREE, Era, GatewayClient, running, text_of, toy
from tests.passing.support import both_eras, refused, text

pytestmark = pytest.mark.anyio


async def look(gateway: GatewayClient, token: str) -> dict[str, Any]:
    result = await gateway.client.read_resource(f"future://{token}", cache_mode="bypass")
    assert result.contents[0].mime_type == "application/json"
    return json.loads(text(result))


@both_eras
async def test_a_resolved_future_shows_its_value(era: Era) -> None:
    async with running(era=era) as gateway:
        token = await gateway.named("record", count=1)
        assert await look(gateway, token) == {
            "token": token,
            "state": "resolved",
            "server": "toy",
            "tool": "record",
            "value": {"items": [{"id": "item-0", "size": 0}]},
        }


@both_eras
async def test_a_failed_future_shows_its_failure_and_what_its_tool_said(era: Era) -> None:
    async with running({"toy": toy(tools={"fail": FREE})}, era=era) as gateway:
        token = await gateway.named("fail", message="no luck")
        seen = await look(gateway, token)
        await gateway.call("echo", text=token, _as="poisoned", _wait_s=0)
        await gateway.call("await_future", futures=["fut_poisoned"])
        poisoned = await look(gateway, "fut_poisoned")
    assert seen["failure"] == {"reason": "tool_error", "message": "no luck"}
    assert seen["content"] == [{"type": "text", "text": "no luck"}]
    assert poisoned["failure"]["reason"] == "poisoned"
    assert poisoned["failure"]["cause"] == token


@both_eras
async def test_an_unsettled_future_shows_its_progress_and_what_it_waits_for(era: Era) -> None:
    async with running(era=era) as gateway:
        running_one = await gateway.token("steps", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        blocked = await gateway.token("echo", text=running_one, _wait_s=0)
        seen, waiting = await look(gateway, running_one), await look(gateway, blocked)
        await gateway.call("release", key="k")
        await gateway.value(blocked)
    assert seen["state"] == "running"
    assert seen["progress"]["total"] == 3
    assert waiting["state"] == "pending"
    assert f"for the value of {running_one}" in waiting["waits"]


@both_eras
async def test_a_value_that_is_no_json_is_shown_as_what_it_is(era: Era) -> None:
    async with running(era=era) as gateway:
        spoken = await look(gateway, await gateway.named("echo", text="just words"))
        picture = await look(gateway, await gateway.named("picture"))
    assert spoken["value"] == "just words"
    assert "value" not in picture
    assert picture["content"][0]["type"] == "image"


@both_eras
async def test_a_cancelled_future_says_so(era: Era) -> None:
    async with running(era=era) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        blocked = await gateway.token("echo", text=token, _wait_s=0)
        await gateway.call("cancel_future", futures=[blocked], reason="not needed")
        seen = await look(gateway, blocked)
        await gateway.call("release", key="k")
    assert seen["state"] == "cancelled"
    assert seen["failure"]["message"] == "not needed"


@both_eras
@pytest.mark.parametrize("token", ["fut_nobody", "not a token", ""])
async def test_a_future_that_is_not_there_is_a_resource_that_is_not_there(era: Era, token: str) -> None:
    async with running(era=era) as gateway, refused() as errors:
        await gateway.client.read_resource(f"future://{token}")
    assert errors[0].code == (INVALID_PARAMS if era == "auto" else -32002)
    assert errors[0].error.data == {"uri": f"future://{token}"}


@both_eras
async def test_what_was_read_is_not_delivered_again(era: Era) -> None:
    async with running(era=era) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("release", key="k")
        while (await look(gateway, token))["state"] != "resolved":
            pass
        assert token not in text_of(await gateway.call("echo", text="next"))


async def test_a_settled_future_may_be_kept_by_its_reader_and_an_unsettled_one_may_not() -> None:
    async with running() as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        unsettled = await gateway.client.read_resource(f"future://{token}")
        await gateway.call("release", key="k")
        await gateway.value(token)
        settled = await gateway.client.read_resource(f"future://{token}")
    assert unsettled.ttl_ms == 0
    assert settled.ttl_ms is not None
    assert settled.ttl_ms > 0
    assert settled.cache_scope == "private"


@both_eras
async def test_tokens_can_be_completed(era: Era) -> None:
    async with running(era=era) as gateway:
        token = await gateway.named("echo", text="x")
        result = await gateway.client.complete(
            ResourceTemplateReference(uri="future://{token}"), {"name": "token", "value": token[:6]}
        )
    assert result.completion.values == [token]


@both_eras
async def test_futures_are_in_no_list(era: Era) -> None:
    async with running(era=era) as gateway:
        await gateway.named("echo", text="x")
        assert (await gateway.client.list_resources()).resources == []


@both_eras
async def test_a_name_means_the_future_of_the_callers_own_chat(era: Era) -> None:
    async with running(era=era) as gateway:
        for chat in ("one", "two"):
            await gateway.call("echo", scope=chat, text=f"said in {chat}", _as="page", _wait_s=0)
            await gateway.call("await_future", scope=chat, futures=["fut_page"])
        meta: Any = {"asyncfc/scope": "one"}
        seen = json.loads(text(await gateway.client.read_resource("future://fut_page", meta=meta)))
    assert seen["value"] == "said in one"
