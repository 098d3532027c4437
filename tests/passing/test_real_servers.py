"""The same through the gateway with real servers from npm: ASYNCFC_TEST_NPM names a folder with `node_modules`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import PromptReference, ResourceTemplateReference

from tests.harness import FREE, LIMIT_S, Era, running
from tests.passing.support import Heard, both_eras, text
from tests.passing.test_subscriptions import Watcher

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules"),
]


def npm(name: str, **env: str) -> dict[str, Any]:
    script = Path(NPM) / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
    return {"command": "node", "args": [str(script)], "env": env, "asyncfc": {"inline_wait_s": LIMIT_S}}


@both_eras
async def test_what_the_everything_server_offers_is_there(era: Era) -> None:
    async with running({"every": npm("everything")}, era=era) as gateway:
        client = gateway.client
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        page = await client.read_resource(resources[0].uri)
        dynamic = await client.read_resource("demo://resource/dynamic/text/3")
        completed = await client.complete(
            ResourceTemplateReference(uri=templates[1].uri_template), {"name": "resourceId", "value": "1"}
        )
        name = next(name for name in prompts if "completable" in name)
        argument = (prompts[name].arguments or [])[0].name
        suggested = await client.complete(PromptReference(name=name), {"name": argument, "value": "E"})
        got = await client.get_prompt(next(name for name in prompts if "simple" in name))
    assert text(page)
    assert "3" in text(dynamic)
    assert len(templates) > 1
    assert completed.completion.values == ["1"]
    assert suggested.completion.values == ["Engineering"]
    assert got.messages


@both_eras
async def test_the_memory_server_tells_of_changes_to_its_graph(era: Era, tmp_path: Path) -> None:
    server = npm("memory", MEMORY_FILE_PATH=str(tmp_path / "memory.jsonl"))
    server["asyncfc"]["tools"] = {"create_entities": FREE}
    heard = Heard()
    async with running({"memory": server}, era=era, message_handler=heard) as gateway:
        (graph,) = (await gateway.client.list_resources()).resources
        watcher = Watcher(gateway, heard, [graph.uri])
        async with watcher.watching():
            entity = {"name": "Ada", "entityType": "person", "observations": ["wrote a program"]}
            await gateway.call("memory_create_entities", entities=[entity])
            with anyio.fail_after(LIMIT_S):
                await watcher.until_told(graph.uri)
        assert "Ada" in text(await gateway.client.read_resource(graph.uri, cache_mode="bypass"))
