"""What holds for one tool."""

from __future__ import annotations

import pytest

from asyncfc_mcp.config.load import from_command
from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, ServerSettings, StdioEntry
from asyncfc_mcp.config.policy import (
    LabelSource,
    LabelTemplates,
    ToolHints,
    ToolPolicy,
    UnresolvedSetting,
    resolve_policy,
    unknown_tools,
)

PACK: LabelTemplates = {"read": (("fs/{path:path}",), ())}
READ_ONLY = ToolHints(read_only=True)
ANYTHING = ToolHints()


def server(key: str = "files", *, is_remote: bool = False, **settings: object) -> ServerEntry:
    filled = from_command(["echo"], {}).config.servers[0].settings
    own = ServerSettings.model_validate({**filled.model_dump(), **settings})
    transport = RemoteEntry(url="https://a.example") if is_remote else StdioEntry(command="echo")
    return ServerEntry(key=key, transport=transport, settings=own)


def policy(
    entry: ServerEntry,
    tool: str = "read",
    hints: ToolHints = ANYTHING,
    *,
    has_ui: bool = False,
    pack: LabelTemplates | None = None,
) -> ToolPolicy:
    return resolve_policy(entry, tool, hints, has_ui=has_ui, pack=pack)


def labels(entry: ServerEntry, hints: ToolHints = ANYTHING, pack: LabelTemplates | None = None) -> object:
    resolved = policy(entry, hints=hints, pack=pack)
    return resolved.label_source, resolved.reads, resolved.writes


def test_the_users_labels_come_first_and_the_missing_list_is_empty() -> None:
    entry = server(tools={"read": {"reads": ["mine"]}})
    assert labels(entry, READ_ONLY, PACK) == (LabelSource.CONFIGURATION, ("mine",), ())
    assert policy(entry).labels_are_declared


def test_an_empty_list_of_the_user_means_no_label() -> None:
    assert labels(server(tools={"read": {"writes": []}}), pack=PACK) == (LabelSource.CONFIGURATION, (), ())


def test_other_settings_of_a_tool_leave_its_labels_alone() -> None:
    assert labels(server(tools={"read": {"mode": "async"}}), pack=PACK) == (LabelSource.PACK, ("fs/{path:path}",), ())


def test_a_pack_counts_before_the_annotations() -> None:
    assert labels(server(), READ_ONLY, PACK) == (LabelSource.PACK, ("fs/{path:path}",), ())


def test_a_trusted_read_only_tool_reads_everything() -> None:
    assert labels(server(), READ_ONLY, {"other": ((), ())}) == (LabelSource.ANNOTATIONS, ("",), ())
    assert not policy(server(), hints=READ_ONLY).labels_are_declared


def test_an_untrusted_hint_is_not_believed() -> None:
    assert labels(server(trust=False), READ_ONLY) == (LabelSource.DEFAULT, (), ("",))


@pytest.mark.parametrize("hints", [ANYTHING, ToolHints(read_only=False), ToolHints(idempotent=True)])
def test_any_other_tool_writes_everything(hints: ToolHints) -> None:
    assert labels(server(), hints) == (LabelSource.DEFAULT, (), ("",))


@pytest.mark.parametrize(("key", "root"), [("files", "files"), ("a/b {x}%", "a%2Fb %7Bx%7D%25")])
def test_an_isolated_server_has_a_root_of_its_own(key: str, root: str) -> None:
    assert labels(server(key, isolated=True)) == (LabelSource.DEFAULT, (), (root,))
    assert labels(server(key, isolated=True), READ_ONLY) == (LabelSource.ANNOTATIONS, (root,), ())


def test_isolation_leaves_declared_labels_where_they_are() -> None:
    assert labels(server(isolated=True), pack=PACK) == (LabelSource.PACK, ("fs/{path:path}",), ())
    told = server(isolated=True, tools={"read": {"writes": [""]}})
    assert labels(told) == (LabelSource.CONFIGURATION, (), ("",))


def test_a_tools_own_settings_are_stronger_than_its_servers() -> None:
    entry = server(mode="async", timeout_s=9, tools={"read": {"mode": "sync", "inline_wait_s": 0, "timeout_s": 3}})
    own, other = policy(entry), policy(entry, "write")
    assert (own.mode, own.inline_wait_s, own.timeout_s) == ("sync", 0, 3)
    assert (other.mode, other.inline_wait_s, other.timeout_s) == ("async", "auto", 9)
    assert (own.cancel_grace_s, own.structured) == (5, False)


def test_a_tool_with_a_user_interface_is_always_sync() -> None:
    assert policy(server(tools={"read": {"mode": "async"}}), has_ui=True).mode == "sync"


def test_a_destructive_tool_waits_for_its_failure_in_mode_auto_whoever_says_so() -> None:
    destructive = ToolHints(destructive=True)
    assert policy(server(), hints=destructive).waits_for_failure
    assert policy(server(trust=False), hints=destructive).waits_for_failure
    assert not policy(server(mode="async"), hints=destructive).waits_for_failure
    assert not policy(server(), hints=ANYTHING).waits_for_failure


def test_a_server_that_is_started_here_is_local() -> None:
    assert policy(server()).is_local
    assert not policy(server(is_remote=True)).is_local


def test_settings_for_tools_that_are_not_there_are_found() -> None:
    entry = server(tools={"reed": {}, "read": {}, "rite": {}})
    assert unknown_tools(entry, {"read", "write"}) == ("reed", "rite")


def test_settings_that_nobody_filled_in_are_refused() -> None:
    entry = ServerEntry(key="x", transport=StdioEntry(command="echo"), settings=ServerSettings())
    with pytest.raises(UnresolvedSetting, match="server 'x' has no value for trust"):
        policy(entry)
