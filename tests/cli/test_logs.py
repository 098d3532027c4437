"""`asyncfc-mcp logs`: what servers wrote beside the protocol, kept by the gateway."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from asyncfc_mcp.cli.main import main
from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, ServerSettings, StdioEntry
from asyncfc_mcp.downstream.links.overhearing import Aside
from asyncfc_mcp.downstream.links.server_logs import ServerLogs, log_file, logged_servers, old_file
from tests.bounds import bound_s
from tests.harness import running
from tests.inspection.support import shaped, tool
from tests.process.support import started

SECRET = "hush-5f1c9"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def logs(state_folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["logs", *options], env={"ASYNCFC_STATE_FOLDER": str(state_folder)})


def entry(transport: StdioEntry | RemoteEntry) -> ServerEntry:
    return ServerEntry(key="one", transport=transport, settings=ServerSettings())


def writer(folder: Path, *entries: ServerEntry, max_bytes: int = 1_000_000) -> ServerLogs:
    return ServerLogs(folder, entries, now=lambda: NOON, max_bytes=max_bytes)


@pytest.mark.anyio
async def test_what_a_server_wrote_is_there_after_the_gateway_has_ended_and_without_its_secrets(tmp_path: Path) -> None:
    server = {
        **shaped(tools=[tool("read")], stderr=["booting", f"with key {SECRET}"], noise=[f"hello {SECRET}"]),
        "env": {"SERVICE_KEY": SECRET},
    }
    async with started(tmp_path, {"one": server}) as gateway:
        await gateway.initialize()
        await gateway.logged("server_ready")
        gateway.close_stdin()
        await gateway.exit_code()
        live = await gateway.stderr()
    said = await anyio.to_thread.run_sync(logs, tmp_path / "state", "one")
    kept = [line.split(" ", 2)[2] for line in said.stdout.splitlines()]
    assert kept[0].startswith("started: process ")
    assert {"stderr: booting", "stderr: with key (hidden)", "stdout: hello (hidden)"} <= set(kept)
    assert kept[-1].startswith("ended: ")
    assert SECRET not in live + said.output


@pytest.mark.anyio
async def test_nothing_is_kept_when_the_setting_says_so(tmp_path: Path) -> None:
    async with running({"one": shaped(tools=[tool("read")])}, state_folder=tmp_path, server_logs=False) as gateway:
        await gateway.call("list_futures")
    assert not logged_servers(tmp_path)


def test_secrets_of_every_entry_are_hidden_in_every_file(tmp_path: Path) -> None:
    away = RemoteEntry(url="https://example.org/mcp", headers={"Authorization": f"Bearer {SECRET}", "X": "short"})
    here = StdioEntry(command="x", env={"KEY": "first-line\nsecond-line"})
    writer(tmp_path, entry(away), entry(here)).heard("one", Aside.STDERR, [f"a {SECRET} short second-line"])
    assert log_file(tmp_path, "one").read_text().endswith("stderr: a (hidden) short (hidden)\n")


def test_secrets_of_a_server_that_came_later_are_hidden_too(tmp_path: Path) -> None:
    early = StdioEntry(command="early", env={"KEY": "early-secret"})
    late = StdioEntry(command="late", env={"KEY": "late-secret"})
    logs_of_servers = writer(tmp_path, entry(early))
    logs_of_servers.know([entry(late)])
    logs_of_servers.heard("server", Aside.STDERR, ["late-secret and early-secret"])
    assert "-secret" not in log_file(tmp_path, "server").read_text()


def test_several_gateways_write_to_one_file_without_losing_a_line(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from asyncfc_mcp.downstream.links.server_logs import ServerLogs;"
        "from asyncfc_mcp.downstream.links.overhearing import Aside\n"
        "logs = ServerLogs(Path(sys.argv[1]), (), max_bytes=40_000)\n"
        "for n in range(500): logs.heard('one', Aside.STDERR, [f'{sys.argv[2]} line {n}'])"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("a", "b")]
    assert [one.wait(bound_s(60)) for one in writers] == [0, 0]
    path = log_file(tmp_path, "one")
    lines = (old_file(path).read_text() + path.read_text()).splitlines()
    assert {line.partition("stderr: ")[2] for line in lines} == {f"{one} line {n}" for one in "ab" for n in range(500)}


def test_a_file_that_is_full_makes_room_and_the_one_before_it_goes(tmp_path: Path) -> None:
    one = writer(tmp_path, max_bytes=300)
    for number in range(30):
        one.heard("one", Aside.STDERR, [f"line {number:03}"])
    path = log_file(tmp_path, "one")
    assert sorted(each.name for each in path.parent.iterdir() if each.suffix != ".lock") == ["one.log", "one.log.old"]
    assert path.stat().st_size <= 400
    assert old_file(path).stat().st_size <= 400
    assert logs(tmp_path, "one", "-n", "2").stdout.split()[-1] == "029"


def test_while_another_gateway_makes_room_nobody_waits(tmp_path: Path) -> None:
    one = writer(tmp_path, max_bytes=10)
    one.heard("one", Aside.STDERR, ["first"])
    with FileLock(log_file(tmp_path, "one").with_suffix(".lock")):
        one.heard("one", Aside.STDERR, ["second"])
    assert "second" in log_file(tmp_path, "one").read_text()


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    writer(tmp_path / "state").heard("one", Aside.STDERR, ["x"])
    path = log_file(tmp_path / "state", "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "ünï cödé", "x" * 300, "..", "a.b"])
def test_any_name_of_a_server_makes_a_file_in_the_folder(tmp_path: Path, key: str) -> None:
    writer(tmp_path).heard(key, Aside.STDERR, ["hello"])
    assert log_file(tmp_path, key).parent == tmp_path / "logs"
    assert logs(tmp_path, key).stdout.rstrip().endswith("hello")


def test_a_folder_that_cannot_be_written_is_a_warning_once(tmp_path: Path, logged: list[dict[str, object]]) -> None:
    (tmp_path / "logs").write_text("no folder")
    one = writer(tmp_path)
    one.heard("one", Aside.STDERR, ["x"])
    one.heard("one", Aside.STDERR, ["y"])
    assert [line["event"] for line in logged] == ["server_log_not_written"]


def test_a_name_that_is_not_there_is_told_with_the_near_one(tmp_path: Path) -> None:
    writer(tmp_path).heard("files", Aside.STDERR, ["x"])
    result = logs(tmp_path, "file")
    assert result.exit_code == 1
    assert "did you mean files?" in result.stderr


def test_without_a_name_the_servers_with_a_log_are_listed(tmp_path: Path) -> None:
    assert "No server has been logged yet" in logs(tmp_path).stdout
    for key in ("b", "a"):
        writer(tmp_path).heard(key, Aside.STDERR, ["x"])
    assert logs(tmp_path).stdout == "a\nb\n"


@pytest.mark.anyio
async def test_following_shows_what_comes_also_after_the_file_has_made_room(tmp_path: Path) -> None:
    one = writer(tmp_path, max_bytes=200)
    one.heard("one", Aside.STDERR, ["before"])
    command = [sys.executable, "-m", "asyncfc_mcp", "logs", "one", "-f"]
    env = {**os.environ, "ASYNCFC_STATE_FOLDER": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with anyio.fail_after(bound_s(30)):
        async with await anyio.open_process(command, env=env) as process:
            assert process.stdout is not None
            seen = ""
            for awaited in ("before", *(f"line {number}" for number in range(8))):
                while awaited not in seen:
                    seen += (await process.stdout.receive()).decode()
                one.heard("one", Aside.STDERR, [f"line {seen.count('line')}"])
            process.kill()
    assert old_file(log_file(tmp_path, "one")).exists()


def test_a_log_line_is_no_json_and_says_when_and_which_gateway(tmp_path: Path) -> None:
    writer(tmp_path).heard("one", Aside.STDERR, [json.dumps({"a": 1})])
    assert log_file(tmp_path, "one").read_text() == f'2026-11-22T12:00:00.000Z {os.getpid()} stderr: {{"a": 1}}\n'


def test_a_name_that_the_list_gives_can_be_asked_for_also_when_it_is_cut_or_has_just_made_room(tmp_path: Path) -> None:
    for key in ("x" * 300, "short"):
        writer(tmp_path, max_bytes=10).heard(key, Aside.STDERR, ["hello"])
    names = logs(tmp_path).stdout.splitlines()
    assert len(names) == 2
    assert all(logs(tmp_path, name).stdout.rstrip().endswith("hello") for name in names)


def test_the_list_of_names_cannot_move_the_cursor(tmp_path: Path) -> None:
    writer(tmp_path).heard("a\x1b[31m", Aside.STDERR, ["x"])
    assert logs(tmp_path).stdout == "a\\x1b[31m\n"
