"""What a program may hand over as arguments, and what it hears of the rest."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from asyncfc_mcp import ForeignFuture, NotJson
from tests.embedding.support import LIMIT_S, opened

pytestmark = pytest.mark.anyio

HOLDS_ITSELF: dict[str, Any] = {}
HOLDS_ITSELF["text"] = HOLDS_ITSELF
UNSENDABLE: dict[str, tuple[Any, str]] = {
    "NaN": ({"text": [math.nan]}, "float"),
    "an object": ({"text": object()}, "JSON has nothing for object"),
    "a set": ({"text": {1}}, "JSON has nothing for set"),
    "bytes": ({"text": b"x"}, "JSON has nothing for bytes"),
    "a tuple for a key": ({"text": {(1, 2): 3}}, "keys must be"),
    "what holds itself": (HOLDS_ITSELF, "holds itself|Circular"),
    "a list": ([1], "they are of the type list"),
}


@pytest.mark.parametrize("odd", UNSENDABLE)
async def test_what_json_has_nothing_for_is_refused_before_anything_is_sent(odd: str) -> None:
    arguments, fact = UNSENDABLE[odd]
    async with opened() as gateway:
        for call in (gateway.submit, gateway.call):
            with pytest.raises(NotJson, match=rf"the arguments cannot be sent: .*({fact})"):
                await call("echo", arguments)
        told = await gateway.model_call("echo", arguments)
        assert told.is_error
        assert told.text.startswith("the arguments cannot be sent: ")
        assert gateway.futures() == ()


async def test_paths_and_mappings_of_any_kind_are_written_as_json_has_them() -> None:
    async with opened() as gateway:
        arguments = MappingProxyType({"values": [Path("here")], "options": MappingProxyType({"1": (Path("there"),)})})
        said = json.loads((await gateway.call("list_arguments", arguments, timeout_s=LIMIT_S)).text)
        assert said == {"values": ["here"], "options": {"1": ["there"]}}


async def test_a_future_of_another_gateway_never_stands_for_one_of_the_same_name() -> None:
    async with opened() as one, opened() as other:
        theirs = await one.submit("echo", {"text": "of one"}, name="page")
        ours = await other.submit("echo", {"text": "of the other"}, name="page")
        with pytest.raises(ForeignFuture, match=r"fut_page .* is a future of another gateway"):
            await other.call("echo", {"text": theirs})
        assert (await other.model_call("echo", {"text": theirs})).is_error
        assert (await other.call("echo", {"text": ours})).text == "of the other"


async def test_a_name_that_two_scopes_use_is_never_mistaken() -> None:
    async with opened() as gateway:
        theirs = await gateway.scope("chat").submit("echo", {"text": "of the chat"}, name="page")
        assert (await gateway.call("echo", {"text": theirs})).text == "of the chat"
        await gateway.submit("echo", {"text": "ours"}, name="page")
        with pytest.raises(ForeignFuture, match=r"fut_page .* another gateway, run or scope"):
            await gateway.call("echo", {"text": theirs})
