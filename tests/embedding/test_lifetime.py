"""From the configuration to the end of the block."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil
import pytest

import asyncfc_mcp
from asyncfc_mcp import (
    AlreadyRunning,
    ConfigurationError,
    Future,
    Gateway,
    GatewayError,
    NotRunning,
    ScopeNameTooLong,
    WrongLoop,
)
from tests.embedding.support import LIMIT_S, document, opened, started

pytestmark = pytest.mark.anyio

ROOT = Path(asyncfc_mcp.__file__).parents[1]


class Mishap(Exception):
    """Something of the program's own."""


def servers_of_this_process() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "toy.py" in " ".join(one.cmdline())]


async def test_leaving_the_block_ends_the_servers() -> None:
    async with opened() as gateway:
        await gateway.tools()
        servers = servers_of_this_process()
        assert servers
    gone, alive = psutil.wait_procs(servers, timeout=LIMIT_S)
    assert (len(gone), alive) == (len(servers), [])


async def test_what_the_block_raises_leaves_it_as_it_is() -> None:
    async def stumble() -> None:
        async with Gateway(document()) as gateway:
            await gateway.submit("hold", {"key": "a"})
            raise Mishap

    with pytest.raises(Mishap):
        await stumble()


async def test_a_cancelled_block_ends_like_any_other() -> None:
    with anyio.fail_after(LIMIT_S):
        with anyio.move_on_after(0.2) as given_up:
            async with Gateway(document()) as gateway:
                await gateway.call("hold", {"key": "a"})
        assert given_up.cancelled_caught


async def test_a_task_of_asyncio_that_is_cancelled_in_the_block_ends_cancelled() -> None:
    begun = anyio.Event()

    async def use() -> None:
        async with Gateway(document()) as gateway:
            begun.set()
            await gateway.call("hold", {"key": "a"})

    task = asyncio.create_task(use())
    with anyio.fail_after(LIMIT_S):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_store_that_cannot_be_used_is_refused_as_the_block_is_entered(tmp_path: Path) -> None:
    gateway = Gateway(document(store=f"sqlite:///{tmp_path / 'missing' / 'futures.db'}"))
    for _ in range(2):
        with pytest.raises(GatewayError, match=r"futures\.db"):
            await gateway.__aenter__()


async def test_whoever_waits_as_the_block_is_left_is_told() -> None:
    told: list[NotRunning] = []

    async def wait(future: Future) -> None:
        try:
            await future.result()
        except NotRunning as error:
            told.append(error)

    async def call(gateway: Gateway) -> None:
        try:
            await gateway.call("hold", {"key": "b"})
        except NotRunning as error:
            told.append(error)

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks, Gateway(document()) as gateway:
            tasks.start_soon(wait, await gateway.submit("hold", {"key": "a"}))
            tasks.start_soon(call, gateway)
            await started(gateway, "b")
    assert len(told) == 2


async def test_outside_of_its_block_a_gateway_says_how_to_use_it() -> None:
    gateway = Gateway(document())
    with pytest.raises(NotRunning, match="async with Gateway"):
        await gateway.tools()
    async with gateway:
        held = await gateway.submit("hold", {"key": "a"})
        scope = gateway.scope("chat")
    for use in (gateway.futures, gateway.servers, gateway.client, scope.futures, held.cancel):
        with pytest.raises(NotRunning):
            use()
    with pytest.raises(NotRunning):
        await held.result()


async def test_what_had_settled_can_be_read_after_the_block() -> None:
    async with opened() as gateway:
        said = await gateway.submit("echo", {"text": "kept"})
        await said.wait(LIMIT_S)
    assert (await said.result()).text == "kept"


async def test_a_block_can_be_entered_again_once_it_was_left_and_not_before() -> None:
    gateway = Gateway(document())
    with anyio.fail_after(LIMIT_S):
        async with gateway:
            with pytest.raises(AlreadyRunning):
                await gateway.__aenter__()
            assert (await gateway.call("echo", {"text": "first"})).text == "first"
        async with gateway:
            assert (await gateway.call("echo", {"text": "second"})).text == "second"


async def test_two_gateways_live_side_by_side() -> None:
    async with opened() as one, opened() as other:
        await one.submit("put", {"key": "a", "value": "1"})
        assert (await one.call("get", {"key": "a"})).text == "1"
        assert (await other.call("get", {"key": "a"})).text == "nothing"


async def test_from_another_event_loop_it_is_refused_and_takes_no_harm() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})

        async def use() -> list[WrongLoop]:
            refused: list[WrongLoop] = []
            for wrong in (gateway.call("echo", {"text": "x"}), gateway.model_call("echo"), held.result()):
                with pytest.raises(WrongLoop, match="run_coroutine_threadsafe") as error:
                    await wrong
                refused.append(error.value)
            return refused

        assert len(await anyio.to_thread.run_sync(asyncio.run, use())) == 3
        with pytest.raises(WrongLoop, match="lives in the asyncio event loop"):
            await anyio.to_thread.run_sync(held.cancel)
        assert (await gateway.call("echo", {"text": "x"}, timeout_s=LIMIT_S)).text == "x"


def test_without_asyncio_it_says_what_it_needs() -> None:
    entering = Gateway(document()).__aenter__()
    with pytest.raises(WrongLoop, match="lives in the asyncio event loop"):
        entering.send(None)


async def test_a_name_that_is_too_long_for_a_scope_is_refused() -> None:
    async with opened() as gateway:
        gateway.scope("x" * 200)
        with pytest.raises(ScopeNameTooLong, match="at most 200 characters; this one has 201"):
            gateway.scope("x" * 201)


async def test_a_server_that_cannot_start_says_so() -> None:
    config = document()
    config["mcpServers"]["gone"] = {"command": "no-such-program-at-all"}
    async with opened(config) as gateway:
        assert "echo" in {tool.name for tool in await gateway.tools()}
        servers = gateway.servers()
        assert servers["toy"].state == "ready"
        assert servers["gone"].state != "ready"
        assert "no-such-program-at-all" in (servers["gone"].message or "")


def test_a_configuration_that_cannot_be_used_is_refused_as_it_is_given() -> None:
    with pytest.raises(ConfigurationError, match=r"^Gateway\(\.\.\.\): asyncfc\.mode is .*allowed") as refused:
        Gateway(document(mode="fast"))
    assert refused.value.key == "asyncfc.mode"


@pytest.mark.parametrize("odd", [{1}, b"x", object()], ids=["a set", "bytes", "an object"])
def test_a_configuration_that_no_file_could_hold_is_refused(odd: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^Gateway\(\.\.\.\): config is no JSON: JSON has nothing for"):
        Gateway({"mcpServers": {"own": {"command": odd}}})


async def test_paths_may_stand_in_the_configuration() -> None:
    config = document()
    config["mcpServers"]["toy"]["args"] = [Path(config["mcpServers"]["toy"]["args"][0])]
    async with opened(config) as gateway:
        assert (await gateway.call("echo", {"text": "x"})).text == "x"


async def test_a_file_is_a_configuration_too(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps(document()), encoding="utf-8")
    for gateway in (Gateway.from_file(file), Gateway(str(file))):
        async with gateway:
            assert (await gateway.call("echo", {"text": "x"})).text == "x"


async def test_without_being_asked_it_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path))
    async with opened() as gateway:
        await (await gateway.submit("echo", {"text": "x"})).result(LIMIT_S)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_named", [False, True])
async def test_a_store_that_is_asked_for_keeps_values_for_later_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path))
    async with opened(store="sqlite") as gateway:
        said = await gateway.submit("echo", {"text": "kept"}, name="said" if is_named else None)
        await said.result(LIMIT_S)
    async with opened(store="sqlite") as gateway:
        assert (await (await gateway.future(str(said))).result(LIMIT_S)).text == "kept"
        assert (await gateway.call("echo", {"text": said})).text == "kept"


def run(*lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_importing_the_package_loads_nothing_else() -> None:
    heavy = "{'mcp', 'anyio', 'pydantic', 'structlog', 'starlette'} & set(sys.modules)"
    assert run("import sys, asyncfc_mcp", f"print({heavy})").stdout == "set()\n"


def test_every_public_name_is_there_and_typed() -> None:
    stub = Path(asyncfc_mcp.__file__).with_name("__init__.pyi").read_text(encoding="utf-8")
    typed = {line.rpartition(" as ")[2] for line in stub.splitlines() if " as " in line}
    names = {name for name in dir(asyncfc_mcp) if name[0].isupper()} - {"Any"}
    assert typed == names
    for name in names:
        assert getattr(asyncfc_mcp, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = asyncfc_mcp.Nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


def test_its_log_lines_are_the_programs_own_business() -> None:
    finished = run(
        "import asyncio, logging",
        "from asyncfc_mcp import Gateway",
        "from tests.embedding.support import document",
        "async def main():",
        "    async with Gateway(document()) as gateway:",
        "        await gateway.tools()",
        "logging.basicConfig(level='INFO')",
        "asyncio.run(main())",
    )
    assert finished.stdout == ""
    assert "INFO:asyncfc_mcp.app:event='server_serialised'" in finished.stderr


def test_what_the_program_logs_by_structlog_goes_where_it_went() -> None:
    finished = run(
        "import asyncio, logging, structlog",
        "from asyncfc_mcp import Gateway",
        "from tests.embedding.support import document",
        "async def main():",
        "    async with Gateway(document()) as gateway:",
        "        await gateway.tools()",
        "        structlog.get_logger().info('mine', number=1)",
        "logging.basicConfig(level='INFO')",
        "asyncio.run(main())",
        "structlog.get_logger().bind(bound=True).info('mine', number=2)",
    )
    assert [line.partition("mine")[2].split() for line in finished.stdout.splitlines()] == [
        ["number=1"],
        ["bound=True", "number=2"],
    ]
    assert "mine" not in finished.stderr
    assert "INFO:asyncfc_mcp.app:event='server_serialised'" in finished.stderr


def test_no_message_of_a_server_is_in_the_spans_of_a_program_that_traces() -> None:
    finished = run(
        "import asyncio",
        "from opentelemetry import trace",
        "from opentelemetry.sdk.trace import TracerProvider",
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor",
        "from asyncfc_mcp import CallFailed, Gateway",
        "from tests.embedding.support import document",
        "provider = TracerProvider()",
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))",
        "trace.set_tracer_provider(provider)",
        "async def main():",
        "    async with Gateway(document()) as gateway:",
        "        try:",
        "            await gateway.call('reject', {'message': 'hush-93ab1'})",
        "        except CallFailed as error:",
        "            assert 'hush-93ab1' in str(error)",
        "asyncio.run(main())",
    )
    assert '"MCP send tools/call reject"' in finished.stdout
    assert "hush-93ab1" not in finished.stdout


async def test_relative_paths_are_those_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("here").mkdir()
    tmp_path.joinpath("names.env").write_text("NAME=ada", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    server = "import os; open('seen', 'w').write(' '.join([os.getcwd(), os.environ['NAME'], os.environ['SPACE']]))"
    own: dict[str, Any] = {"command": sys.executable, "args": ["-c", server], "cwd": "here", "envFile": "names.env"}
    async with Gateway({"mcpServers": {"own": {**own, "env": {"SPACE": "${workspaceFolder}"}}}}) as gateway:
        await gateway.tools()
    seen = tmp_path.joinpath("here", "seen").read_text(encoding="utf-8")
    assert seen == f"{tmp_path / 'here'} ada {tmp_path}"


@pytest.mark.skipif(sys.platform == "win32", reason="the system ends the servers of a killed gateway there")
async def test_gateways_in_several_threads_share_one_guardian_and_leave_none() -> None:
    async def live() -> None:
        async with opened() as gateway:
            await gateway.tools()

    async with anyio.create_task_group() as threads:
        for _ in range(4):
            threads.start_soon(anyio.to_thread.run_sync, asyncio.run, live())
    assert [child for child in psutil.Process().children() if child.name() == "sh"] == []
