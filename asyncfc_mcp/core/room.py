"""How many calls run at once, on one server and on all of them, and whose turn is next when there is no place.

Servers take turns, and on each server its scopes: neither a busy server nor a busy scope keeps another from its turn.
Every step costs the same however many wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping


class ServerRoom:
    """A bounded number of places with one queue a scope, served in turn.

    Args:
        capacity: how many calls may run at once; None for no limit.
    """

    __slots__ = ("_queues", "capacity", "over", "running")

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.running = 0
        self.over = 0
        """How many more run than there are places, since there once were more."""
        self._queues: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether no place is free."""
        return self.capacity is not None and self.running >= self.capacity

    @property
    def has_turn_to_give(self) -> bool:
        """Whether somebody waits, and not for a place here."""
        return bool(self._queues) and not self.is_full

    def queue(self, scope: str, future: str) -> None:
        """Wait for a place."""
        self._queues.setdefault(scope, OrderedDict())[future] = None

    def leave(self, scope: str, future: str) -> None:
        """Wait no more; also for who never did."""
        waiting = self._queues.get(scope)
        if waiting is not None and future in waiting:
            del waiting[future]
            if not waiting:
                del self._queues[scope]

    def take(self) -> str:
        """The future whose turn it is, with its place taken; only while there is a turn to give."""
        scope, waiting = next(iter(self._queues.items()))
        future, _ = waiting.popitem(last=False)
        if waiting:
            self._queues.move_to_end(scope)
        else:
            del self._queues[scope]
        self.running += 1
        return future

    def give_back(self) -> None:
        """Free a place; one that is not there any more is free for nobody."""
        self.running -= 1
        self.over = max(0, self.over - 1)

    def resize(self, capacity: int | None) -> None:
        """Have another number of places; who has one keeps it."""
        self.capacity = capacity
        self.over = _excess(self.running, capacity)


def _excess(running: int, capacity: int | None) -> int:
    return 0 if capacity is None else max(0, running - capacity)


class Rooms:
    """The rooms of all servers, with one bound on all of them together.

    Args:
        capacities: how many calls may run at once on each server, by its key; no limit where it is silent.
        capacity: how many may run at once in all; None for no limit.
    """

    def __init__(self, capacities: Mapping[str, int], capacity: int | None = None) -> None:
        self._capacities = dict(capacities)
        self._rooms: dict[str, ServerRoom] = {}
        self._turns: OrderedDict[str, ServerRoom] = OrderedDict()
        """The servers that have a turn to give, in the order in which they get theirs."""
        self.capacity = capacity
        self.running = 0
        self.over = 0
        """How many more run than may, since more might once."""

    @property
    def by_server(self) -> Mapping[str, ServerRoom]:
        """The room of every server that has been called."""
        return self._rooms

    @property
    def is_full(self) -> bool:
        """Whether no more may run, on whichever server."""
        return self.capacity is not None and self.running >= self.capacity

    def of(self, server: str) -> ServerRoom:
        """The room of a server."""
        if server not in self._rooms:
            self._rooms[server] = ServerRoom(self._capacities.get(server))
        return self._rooms[server]

    def queue(self, server: str, scope: str, future: str) -> None:
        """Wait for a place on a server."""
        self.of(server).queue(scope, future)
        self._line_up(server)

    def leave(self, server: str, scope: str, future: str) -> None:
        """Wait no more; also for who never did."""
        self.of(server).leave(scope, future)
        self._line_up(server)

    def take(self) -> str | None:
        """The future whose turn it is, with its place taken; None when nobody waits or there is no place."""
        if self.is_full or not self._turns:
            return None
        server, room = next(iter(self._turns.items()))
        future = room.take()
        self.running += 1
        self._turns.move_to_end(server)
        self._line_up(server)
        return future

    def give_back(self, server: str) -> None:
        """Free a place."""
        self.of(server).give_back()
        self.running -= 1
        self.over = max(0, self.over - 1)
        self._line_up(server)

    def resize(self, capacities: Mapping[str, int], capacity: int | None) -> None:
        """Have other bounds, on these servers and in all; nobody loses a place, and turns stay as they are."""
        self._capacities.update(capacities)
        for server, room in self._rooms.items():
            room.resize(self._capacities.get(server))
            self._line_up(server)
        self.capacity = capacity
        self.over = _excess(self.running, capacity)

    def _line_up(self, server: str) -> None:
        """Have a server among those whose turn comes, at the end, as long as it has one to give."""
        room = self._rooms[server]
        if room.has_turn_to_give:
            self._turns.setdefault(server, room)
        else:
            self._turns.pop(server, None)
