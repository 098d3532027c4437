"""What a client of the gateway sees of a server that its user has to sign in to."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import anyio
import pytest

from tests.harness import running, text_of, toy
from tests.sign_in.house import browse, opened

pytestmark = pytest.mark.anyio

ASKED = re.compile(r"it needs you to sign in: (http://\S+?)(?:;|\s|$)")


async def test_calls_fail_with_the_address_it_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with opened() as house:
        servers = {"far": {"url": house.url}, "toy": toy()}
        async with running(servers, state_folder=tmp_path) as client:
            listed = await client.text("list_futures")
            while not (found := ASKED.search(listed)):
                await anyio.lowlevel.checkpoint()
                listed = await client.text("list_futures")
            await browse(found[1])
            while "Server far" in await client.text("list_futures"):
                await anyio.lowlevel.checkpoint()
            assert await client.text("far_echo", text="in", _wait_s=15) == "in"

        # Signed out, but with its tools still known.
        shutil.rmtree(tmp_path / "sign-ins")
        async with running(servers, state_folder=tmp_path) as client:
            refused = await client.call("far_echo", text="out", _wait_s=15)
            assert refused.is_error
            [address] = ASKED.findall(text_of(refused))
            assert address in await client.text("list_futures")
            assert await client.text("echo", text="on", _wait_s=15) == "on"
