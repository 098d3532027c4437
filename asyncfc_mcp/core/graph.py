"""Order edges: which calls, or groups of calls, must end before which. It knows no labels; the tree decides on edges.

A *group* stands for several calls at once, so that n calls in front of m calls cost n + m edges and not n x m. A group
may have an older one among its members, and so on; such a *row* of groups knows its oldest that has not ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncfc_mcp.core.tree import Frontier


class Row:
    """Groups of which each waits for the one before, which has at most one behind it; so they end in their order."""

    __slots__ = ("oldest",)

    def __init__(self, oldest: Node) -> None:
        self.oldest = oldest


class Node:
    """A call, or a group of calls (`future` is None), that has not ended."""

    __slots__ = ("blockers", "dependants", "frontiers", "future", "row")

    def __init__(self, future: str | None = None) -> None:
        self.future = future
        self.row: Row | None = None
        """Only a group stands in one."""
        self.blockers: Nodes = ()
        self.dependants: Nodes = ()
        self.frontiers = _NOWHERE

    def wait_for(self, blockers: Iterable[Node]) -> None:
        """Put this node behind each of `blockers`."""
        for blocker in blockers:
            self.blockers = _with(self.blockers, blocker)
            blocker.dependants = _with(blocker.dependants, self)

    def stand_in(self, frontier: Frontier) -> None:
        """Remember a place that this node was entered at."""
        if self.frontiers is _NOWHERE:
            self.frontiers = []
        self.frontiers.append(frontier)

    def give_way_in(self, frontier: Frontier) -> None:
        """Forget such a place, where a group stands for this node from now on."""
        self.frontiers.remove(frontier)
        if not self.frontiers:
            self.frontiers = _NOWHERE  # most nodes end up here, and an empty list keeps its room


_NOWHERE: list[Frontier] = []
"""Shared by all that stand nowhere; it stays empty."""

# A dict weighs four times a short tuple, and most nodes have hardly anybody before or behind them.
Nodes = tuple["Node", ...] | dict["Node", None]
_MOST_IN_TUPLE = 3


def _with(nodes: Nodes, node: Node) -> Nodes:
    if isinstance(nodes, dict):
        nodes[node] = None
        return nodes
    if node in nodes:
        return nodes
    more = (*nodes, node)
    return more if len(more) <= _MOST_IN_TUPLE else dict.fromkeys(more)


def _without(nodes: Nodes, node: Node) -> Nodes:
    if isinstance(nodes, dict):
        del nodes[node]
        return nodes
    return tuple([one for one in nodes if one is not node])


def group_of(members: Collection[Node]) -> Node:
    """One node that ends when the last of `members` has."""
    group = Node()
    group.wait_for(members)
    before = next((member.row for member in members if member.row is not None), None)
    group.row = before or Row(group)
    return group


def release(node: Node) -> list[str]:
    """Take a node that has ended out of the graph; the futures that nothing blocks any more, oldest edge first.

    A node that leaves while others still block it (a cancelled call) is taken out of their way as well.
    """
    unblocked: list[str] = []
    for blocker in node.blockers:
        blocker.dependants = _without(blocker.dependants, node)
    node.blockers = ()
    ended = [node]
    while ended:
        gone = ended.pop()
        for frontier in gone.frontiers:
            frontier.leave(gone)
        gone.frontiers.clear()
        for dependant in gone.dependants:
            dependant.blockers = _without(dependant.blockers, gone)
            if gone.row is not None and dependant.row is gone.row:
                gone.row.oldest = dependant
            if dependant.blockers:
                continue
            if dependant.future is None:
                ended.append(dependant)
            else:
                unblocked.append(dependant.future)
        gone.dependants = ()
    return unblocked


def first_blocker(node: Node) -> str | None:
    """The future of one call that this node waits behind; of those in a row of groups one of the oldest."""
    while node.blockers:
        node = next(iter(node.blockers))
        if node.future is not None:
            return node.future
        if node.row is not None:
            node = node.row.oldest
    return None


def calls_before(node: Node, most: int) -> list[str]:
    """The futures of calls directly before a node, those in groups too; the latest of them where they are many."""
    found: dict[str, None] = {}
    nodes = list(node.blockers)
    for _ in range(4 * most):  # a row of groups is long where everything conflicts
        if not nodes or len(found) == most:
            break
        one = nodes.pop()
        if one.future is not None:
            found[one.future] = None
        else:
            nodes += one.blockers
    return list(found)
