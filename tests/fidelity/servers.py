"""The servers that fidelity is measured on, how each is started, and the fixed set of calls that each gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fidelity.recording import Call

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
WITHOUT_NPM = "ASYNCFC_TEST_NPM does not name a folder with node_modules"

UNICODE = "Zürich 東京 👩‍👩‍👧 \u202eabc\u202c \u2028 e\u0301 \ufeff ${HOME} $${HOME} `fut_` a fut_ b"
"""Text that is easily broken, and text that only looks like a token."""
STEADY_TIMES = {
    "GIT_AUTHOR_DATE": "1767323045 +0000",
    "GIT_COMMITTER_DATE": "1767323045 +0000",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
"""Makes the hash of a commit the same everywhere."""


@dataclass(frozen=True, slots=True)
class RealServer:
    """One server as it is started in a folder of its own."""

    name: str
    command: Callable[[Path], list[str]]
    calls: tuple[Call, ...]
    env: Callable[[Path], Mapping[str, str]] = lambda _: {}
    prepare: Callable[[Path], None] = lambda _: None
    needs_npm: bool = False


def npm_server(name: str) -> list[str]:
    return ["node", str(Path(NPM, "node_modules", "@modelcontextprotocol", f"server-{name}", "dist", "index.js"))]


def prepare_files(folder: Path) -> None:
    (folder / "short.txt").write_bytes(b"one\r\ntwo\n\nthree")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "unicode.txt").write_text(UNICODE)
    (folder / "long.txt").write_text("".join(f"line {number}\n" for number in range(400)))
    (folder / "huge.txt").write_text("".join(f"huge line {number}\n" for number in range(10_000)))
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "blob.bin").write_bytes(bytes(range(256)))
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "sub" / "a b.txt").write_text("inside")


def prepare_repository(folder: Path) -> None:
    def git(*arguments: str) -> None:
        environment = {**os.environ, **STEADY_TIMES}
        subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    (folder / "a.txt").write_text("first\n")
    git("add", ".")
    git("commit", "--message", "first ü")
    (folder / "a.txt").write_text("second\n" * 600)


FILESYSTEM = RealServer(
    name="filesystem",
    command=lambda folder: [*npm_server("filesystem"), str(folder)],
    needs_npm=True,
    prepare=prepare_files,
    calls=(
        Call("list_allowed_directories"),
        Call("list_allowed_directories", {}),
        Call("read_text_file", {"path": "<folder>/short.txt"}),
        Call("read_text_file", {"path": "<folder>/short.txt", "head": 2}),
        Call("read_text_file", {"path": "<folder>/short.txt", "tail": 1}),
        Call(
            "read_text_file",
            {"path": "<folder>/short.txt", "head": "2"},
            converted={"path": "<folder>/short.txt", "head": 2},
        ),
        Call("read_text_file", {"path": "<folder>/short.txt", "head": None}),
        Call("read_text_file", {"path": "<folder>/short.txt", "unheard_of": True}),
        Call("read_text_file", {"path": "<folder>/empty.txt"}),
        Call("read_text_file", {"path": "<folder>/unicode.txt"}),
        Call("read_text_file", {"path": "<folder>/long.txt"}),
        Call("read_text_file", {"path": "<folder>/huge.txt"}),
        Call("read_text_file", {"path": "<folder>/missing.txt"}),
        Call("read_text_file", {"path": "/etc/hostname"}),
        Call("read_text_file", {}),
        Call("read_text_file"),
        Call("read_text_file", {"path": 7}),
        Call("read_media_file", {"path": "<folder>/picture.png"}),
        Call("read_media_file", {"path": "<folder>/blob.bin"}),
        Call("read_multiple_files", {"paths": ["<folder>/short.txt", "<folder>/missing.txt"]}),
        Call("read_multiple_files", {"paths": []}),
        Call("write_file", {"path": "<folder>/new.txt", "content": UNICODE}),
        Call("read_text_file", {"path": "<folder>/new.txt"}),
        Call("edit_file", {"path": "<folder>/new.txt", "edits": [{"oldText": "東", "newText": "西"}], "dryRun": True}),
        Call("edit_file", {"path": "<folder>/new.txt", "edits": [{"oldText": "absent", "newText": ""}]}),
        Call("create_directory", {"path": "<folder>/sub/new"}),
        Call("list_directory", {"path": "<folder>/sub/deeper"}),
        Call("list_directory_with_sizes", {"path": "<folder>/sub", "sortBy": "size"}),
        Call("list_directory_with_sizes", {"path": "<folder>/sub", "sortBy": "colour"}),
        Call("directory_tree", {"path": "<folder>", "excludePatterns": ["*.bin"]}),
        Call("move_file", {"source": "<folder>/new.txt", "destination": "<folder>/sub/new/moved.txt"}),
        Call("search_files", {"path": "<folder>", "pattern": "**/*.txt"}),
        Call("search_files", {"path": "<folder>", "pattern": "nothing-like-this"}),
        Call("get_file_info", {"path": "<folder>/short.txt"}),
        Call("no_such_tool", {}),
    ),
)

_ENTITIES: list[dict[str, Any]] = [
    {"name": "Zürich", "entityType": "city", "observations": ["東京 is far", ""]},
    {"name": "Bern", "entityType": "city", "observations": []},
]

MEMORY = RealServer(
    name="memory",
    command=lambda _: npm_server("memory"),
    env=lambda folder: {"MEMORY_FILE_PATH": str(folder / "memory.jsonl")},
    needs_npm=True,
    calls=(
        Call("read_graph"),
        Call("create_entities", {"entities": _ENTITIES}),
        Call("create_entities", {"entities": _ENTITIES}),
        Call("create_entities", {"entities": [{"name": "half"}]}),
        Call("create_entities", {"entities": "none"}),
        Call("create_relations", {"relations": [{"from": "Bern", "to": "Zürich", "relationType": "near"}]}),
        Call("add_observations", {"observations": [{"entityName": "Bern", "contents": ["fut_x.json", "12"]}]}),
        Call("add_observations", {"observations": [{"entityName": "nowhere", "contents": ["a"]}]}),
        Call("search_nodes", {"query": "Zür"}),
        Call("open_nodes", {"names": ["Bern", "nowhere"]}),
        Call("open_nodes", {"names": None}),
        Call("delete_observations", {"deletions": [{"entityName": "Bern", "observations": ["12"]}]}),
        Call("delete_relations", {"relations": [{"from": "Bern", "to": "Zürich", "relationType": "near"}]}),
        Call("delete_entities", {"entityNames": ["Bern"]}),
        Call("read_graph", {}),
        Call("no_such_tool"),
    ),
)

EVERYTHING = RealServer(
    name="everything",
    command=lambda _: npm_server("everything"),
    needs_npm=True,
    calls=(
        Call("echo", {"message": UNICODE}),
        Call("echo", {"message": ""}),
        Call("echo", {"message": "x" * 3_000}),
        Call("echo", {"message": "é" * 150_000}),
        Call("echo", {"message": 5}),
        Call("echo", {}),
        Call("echo"),
        Call("get-sum", {"a": 1.5, "b": -2}),
        Call("get-sum", {"a": 12345678901234567890, "b": 1e-9}),
        Call("get-sum", {"a": "1", "b": 2}, converted={"a": 1, "b": 2}),
        Call("get-sum", {"a": True, "b": None}),
        Call("get-tiny-image", {}),
        Call("get-annotated-message", {"messageType": "error", "includeImage": True}),
        Call("get-annotated-message", {"messageType": "success"}),
        Call("get-annotated-message", {"messageType": "none"}),
        Call("get-structured-content", {"location": "Chicago"}),
        Call("get-resource-links", {"count": 4}),
        Call("get-resource-links", {}),
        Call("get-resource-reference", {"resourceType": "Blob", "resourceId": 3}),
        Call("get-resource-reference", {"resourceType": "Blob", "resourceId": -1}),
        Call("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}),
        Call("gzip-file-as-resource", {"name": "b.gz", "data": "data:text/plain,hello"}),
        Call("gzip-file-as-resource", {"name": "c.gz", "data": "ftp://example.org/a"}),
        Call("trigger-long-running-operation", {"duration": 0.1, "steps": 2}, with_progress=True),
        Call("simulate-research-query", {"topic": "needs a task"}),
        Call("no-such-tool", {"a": 1}),
    ),
)

GIT = RealServer(
    name="git",
    command=lambda folder: [sys.executable, "-m", "mcp_server_git", "--repository", str(folder)],
    env=lambda _: STEADY_TIMES,
    prepare=prepare_repository,
    calls=(
        Call("git_status", {"repo_path": "<folder>"}),
        Call("git_status", {"repo_path": "/nowhere"}),
        Call("git_status", {}),
        Call("git_status"),
        Call("git_diff_unstaged", {"repo_path": "<folder>"}),
        Call("git_diff_unstaged", {"repo_path": "<folder>", "context_lines": 0}),
        Call("git_diff_unstaged", {"repo_path": "<folder>", "context_lines": "0"}),
        Call("git_diff_staged", {"repo_path": "<folder>"}),
        Call("git_add", {"repo_path": "<folder>", "files": ["a.txt"]}),
        Call("git_add", {"repo_path": "<folder>", "files": []}),
        Call("git_commit", {"repo_path": "<folder>", "message": "second 東京"}),
        Call("git_commit", {"repo_path": "<folder>", "message": "nothing"}),
        Call("git_log", {"repo_path": "<folder>", "max_count": 1}),
        Call("git_log", {"repo_path": "<folder>", "max_count": 5, "start_timestamp": None}),
        Call("git_show", {"repo_path": "<folder>", "revision": "HEAD~1"}),
        Call("git_show", {"repo_path": "<folder>", "revision": "--flag"}),
        Call("git_branch", {"repo_path": "<folder>", "branch_type": "local"}),
        Call("git_reset", {"repo_path": "<folder>"}),
        Call("no_such_tool", {}),
    ),
)

TIME = RealServer(
    name="time",
    command=lambda _: [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"],
    calls=(
        Call("get_current_time", {"timezone": "Asia/Tokyo"}),
        Call("get_current_time", {"timezone": "Mars/Base"}),
        Call("get_current_time", {"timezone": ""}),
        Call("get_current_time", {"timezone": None}),
        Call("get_current_time"),
        Call("convert_time", {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Kathmandu"}),
        Call("convert_time", {"source_timezone": "UTC", "time": "25:00", "target_timezone": "UTC"}),
        Call("convert_time", {"source_timezone": "UTC"}),
        Call("no_such_tool"),
    ),
)

FETCH = RealServer(
    name="fetch",
    command=lambda _: [sys.executable, "-m", "mcp_server_fetch"],
    calls=(
        Call("fetch", {"url": "http://127.0.0.1:1/"}),
        Call(
            "fetch",
            {"url": "http://127.0.0.1:1/", "max_length": "5", "raw": True},
            converted={"url": "http://127.0.0.1:1/", "max_length": 5, "raw": True},
        ),
        Call("fetch", {"url": "nonsense"}),
        Call("fetch", {}),
        Call("no_such_tool"),
    ),
)

GALLERY = RealServer(
    name="gallery",
    command=lambda _: [sys.executable, "-m", "tests.fidelity.gallery"],
    env=lambda _: {"PYTHONPATH": str(Path(__file__).parents[2])},
    calls=(
        Call("show", {}),
        Call("show"),
        Call("panel", {"size": 3}),
        Call("panel", {}),
        Call("say", {}, with_progress=True),
    ),
)

SERVERS = (FILESYSTEM, MEMORY, EVERYTHING, GIT, TIME, FETCH, GALLERY)
