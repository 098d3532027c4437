"""Which pack a server gets, and what the shipped packs say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from asyncfc_mcp.core.label import Access, Label, Template, absolute_segments, conflict, expand
from asyncfc_mcp.packs.reader import Pack, find_pack, read_packs

PACKS = {pack.name: pack for pack in read_packs()}


def found(name: str, *identity: str) -> bool:
    pack = find_pack(identity, PACKS[name].tools.keys())
    assert pack is None or pack.name == name
    return pack is not None


def test_the_well_known_servers_have_packs() -> None:
    well_known = {
        "everything",
        "fetch",
        "filesystem",
        "git",
        "github",
        "memory",
        "playwright",
        "slack",
        "sqlite",
        "time",
    }
    assert well_known <= set(PACKS)


@pytest.mark.parametrize("pack", PACKS.values(), ids=lambda pack: pack.name)
def test_a_pack_labels_its_core_tools_and_every_template_can_be_read(pack: Pack) -> None:
    assert pack.core_tools <= pack.tools.keys()
    for reads, writes in pack.tools.values():
        for text in (*reads, *writes):
            Template.parse(text)


@pytest.mark.parametrize(
    "command",
    [
        "npx -y @modelcontextprotocol/server-filesystem /data",
        "npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /data",
        "node /x/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js /data",
        "node C:\\x\\node_modules\\@modelcontextprotocol\\server-filesystem\\dist\\index.js C:\\data",
        "/x/node_modules/.bin/mcp-server-filesystem /data",
        "bunx @modelcontextprotocol/server-filesystem /home/ann/docker",
        "npx --registry=https://npm.example.org/ @modelcontextprotocol/server-filesystem /data",
    ],
)
def test_the_filesystem_server_is_known_by_its_package_however_it_is_started(command: str) -> None:
    assert found("filesystem", *command.split())


@pytest.mark.parametrize(
    "command",
    [
        "uvx mcp-server-git",
        "uvx --from mcp-server-git==2026.1.14 mcp-server-git --repository /repo",
        "uvx mcp-server-git@latest",
        "python -m mcp_server_git",
        "/opt/venv/bin/mcp-server-git",
        "C:\\venv\\Scripts\\mcp-server-git.exe",
    ],
)
def test_the_git_server_is_known_by_its_package_however_it_is_started(command: str) -> None:
    assert found("git", *command.split())


def test_a_command_inside_a_shell_line_is_known() -> None:
    assert found("git", "sh", "-c", "cd /repo && exec uvx mcp-server-git")


def test_a_server_behind_a_url_is_known_when_its_labels_name_no_files() -> None:
    assert found("memory", "https://example.org/server-memory/@modelcontextprotocol/server-memory/mcp")
    assert not found("git", "https://example.org/mcp-server-git/mcp")


@pytest.mark.parametrize(
    "command",
    [
        "docker run -i --rm -v /home:/projects node npx @modelcontextprotocol/server-filesystem /projects",
        "/usr/bin/podman run node npx @modelcontextprotocol/server-filesystem /projects",
        "sudo /usr/bin/docker run node npx @modelcontextprotocol/server-filesystem /projects",
        "ssh host npx @modelcontextprotocol/server-filesystem /data",
        "wsl.exe npx @modelcontextprotocol/server-filesystem /data",
        "docker-compose run --rm files npx @modelcontextprotocol/server-filesystem /data",
        "devcontainer exec npx @modelcontextprotocol/server-filesystem /data",
        "sudo apptainer exec image.sif npx @modelcontextprotocol/server-filesystem /data",
        "npx mcp-remote https://example.org/@modelcontextprotocol/server-filesystem/mcp",
    ],
)
def test_a_server_that_sees_other_files_than_we_do_gets_no_file_labels(command: str) -> None:
    assert not found("filesystem", *command.split())


@pytest.mark.parametrize(
    "command",
    ["npx @somebody/server-filesystem", "npx server-filesystem-plus", "npx x", "npx @x/mcp-server-filesystem"],
)
def test_a_server_of_another_name_gets_no_pack(command: str) -> None:
    assert not found("filesystem", *command.split())


@pytest.mark.parametrize(
    "command",
    [
        "uvx --from git+https://github.com/somebody/mcp-server-fetch mcp-server-fetch",
        "uvx --from=git+ssh://git@example.org/mcp-server-fetch mcp-server-fetch",
        "uv run --with mcp-server-fetch@git+https://example.org/x mcp-server-fetch",
        "npx -y github:somebody/mcp-server-fetch",
        "npx.cmd -y somebody/mcp-server-fetch#main",
        "npx -y https://github.com/somebody/mcp-server-fetch",
        "bunx https://example.org/somebody/mcp-server-fetch.git",
    ],
)
def test_a_package_out_of_somebody_s_repository_gets_no_pack(command: str) -> None:
    assert not found("fetch", *command.split())


@pytest.mark.parametrize(
    "command", ["uvx mcp-server-git --repository /srv/site.git", "npx mcp-server-git --repository sites/shop"]
)
def test_a_repository_that_the_server_works_on_is_not_where_it_comes_from(command: str) -> None:
    assert found("git", *command.split())


@pytest.mark.parametrize("command", ["uvx mcp-server-postgres", "my-server --data /srv/mcp-server-postgres"])
def test_a_tool_as_common_as_query_is_known_by_the_full_name_of_its_package_only(command: str) -> None:
    assert found("postgres", "npx", "-y", "@modelcontextprotocol/server-postgres", "postgresql://localhost/x")
    assert not found("postgres", *command.split())


def test_a_server_without_the_core_tools_gets_no_pack() -> None:
    assert find_pack(["uvx", "mcp-server-git"], PACKS["git"].tools.keys() - {"git_commit"}) is None


def test_a_server_without_a_name_gets_no_pack() -> None:
    assert find_pack([], PACKS["git"].tools.keys()) is None


@pytest.mark.parametrize("option", ["--allow-private-ips", "--allow-private"])
def test_a_fetch_that_can_reach_this_machine_gets_no_pack(option: str) -> None:
    assert found("fetch", "uvx", "mcp-server-fetch", "--user-agent=x")
    assert not found("fetch", "uvx", "mcp-server-fetch", option)


def test_a_search_server_that_can_reach_pages_of_this_machine_gets_no_pack() -> None:
    assert found("duckduckgo", "uvx", "duckduckgo-mcp-server")
    assert not found("duckduckgo", "uvx", "duckduckgo-mcp-server", "--allow-private-urls")


def call(pack: str, tool: str, **arguments: object) -> list[Label]:
    reads, writes = PACKS[pack].tools[tool]
    return [
        Label(path, access, is_declared=True)
        for access, templates in ((Access.READ, reads), (Access.WRITE, writes))
        for text in templates
        for path in expand(Template.parse(text), arguments, lambda _: False, absolute_segments)
    ]


def meet(one: list[Label], other: list[Label]) -> bool:
    return any(conflict(mine, theirs) for mine in one for theirs in other)


REPO = {"repo_path": "/repo"}
ORDERED: Mapping[str, Callable[[], tuple[list[Label], list[Label]]]] = {
    "a commit and a write in its repository": lambda: (
        call("filesystem", "write_file", path="/Repo/src/a.py"),
        call("git", "git_commit", **REPO),
    ),
    "a read of a file and the checkout that may change it": lambda: (
        call("git", "git_checkout", **REPO),
        call("filesystem", "read_text_file", path="/repo/a.py"),
    ),
    "a commit in a linked worktree and a log of the repository": lambda: (
        call("git", "git_commit", repo_path="/worktree"),
        call("git", "git_log", **REPO),
    ),
    "a move and a read of either end": lambda: (
        call("filesystem", "move_file", source="/a", destination="/b"),
        call("filesystem", "read_multiple_files", paths=["/x", "/b/c"]),
    ),
    "a write and a search above it": lambda: (
        call("filesystem", "write_file", path="/a/b/c"),
        call("filesystem", "search_files", path="/a"),
    ),
    "a preview of an edit and a read": lambda: (
        call("filesystem", "edit_file", path="/a", dryRun=True),
        call("filesystem", "read_text_file", path="/a"),
    ),
    "a write and the sizes of a folder that may link to it": lambda: (
        call("filesystem", "write_file", path="/a"),
        call("filesystem", "list_directory_with_sizes", path="/links"),
    ),
    "two changes of the graph": lambda: (call("memory", "create_entities"), call("memory", "create_relations")),
    "two questions to the person": lambda: (
        call("everything", "trigger-elicitation-request"),
        call("everything", "simulate-research-query"),
    ),
}
FREE: Mapping[str, Callable[[], tuple[list[Label], list[Label]]]] = {
    "writes of two files": lambda: (
        call("filesystem", "write_file", path="/a/b"),
        call("filesystem", "write_file", path="/a/c"),
    ),
    "status and a read in the same repository": lambda: (
        call("git", "git_status", **REPO),
        call("filesystem", "read_text_file", path="/repo/a"),
    ),
    "staging in two repositories": lambda: (
        call("git", "git_add", **REPO),
        call("git", "git_add", repo_path="/other"),
    ),
    "two searches of the graph": lambda: (call("memory", "search_nodes"), call("memory", "read_graph")),
    "a fetch and a write": lambda: (call("fetch", "fetch"), call("filesystem", "write_file", path="/a")),
    "the graph and the files": lambda: (
        call("memory", "create_entities"),
        call("filesystem", "write_file", path="/memory"),
    ),
    "a slow operation and a sum": lambda: (
        call("everything", "trigger-long-running-operation"),
        call("everything", "get-sum"),
    ),
}


@pytest.mark.parametrize("pair", ORDERED)
def test_the_packs_keep_in_order(pair: str) -> None:
    assert meet(*ORDERED[pair]())


@pytest.mark.parametrize("pair", FREE)
def test_the_packs_let_overlap(pair: str) -> None:
    assert not meet(*FREE[pair]())
