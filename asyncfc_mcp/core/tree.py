"""The state tree of one scope: which unfinished calls hold which labels, and so whom a new call waits for.

An unfinished call is entered at the path of each of its labels: on arrival among the *declared* ones, once it has been
answered among the *answered* ones. Every tree node keeps its entries in frontiers: those that stand exactly here (they
block calls below) and those that stand anywhere below (they block calls here). A frontier that blocks somebody folds
its members into one group, so a call costs a few edges for each segment of its path, however many calls conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from asyncfc_mcp.core.graph import Node, group_of
from asyncfc_mcp.core.label import Access, Label, LabelPath


class Plane(StrEnum):
    """Which earlier calls a label looks at."""

    ARRIVED = "arrived"
    """Declared labels, from their arrival: what another declared label waits for."""
    ANSWERED = "answered"
    """All labels, from their answer: what any label waits for."""


class Frontier:
    """The unfinished calls of one kind at one place, the older ones folded into groups."""

    __slots__ = ("_members", "_owner")

    def __init__(self, owner: TreeNode) -> None:
        self._owner = owner
        self._members: dict[Node, None] = {}

    def enter(self, node: Node) -> None:
        """Add a call."""
        if node not in self._members:
            self._members[node] = None
            node.stand_in(self)

    def leave(self, node: Node) -> None:
        """Drop what has ended."""
        del self._members[node]
        if not self._members:
            self._owner.prune()

    def blocker(self) -> Node | None:
        """One node that ends when all members have; None when there are none."""
        if len(self._members) > 1:
            group = group_of(self._members)
            for member in self._members:
                member.give_way_in(self)
            self._members.clear()
            self.enter(group)
        return next(iter(self._members), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands here."""
        return not self._members


class TreeNode:
    """One path of the tree; it exists while a call stands here or below."""

    __slots__ = ("_below", "_children", "_here", "_parent", "_segment")

    def __init__(self, parent: TreeNode | None = None, segment: str = "") -> None:
        self._parent = parent
        self._segment = segment
        self._children: dict[str, TreeNode] = {}
        self._here: dict[tuple[Plane, Access], Frontier] = {}
        self._below: dict[tuple[Plane, Access], Frontier] = {}

    def child(self, segment: str) -> TreeNode | None:
        """The child of that name, if there is one."""
        return self._children.get(segment)

    def grow(self, segment: str) -> TreeNode:
        """The child of that name, made when missing."""
        if (child := self._children.get(segment)) is None:
            child = self._children[segment] = TreeNode(self, segment)
        return child

    def enter(self, node: Node, plane: Plane, access: Access, *, is_here: bool) -> None:
        """Enter a call that stands here, or somewhere below."""
        places = (self._here, self._below) if is_here else (self._below,)
        for frontiers in places:
            if (frontier := frontiers.get((plane, access))) is None:
                frontier = frontiers[plane, access] = Frontier(self)
            frontier.enter(node)

    def blockers(self, plane: Plane, access: Access, *, below: bool) -> Sequence[Node]:
        """What a call with that access waits for: entries below (and here), or just those here."""
        frontiers = self._below if below else self._here
        if not frontiers:
            return ()
        conflicting = (Access.WRITE,) if access is Access.READ else (Access.WRITE, Access.READ)
        standing = [frontier for other in conflicting if (frontier := frontiers.get((plane, other))) is not None]
        return [node for frontier in standing if (node := frontier.blocker()) is not None]

    def prune(self) -> None:
        """Drop what is empty, here and upwards; in a loop, since a path may have thousands of segments."""
        for frontiers in (self._here, self._below):
            for key in [key for key, frontier in frontiers.items() if frontier.is_empty]:
                del frontiers[key]
        node: TreeNode | None = self
        while node is not None and node.is_empty:
            node = node.leave()

    def leave(self) -> TreeNode | None:
        """Take an empty node out of the tree; its parent, which may be empty now."""
        if self._parent is not None:
            self._parent.drop(self._segment)
        return self._parent

    def drop(self, segment: str) -> None:
        """Forget a child."""
        del self._children[segment]

    @property
    def is_empty(self) -> bool:
        """Whether no call stands here or below."""
        return not (self._children or self._here or self._below)


class StateTree:
    """The labels held by the unfinished calls of one scope."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = TreeNode()

    def blockers(self, label: Label) -> Iterator[Node]:
        """The calls, or groups of them, that a call arriving now with `label` must wait for."""
        planes = (Plane.ARRIVED, Plane.ANSWERED) if label.is_declared else (Plane.ANSWERED,)
        node = self._root
        for segment in label.path:
            for plane in planes:
                yield from node.blockers(plane, label.access, below=False)
            child = node.child(segment)
            if child is None:
                return
            node = child
        for plane in planes:
            yield from node.blockers(plane, label.access, below=True)

    def enter(self, node: Node, label: Label, plane: Plane) -> None:
        """Enter an unfinished call under one of its labels."""
        for tree_node, is_here in self._grow(label.path):
            tree_node.enter(node, plane, label.access, is_here=is_here)

    def _grow(self, path: LabelPath) -> Iterator[tuple[TreeNode, bool]]:
        tree_node = self._root
        for segment in path:
            yield tree_node, False
            tree_node = tree_node.grow(segment)
        yield tree_node, True

    @property
    def is_empty(self) -> bool:
        """Whether no call holds a label."""
        return self._root.is_empty
