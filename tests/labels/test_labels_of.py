"""The labels of a call: what covers what, where local paths lead, and what is refused at start."""

from __future__ import annotations

import timeit
from pathlib import Path

import pytest

from asyncfc_mcp.config.policy import LabelSource, ToolHints, ToolPolicy
from asyncfc_mcp.core.label import Label, conflict
from asyncfc_mcp.gateway.arguments.labelling import fixed_labels, labels_of


def policy(
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    *,
    local: bool = False,
    source: LabelSource = LabelSource.CONFIGURATION,
) -> ToolPolicy:
    return ToolPolicy(
        server="files",
        tool="write_file",
        mode="auto",
        inline_wait_s=1.0,
        timeout_s=3600.0,
        cancel_grace_s=5.0,
        structured=False,
        label_source=source,
        reads=reads,
        writes=writes,
        is_local=local,
        is_trusted=True,
        hints=ToolHints(),
    )


def plain(_: str) -> bool:
    return False


def words(labels: tuple[Label, ...]) -> list[str]:
    return [str(label) for label in labels]


def place(path: Path) -> str:
    return "fs" + str(path).lower()


READ = ("fs/{path:path}",)


def test_reads_and_writes_become_labels() -> None:
    found = labels_of(policy(("a/{x}",), ("b/{x}",)), {"x": "1"}, plain)
    assert words(found) == ["write of b/1", "read of a/1"]


@pytest.mark.parametrize("source", list(LabelSource))
def test_labels_are_declared_only_when_written_for_the_tool(source: LabelSource) -> None:
    (label,) = labels_of(policy(("a",), source=source), {}, plain)
    assert label.is_declared is (source in {LabelSource.CONFIGURATION, LabelSource.PACK})


def test_empty_lists_conflict_with_nothing() -> None:
    assert labels_of(policy(), {}, plain) == ()


def test_a_read_under_a_write_is_dropped() -> None:
    assert words(labels_of(policy(("a/b", "a", "c"), ("a",)), {}, plain)) == ["write of a", "read of c"]


@pytest.mark.parametrize("source", list(LabelSource))
def test_labels_without_placeholders_are_those_of_every_call(source: LabelSource) -> None:
    named = policy(("a/b", "a", "c"), ("a",), source=source, local=True)
    assert fixed_labels(named) == labels_of(named, {"a": "x"}, plain)


def test_labels_with_a_placeholder_are_known_of_no_call_beforehand() -> None:
    assert fixed_labels(policy(READ, ("a",))) is None


def test_a_write_under_a_read_is_kept() -> None:
    assert words(labels_of(policy(("a",), ("a/b",)), {}, plain)) == ["write of a/b", "read of a"]


def test_the_root_covers_everything() -> None:
    assert words(labels_of(policy(("", "a"), ("b", "")), {}, plain)) == ["write of everything"]


def test_a_remote_path_never_touches_our_disk(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = labels_of(policy(READ), {"path": f"{tmp_path}/link"}, plain)
    assert words(found) == [f"read of {place(tmp_path / 'link')}"]


def test_a_link_counts_by_its_name_and_by_its_target(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    through_link = labels_of(policy((), READ, local=True), {"path": f"{tmp_path}/link/a.txt"}, plain)
    assert words(through_link) == [
        f"write of {place(tmp_path / 'real' / 'a.txt')}",
        f"write of {place(tmp_path / 'link' / 'a.txt')}",
    ]


def test_a_dangling_link_leads_to_the_file_that_a_write_would_make(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    (tmp_path / "link").symlink_to(tmp_path / "later")
    found = labels_of(policy(READ, local=True), {"path": f"{tmp_path}/link"}, plain)
    assert f"read of {place(tmp_path / 'later')}" in words(found)


def test_the_parent_of_a_link_is_ambiguous_and_gives_the_namespace(tmp_path: Path) -> None:
    (tmp_path / "deep" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "real")
    found = labels_of(policy(READ, local=True), {"path": f"{tmp_path}/link/../a.txt"}, plain)
    assert words(found) == ["read of fs"]


def test_making_a_deep_folder_is_a_write_of_the_first_missing_one(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    (made,) = labels_of(policy((), READ, local=True), {"path": f"{tmp_path}/new/deep/er"}, plain)
    assert made.path[-1] == "new"
    (beside,) = labels_of(policy((), READ, local=True), {"path": f"{tmp_path}/new/a.txt"}, plain)
    assert conflict(made, beside)


def test_what_follows_a_missing_folder_in_a_template_does_not_narrow_its_label_again(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    index = policy((), ("fs/{path:path}/index",), local=True)
    (made,) = labels_of(index, {"path": f"{tmp_path}/new/deep"}, plain)
    (inside,) = labels_of(policy(READ, local=True), {"path": f"{tmp_path}/new/deep/index"}, plain)
    assert conflict(made, inside)
    (beside,) = labels_of(policy(READ, local=True), {"path": f"{tmp_path}/new/b"}, plain)
    assert conflict(labels_of(index, {"path": f"{tmp_path}/new"}, plain)[0], beside)
    (tmp_path / "new").mkdir()
    (there,) = labels_of(index, {"path": f"{tmp_path}/new"}, plain)
    assert there.path[-2:] == ("new", "index")


def test_a_name_that_can_be_read_in_two_ways_gives_the_namespace_to_a_write_too(tmp_path: Path) -> None:
    found = labels_of(policy(READ, READ, local=True), {"path": f"{tmp_path}/new/a\\b"}, plain)
    assert words(found) == ["write of fs"]


def test_writes_beside_each_other_in_a_folder_that_exists_do_not_conflict(tmp_path: Path) -> None:
    one, other = (
        labels_of(policy((), READ, local=True), {"path": f"{tmp_path}/{name}.txt"}, plain) for name in ("a", "b")
    )
    assert not any(conflict(mine, theirs) for mine in one for theirs in other)


def test_a_relative_path_needs_a_folder_to_start_from(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    assert words(labels_of(policy(READ, local=True), {"path": "a.txt"}, plain)) == ["read of fs"]
    found = labels_of(policy(READ, local=True), {"path": "./a.txt"}, plain, cwd=tmp_path)
    assert words(found) == [f"read of {place(tmp_path / 'a.txt')}"]


@pytest.mark.parametrize("path", ["~", "~/a.txt", "/a\0b", "/a\ud800b", "/$ASYNCFC_TEST_FOLDER/a"])
def test_a_path_that_servers_read_in_their_own_way_gives_the_namespace(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCFC_TEST_FOLDER", "elsewhere")
    assert words(labels_of(policy(READ, local=True), {"path": path}, plain, cwd=tmp_path)) == ["read of fs"]


def test_a_dollar_that_names_no_variable_is_part_of_the_name(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    found = labels_of(policy(READ, local=True), {"path": f"{tmp_path}/$no_such_variable.tsx"}, plain)
    assert words(found) == [f"read of {place(tmp_path / '$no_such_variable.tsx')}"]


def test_a_reference_anywhere_in_the_argument_gives_the_namespace() -> None:
    found = labels_of(policy((), READ), {"path": "/a/fut_x"}, lambda name: name == "path")
    assert words(found) == ["write of fs"]


def test_a_label_costs_well_under_a_tenth_of_a_millisecond() -> None:
    tool = policy(("fs/{source:path}",), ("fs/{destination:path}",))
    arguments = {"source": "/home/ann/projects/site/a.txt", "destination": "/home/ann/projects/site/b.txt"}
    best = min(timeit.repeat(lambda: labels_of(tool, arguments, plain), number=200, repeat=5)) / 200
    assert best < 100e-6
