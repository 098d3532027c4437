"""When a file counts as changed: after two looks that saw the same, with what they saw."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.file import ConfigFile
from asyncfc_mcp.config.load import LoadedConfig
from asyncfc_mcp.config.watching import ConfigWatch
from asyncfc_mcp.errors import GatewayError
from tests.bounds import bound_s
from tests.process.support import LIMIT_S

pytestmark = pytest.mark.anyio


class Watched:
    """A file under watch, and what was read of it."""

    def __init__(self, folder: Path, servers: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self.path = folder / "config.json"
        self.write(servers)
        file = ConfigFile(self.path, environ or {})
        file.load()
        self.watch = ConfigWatch(file, self._note)
        self.read: list[list[str] | str] = []

    async def _note(self, read: LoadedConfig | GatewayError) -> None:
        is_refused = isinstance(read, GatewayError)
        self.read.append(str(read) if is_refused else [entry.key for entry in read.config.servers])

    def write(self, servers: Mapping[str, Any]) -> None:
        self.path.write_text(json.dumps({"mcpServers": servers}))

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.watch.look()


def entry(**more: Any) -> dict[str, Any]:
    return {"command": "server", **more}


async def test_a_file_that_stays_as_it_was_is_not_read_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    await watched.look(3)
    assert watched.read == []


async def test_a_change_is_read_once_after_two_looks_that_saw_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    await watched.look()
    watched.write({"b": entry()})
    await watched.look()
    assert watched.read == []
    await watched.look(3)
    assert watched.read == [["b"]]


async def test_a_file_that_is_written_in_two_halves_is_read_whole(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    whole = json.dumps({"mcpServers": {"b": entry()}})
    watched.path.write_text(whole[:20])
    await watched.look()
    watched.path.write_text(whole)
    await watched.look(2)
    assert watched.read == [["b"]]


async def test_a_file_that_is_missing_for_a_moment_is_nothing_to_speak_of(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    content = watched.path.read_bytes()
    await watched.look()
    watched.path.unlink()
    await watched.look()
    watched.path.write_bytes(content)
    await watched.look(2)
    assert watched.read == []


async def test_a_file_that_stays_away_is_refused_once_and_read_when_it_is_back(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    watched.path.unlink()
    await watched.look(4)
    watched.write({"a": entry()})
    await watched.look(2)
    refusal, config = watched.read
    assert "the file is missing" in refusal
    assert config == ["a"]


async def test_another_file_in_its_place_is_seen(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    other = tmp_path / "other"
    other.write_text(json.dumps({"mcpServers": {"b": entry()}}))
    other.replace(watched.path)
    await watched.look(2)
    assert watched.read == [["b"]]


async def test_a_change_to_and_fro_between_two_looks_is_none(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    await watched.look()
    watched.write({"b": entry()})
    watched.write({"a": entry()})
    await watched.look(2)
    assert watched.read == []


async def test_who_asks_gets_it_read_as_it_is(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    await watched.look()
    await watched.watch.look(is_asked=True)
    assert watched.read == [["a"]]


async def test_an_env_file_is_watched_that_was_named_from_the_start(tmp_path: Path) -> None:
    tmp_path.joinpath("x.env").write_text("A=1\n")
    watched = Watched(tmp_path, {"a": entry(envFile="x.env")})
    await watched.look(2)
    assert watched.read == []
    tmp_path.joinpath("x.env").write_text("A=2\n")
    await watched.look(2)
    assert watched.read == [["a"]]


async def test_an_env_file_that_is_missing_is_refused_once_and_waited_for(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    watched.write({"a": entry(envFile="new.env")})
    await watched.look(4)
    tmp_path.joinpath("new.env").write_text("A=1\n")
    await watched.look(3)
    refusal, config = watched.read
    assert "envFile" in refusal
    assert config == ["a"]


async def test_an_env_file_that_is_not_named_any_more_is_not_watched(tmp_path: Path) -> None:
    tmp_path.joinpath("x.env").write_text("A=1\n")
    watched = Watched(tmp_path, {"a": entry(envFile="x.env")})
    watched.write({"a": entry()})
    await watched.look(4)
    tmp_path.joinpath("x.env").write_text("A=2\n")
    await watched.look(3)
    assert watched.read == [["a"]]


async def test_variables_are_those_of_the_start_and_flags_stay_stronger_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"mcpServers": {"a": entry(args=["${WORD}"])}, "asyncfc": {"mode": "sync"}}))
    environ = {"WORD": "one"}
    file = ConfigFile(path, environ, {"mode": "async"})
    file.load()
    del environ["WORD"]
    config = file.load().config
    assert config.servers[0].transport.model_dump()["args"] == ("one",)
    assert config.settings.mode == "async"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_is_not_followed_since_it_gives_what_it_has_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = ConfigFile(pipe, {})
    assert not file.can_be_read_again
    assert list(file.look().values()) == ["not a file"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
async def test_a_pipe_in_place_of_the_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    watched.path.unlink()
    os.mkfifo(watched.path)
    with anyio.fail_after(bound_s(LIMIT_S)):
        await watched.look(3)
    assert watched.read == [
        f"{watched.path}: the file is a pipe or a device now; allowed: a file, which can be followed"
    ]
    watched.path.unlink()
    watched.write({"b": entry()})
    await watched.look(2)
    assert watched.read[1:] == [["b"]]


async def test_an_env_file_whose_name_is_too_long_is_refused_and_the_watch_goes_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"a": entry()})
    watched.write({"a": entry(envFile="a" * 300)})
    await watched.look(3)
    assert "File name too long" in watched.read[0]
    watched.write({"b": entry()})
    await watched.look(2)
    assert watched.read[1:] == [["b"]]
