"""Log messages of servers: asked for at the level that clients want, and passed on to whom they concern."""

from __future__ import annotations

from typing import Any, get_args

import anyio
import pytest
from mcp_types import INVALID_PARAMS, LoggingLevel, LoggingMessageNotificationParams

from tests.harness import LIMIT_S, Era, running
from tests.passing.support import answer, both_eras, eventually, library, refused, send

pytestmark = pytest.mark.anyio


class Messages:
    """What a client's logging callback is given."""

    def __init__(self) -> None:
        self.texts: list[Any] = []

    async def __call__(self, params: LoggingMessageNotificationParams) -> None:
        self.texts.append(params.data)


@pytest.mark.parametrize("level", get_args(LoggingLevel))
async def test_the_level_of_a_session_is_set_at_its_servers(level: LoggingLevel) -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        await send(gateway, "logging/setLevel", level=level)
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_level") != level:
                pass


async def test_an_unknown_level_is_refused() -> None:
    async with running({"lib": library()}, era="legacy") as gateway, refused() as errors:
        await send(gateway, "logging/setLevel", level="loud")
    assert errors[0].code == INVALID_PARAMS


async def test_the_level_outlives_a_server_that_starts_again() -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        await send(gateway, "logging/setLevel", level="warning")
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_level") != "warning":
                pass
            await gateway.call("lib_stop")
            while await answer(gateway, "lib_level") != "warning":
                pass


async def test_messages_below_the_level_of_a_session_are_left_out() -> None:
    messages = Messages()
    async with running({"lib": library()}, era="legacy", client_options={"logging_callback": messages}) as gateway:
        await send(gateway, "logging/setLevel", level="error")
        await answer(gateway, "lib_say", level="warning", text="not wanted")
        await answer(gateway, "lib_say", level="error", text="wanted")
        await eventually(lambda: messages.texts)
    assert messages.texts == ["wanted"]


async def test_a_session_that_has_not_said_gets_everything() -> None:
    messages = Messages()
    async with running({"lib": library()}, era="legacy", client_options={"logging_callback": messages}) as gateway:
        await answer(gateway, "lib_say", level="debug", text="chatter")
        await eventually(lambda: messages.texts)
    assert messages.texts == ["chatter"]


@both_eras
async def test_messages_in_the_course_of_a_read_reach_its_reader(era: Era) -> None:
    messages = Messages()
    options: dict[str, Any] = {"logging_callback": messages}
    async with running({"lib": library(era="legacy")}, era=era, client_options=options) as gateway:
        meta: Any = {"io.modelcontextprotocol/logLevel": "info"} if era == "auto" else None
        await gateway.client.read_resource("book://lib/talkative", meta=meta)
        await eventually(lambda: messages.texts)
    assert messages.texts == ["read on"]
