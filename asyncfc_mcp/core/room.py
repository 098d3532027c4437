"""How many calls run at once on one server, and whose turn is next when it is full."""

from __future__ import annotations

from collections import OrderedDict, deque


class ServerRoom:
    """A bounded number of places with one queue a scope, served in turn so that no scope starves another.

    Args:
        capacity: how many calls may run at once; None for no limit.
    """

    __slots__ = ("_queues", "capacity", "running")

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.running = 0
        self._queues: OrderedDict[str, deque[str]] = OrderedDict()

    def queue(self, scope: str, future: str) -> None:
        """Wait for a place."""
        self._queues.setdefault(scope, deque()).append(future)

    def take(self) -> str | None:
        """The future whose turn it is, with its place taken; None when nobody waits or there is no room."""
        if not self._queues or (self.capacity is not None and self.running >= self.capacity):
            return None
        scope, waiting = next(iter(self._queues.items()))
        future = waiting.popleft()
        if waiting:
            self._queues.move_to_end(scope)
        else:
            del self._queues[scope]
        self.running += 1
        return future

    def give_back(self) -> None:
        """Free a place."""
        self.running -= 1
