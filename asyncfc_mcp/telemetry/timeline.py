"""The last calls as people look at them: when each one came, started and settled, and what it waited for.

No arguments and no values are in it. `gateway.timekeeping` feeds it; the dashboard and the metrics read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from asyncfc_mcp.core.future import SETTLED, FutureState
from asyncfc_mcp.telemetry.savings import Savings

MOST_SPANS = 2_000
MOST_ASKED = 100
"""Calls that are asked at once what they wait for."""


@dataclass(frozen=True, slots=True)
class Span:
    """One call, as it stands; times are seconds since the epoch."""

    number: int
    """In order of arrival, and of no other call of this process: its name where the token may not be shown."""
    token: str
    """As far as it may be shown: never the whole token of an anonymous caller."""
    server: str
    tool: str
    scope: str
    state: str
    arrived_s: float
    started_s: float | None
    settled_s: float | None
    needs: tuple[int, ...]
    """The calls whose values it needs."""
    behind: tuple[int, ...]
    """The calls that it had to wait directly behind when it arrived, for the order alone; the latest of many."""
    why: str
    """Why it waits, in words; empty when it does not."""
    failure: str | None
    """The reason in one word."""
    waited_for: str = ""
    """Why it could not start when it arrived, in words; empty when it could."""


@dataclass(slots=True)
class _Entry:
    number: int
    token: str
    server: str
    tool: str
    scope: str
    state: FutureState
    arrived_s: float
    needs: tuple[int, ...]
    behind: tuple[int, ...]
    waited_for: str
    change: int
    why: str = ""
    started_s: float | None = None
    settled_s: float | None = None
    failure: str | None = None

    def span(self) -> Span:
        return Span(
            self.number,
            self.token,
            self.server,
            self.tool,
            self.scope,
            self.state.value,
            self.arrived_s,
            self.started_s,
            self.settled_s,
            self.needs,
            self.behind,
            self.why,
            self.failure,
            self.waited_for,
        )


class Timeline:
    """The last calls, in order of arrival, and earlier ones that have not settled yet.

    Calls are told apart by an identity that it never gives away.

    Args:
        why: says of a call that has not settled why it waits now; empty when it does not.
        most: how many calls are kept.
    """

    def __init__(self, why: Callable[[str], str] = lambda _: "", most: int = MOST_SPANS) -> None:
        self._why = why
        self._most = most
        self._entries: dict[str, _Entry] = {}
        self._unsettled: dict[str, _Entry] = {}
        self._count = 0
        self.change = 0
        """Counts what has happened; `since` says what changed after one."""
        self.saved = Savings()
        """Of all calls, also those that are not kept any more; on the clock of the moves."""

    def __len__(self) -> int:
        """How many calls are kept."""
        return len(self._entries)

    def arrive(
        self,
        identity: str,
        *,
        token: str,
        server: str,
        tool: str,
        scope: str,
        at_s: float,
        needs: Iterable[str] = (),
        behind: Iterable[str] = (),
        waits_for: str = "",
    ) -> None:
        """A call has arrived, and depends on those of the given identities."""
        self._count += 1
        self.change += 1
        entry = _Entry(
            self._count,
            token,
            server,
            tool,
            scope,
            FutureState.PENDING,
            at_s,
            self._numbers(needs) if needs else (),
            self._direct(behind) if behind else (),
            waits_for,
            self.change,
            waits_for,
        )
        self._entries[identity] = self._unsettled[identity] = entry
        if len(self._entries) > self._most:
            self._drop_one()

    def move(self, identity: str, to_state: FutureState, after_s: float, failure: str | None = None) -> None:
        """A call has gone to another state, that long after its arrival."""
        entry = self._unsettled.get(identity)
        if entry is None:
            return
        self.change += 1
        entry.change = self.change
        entry.state = to_state
        entry.why = ""
        if entry.started_s is None and to_state is FutureState.RUNNING:
            entry.started_s = entry.arrived_s + after_s
        if to_state in SETTLED:
            entry.settled_s = entry.arrived_s + after_s
            entry.failure = failure
            del self._unsettled[identity]

    def spans(self) -> list[Span]:
        """Every call that is kept, oldest first."""
        self._ask_why(len(self._unsettled))
        return [entry.span() for entry in self._entries.values()]

    def since(self, change: int) -> list[Span]:
        """The calls that have changed after that one, oldest first.

        What a call waits for changes without a move of its own. Where very many wait, some of them are asked for that
        each time.
        """
        self._ask_why(MOST_ASKED)
        return [entry.span() for entry in self._entries.values() if entry.change > change]

    def _drop_one(self) -> None:
        """The oldest that has settled: one that still runs is what people look for."""
        oldest = next((one for one in self._entries if one not in self._unsettled), next(iter(self._entries)))
        del self._entries[oldest]
        self._unsettled.pop(oldest, None)

    def _ask_why(self, most: int) -> None:
        for identity in list(islice(self._unsettled, most)):
            entry = self._unsettled.pop(identity)
            self._unsettled[identity] = entry  # to the end: the others are next
            why = self._why(identity)
            if why != entry.why:
                self.change += 1
                entry.change = self.change
                entry.why = why

    def _direct(self, identities: Iterable[str]) -> tuple[int, ...]:
        """Without those that others of them wait for anyway: so many lines could not be told apart."""
        entries = [self._entries[one] for one in identities if one in self._entries]
        implied = {number for entry in entries for number in (*entry.behind, *entry.needs)}
        return tuple(sorted({entry.number for entry in entries} - implied))

    def _numbers(self, identities: Iterable[str]) -> tuple[int, ...]:
        entries = self._entries
        return tuple(sorted(entries[one].number for one in identities if one in entries))
