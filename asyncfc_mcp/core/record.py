"""What the scheduler remembers: one record a future, one entry a scope."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from asyncfc_mcp.core.events import Call
from asyncfc_mcp.core.future import SETTLED, Failure, FutureState
from asyncfc_mcp.core.graph import Node
from asyncfc_mcp.core.tree import StateTree
from asyncfc_mcp.core.unseen import UnseenFailures


@dataclass(slots=True, eq=False)
class FutureRecord:
    """All that the scheduler knows of one future. Others may read it; only the scheduler writes."""

    call: Call
    node: Node
    arrived_at: float
    arrival: int
    """Its place in the order of events; so are `answer` and `end`."""
    state: FutureState = FutureState.PENDING
    answer: int | None = None
    end: int | None = None
    has_token: bool = False
    """Whether its request was answered with the token."""
    is_told: bool = False
    failure: Failure | None = None
    unsettled_needs: AbstractSet[str] = frozenset()
    data_dependants: list[FutureRecord] | None = None
    """Most calls have none, and an empty list for each would weigh more than all else here."""
    pins: int = 0
    """How many unsettled calls refer to its value."""
    number: int = 1
    """In the row of unsettled calls that each need the value of the one before; see `chain`."""
    had_started: bool = False
    """Whether it had its turn in an earlier process already."""
    started_at: float | None = None
    settled_at: float | None = None
    cancel_message: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether nothing will change its state any more."""
        return self.state in SETTLED

    @property
    def is_answered(self) -> bool:
        """Whether the client can have acted on an answer to its call."""
        return self.answer is not None

    @property
    def has_ended(self) -> bool:
        """Whether it holds no labels and no room any more."""
        return self.end is not None

    @property
    def is_forgettable(self) -> bool:
        """Whether nobody needs it any more: settled, ended, and no unsettled call refers to it."""
        return self.is_settled and self.has_ended and not self.pins

    @property
    def is_blocked(self) -> bool:
        """Whether it is pending because of other calls, and not just for room on its server."""
        return self.state is FutureState.PENDING and bool(self.unsettled_needs or self.node.blockers)

    @property
    def is_startable(self) -> bool:
        """Whether only room on its server may be missing."""
        return self.state is FutureState.PENDING and not self.is_blocked


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason why a call is pending."""

    future: str | None
    """The call or value that it waits for; None when its server has no room."""
    is_data: bool
    because: str
    """In words: the label in conflict, or what is missing."""
    server: str | None = None
    """The server that has no room; None where something else is missing, or room on all servers together."""


@dataclass(slots=True, eq=False)
class Scope:
    """What belongs to one scope: its state tree, and its failed writes that the client has not been told of."""

    tree: StateTree = field(default_factory=StateTree)
    unseen: UnseenFailures = field(default_factory=UnseenFailures)
    unsettled: int = 0

    @property
    def unseen_failures(self) -> Mapping[str, FutureRecord]:
        """The failed writes that the client has not been told of and that may stop others, by future."""
        return self.unseen.records

    @property
    def is_empty(self) -> bool:
        """Whether it can be dropped."""
        return self.tree.is_empty and not self.unseen and not self.unsettled
