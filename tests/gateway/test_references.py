"""Tokens as arguments, end to end."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.harness import FREE, running, text_of, toy

pytestmark = pytest.mark.anyio

ALL_FREE = toy(
    tools=dict.fromkeys(("echo", "add", "record", "hold", "hold_and_fail", "list_arguments", "picture"), FREE)
)


async def test_a_token_stands_for_the_text_and_the_call_waits_for_it() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        first = await gateway.token("hold", key="a")
        second = await gateway.token("echo", text=first)
        await gateway.call("release", key="a")
        assert "held a" in await gateway.value(second)


async def test_a_path_reaches_into_the_value() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.named("record", count=3)
        assert await gateway.text("echo", text=f"{token}/items/1/id", _wait_s=5) == "item-1"
        assert await gateway.text("echo", text=f"{token}.items[2].id", _wait_s=5) == "item-2"
        assert await gateway.text("add", a=f"{token}/items/2/size", b=40, _wait_s=5) == "42"


async def test_a_token_inside_a_longer_text_is_filled_in() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.named("record", count=1)
        said = await gateway.text("echo", text="<${" + token + "/items/0/id}> of $${fut_x}", _wait_s=5)
        assert said == "<item-0> of ${fut_x}"


async def test_tokens_are_found_at_any_depth_and_keep_their_json() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.named("record", count=1)
        options = {"deep": [{"here": f"{token}/items"}]}
        said = await gateway.text("list_arguments", values=[f"{token}/items/0/id", "b"], options=options, _wait_s=5)
        assert json.loads(said) == {
            "values": ["item-0", "b"],
            "options": {"deep": [{"here": [{"id": "item-0", "size": 0}]}]},
        }


async def test_a_named_future_can_be_referred_to_by_a_call_sent_with_it() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        answers: dict[str, str] = {}

        async def call(name: str, text: str) -> None:
            answers[name] = await gateway.text("echo", text=text, _as=name, _wait_s=5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "last", "${fut_middle}!")
            tasks.start_soon(call, "middle", "fut_first")
            tasks.start_soon(call, "first", "hello")
        assert answers == {"first": "hello", "middle": "hello", "last": "hello!"}


async def test_a_name_is_taken_once() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        assert await gateway.token("hold", key="a", _as="page") == "fut_page"
        result = await gateway.call("echo", text="x", _as="page")
        assert result.is_error
        assert "fut_page already names a live future" in text_of(result)


async def test_a_name_belongs_to_its_scope_first() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        await gateway.call("echo", text="one", _as="x", scope="chat1")
        await gateway.call("echo", text="two", _as="x", scope="chat2")
        assert await gateway.text("await_future", futures="fut_x", scope="chat1") == "one"
        assert await gateway.text("await_future", futures="fut_x", scope="chat2") == "two"


async def test_a_name_that_never_comes_is_unknown_and_the_live_tokens_are_named() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        live = await gateway.token("hold", key="a")
        result = await gateway.call("echo", text="fut_nobody")
        assert result.is_error
        assert "fut_nobody is not known" in text_of(result)
        assert live in text_of(result)


async def test_a_failure_poisons_what_needs_the_value() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        first = await gateway.token("hold_and_fail", key="a", message="disk full")
        second = await gateway.token("echo", text=first)
        third = await gateway.token("echo", text=second)
        await gateway.call("release", key="a")
        result = await gateway.call("await_future", futures=[third])
        assert result.is_error
        assert "poisoned" in text_of(result)
        assert first in text_of(result)
        assert "disk full" in text_of(result)


async def test_an_image_cannot_stand_for_text_and_the_error_says_so() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.named("picture")
        result = await gateway.call("echo", text=token, _wait_s=5)
        assert result.is_error
        assert "image" in text_of(result)
        assert token in text_of(result)


async def test_a_value_of_the_wrong_type_names_token_and_argument() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.named("echo", text="no number")
        result = await gateway.call("add", a=token, b=1, _wait_s=5)
        assert result.is_error
        assert token in text_of(result)
        assert "arguments.a" in text_of(result)


async def test_a_missing_argument_beside_a_token_is_found_at_once() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        result = await gateway.call("add", a=token)
        assert result.is_error
        assert "b" in text_of(result)


async def test_numbers_that_a_client_sent_as_text_are_converted() -> None:
    async with running({"toy": ALL_FREE}) as gateway:
        assert await gateway.text("add", a="40", b="2") == "42"


async def test_text_that_only_looks_like_a_token_is_data() -> None:
    async with running({"toy": ALL_FREE}) as gateway:
        for text in ("future_plans", "fut", "see fut_report_1a2b.json", "fut_report_1a2b.json"):
            assert await gateway.text("echo", text=text) == text


async def test_embedding_can_be_switched_off() -> None:
    async with running({"toy": ALL_FREE}, inline_wait_s=0, embed=False) as gateway:
        token = await gateway.named("record", count=1)
        text = "<${" + token + "/items/0/id}>"
        assert await gateway.text("echo", text=text, _wait_s=5) == text
