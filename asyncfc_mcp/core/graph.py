"""Order edges: which calls, or groups of calls, must end before which. It knows no labels; the tree decides on edges.

A *group* stands for several calls at once, so that n calls in front of m calls cost n + m edges and not n x m.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncfc_mcp.core.tree import Frontier


class Node:
    """A call, or a group of calls (`future` is None), that has not ended."""

    __slots__ = ("blockers", "dependants", "frontiers", "future")

    def __init__(self, future: str | None = None) -> None:
        self.future = future
        self.blockers: dict[Node, None] = {}
        self.dependants: dict[Node, None] = {}
        self.frontiers: list[Frontier] = []

    def wait_for(self, blockers: Iterable[Node]) -> None:
        """Put this node behind each of `blockers`."""
        for blocker in blockers:
            self.blockers[blocker] = None
            blocker.dependants[self] = None


def group_of(members: Iterable[Node]) -> Node:
    """One node that ends when the last of `members` has."""
    group = Node()
    group.wait_for(members)
    return group


def release(node: Node) -> list[str]:
    """Take a node that has ended out of the graph; the futures that nothing blocks any more, oldest edge first.

    A node that leaves while others still block it (a cancelled call) is taken out of their way as well.
    """
    unblocked: list[str] = []
    for blocker in node.blockers:
        del blocker.dependants[node]
    node.blockers.clear()
    ended = [node]
    while ended:
        gone = ended.pop()
        for frontier in gone.frontiers:
            frontier.leave(gone)
        gone.frontiers.clear()
        for dependant in gone.dependants:
            del dependant.blockers[gone]
            if dependant.blockers:
                continue
            if dependant.future is None:
                ended.append(dependant)
            else:
                unblocked.append(dependant.future)
        gone.dependants.clear()
    return unblocked


def first_blocker(node: Node) -> str | None:
    """The future of one call that this node waits behind, looking through groups."""
    while node.blockers:
        node = next(iter(node.blockers))
        if node.future is not None:
            return node.future
    return None
