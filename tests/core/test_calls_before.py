"""Which calls stand directly before one, for those who want to show it."""

from __future__ import annotations

from asyncfc_mcp.core.graph import Node, calls_before, group_of


def behind(*blockers: Node) -> Node:
    node = Node("last")
    node.wait_for(blockers)
    return node


def test_calls_in_groups_count_and_each_is_named_once() -> None:
    first, second, third = (Node(name) for name in ("a", "b", "c"))
    found = calls_before(behind(group_of([first, second]), group_of([second, third])), 8)
    assert sorted(found) == ["a", "b", "c"]


def test_of_many_calls_the_latest_are_named() -> None:
    assert calls_before(behind(*(Node(str(number)) for number in range(100))), 3) == ["99", "98", "97"]


def test_a_long_row_of_groups_is_not_walked_to_its_end() -> None:
    node = Node("a")
    for _ in range(100_000):
        node = group_of([node])
    assert calls_before(behind(node), 8) == []
