"""The story as data: which calls the agent makes, which values they take from one another, and what they touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from asyncfc_mcp.core.label import Access, Label, conflict


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of an earlier call: its whole text, or the part of its JSON that the pointer (RFC 6901) names."""

    call: str
    pointer: str = ""


Argument: TypeAlias = "str | int | Ref | list[Argument]"


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call of the script."""

    name: str
    server: str
    tool: str
    arguments: Mapping[str, Argument]
    """Plain values, with a `Ref` where the value of an earlier call goes, at any depth."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Resource labels; they go into the gateway's configuration as they stand."""

    @property
    def gateway_tool(self) -> str:
        """The tool's name as clients of the gateway see it."""
        return f"{self.server}_{self.tool}"

    def labels(self) -> list[Label]:
        """What it touches, as the gateway understands it."""
        touched = [(path, Access.READ) for path in self.reads] + [(path, Access.WRITE) for path in self.writes]
        return [Label(path=tuple(path.split("/")), access=access, is_declared=True) for path, access in touched]


TRIP: tuple[Call, ...] = (
    Call("flights", "travel", "search_flights", {"origin": "Vienna", "city": "Lisbon"}, reads=("trip/offers",)),
    Call("hotels", "travel", "search_hotels", {"city": "Lisbon", "nights": 4}, reads=("trip/offers",)),
    Call("weather", "travel", "forecast", {"city": "Lisbon"}, reads=("trip/weather",)),
    Call(
        "flight",
        "bookings",
        "book_flight",
        {"offer_id": Ref("flights", "/items/0/id"), "price": Ref("flights", "/items/0/price")},
        writes=("trip/bookings",),
    ),
    Call(
        "hotel",
        "bookings",
        "book_hotel",
        {"offer_id": Ref("hotels", "/items/0/id"), "price": Ref("hotels", "/items/0/price")},
        writes=("trip/bookings",),
    ),
    Call(
        "packing",
        "notes",
        "packing_list",
        {"low_c": Ref("weather", "/low_c"), "rain_percent": Ref("weather", "/rain_percent")},
    ),
    Call("itinerary", "bookings", "itinerary", {}, reads=("trip/bookings",)),
    Call(
        "note",
        "notes",
        "write_note",
        {"name": "lisbon", "parts": [Ref("itinerary"), Ref("packing")]},
        writes=("trip/notes",),
    ),
)


def refs(argument: Argument) -> Iterator[Ref]:
    """The references in an argument, at any depth."""
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, list):
        for item in argument:
            yield from refs(item)


def filled_in(argument: Argument, value: Callable[[Ref], Any]) -> Any:
    """The argument with a value for each reference."""
    if isinstance(argument, Ref):
        return value(argument)
    if isinstance(argument, list):
        return [filled_in(item, value) for item in argument]
    return argument


def predecessors(program: Sequence[Call]) -> dict[str, frozenset[str]]:
    """By call: the earlier calls that must have finished first, for their value or for the order of the state."""
    found: dict[str, frozenset[str]] = {}
    for index, call in enumerate(program):
        ordered = {earlier.name for earlier in program[:index] if _must_keep_order(earlier, call)}
        needed = {ref.call for argument in call.arguments.values() for ref in refs(argument)}
        found[call.name] = frozenset(ordered | needed)
    return found


def parallel_steps(program: Sequence[Call]) -> list[list[Call]]:
    """The fewest steps of an agent that sends calls side by side, but reads every answer before its next step."""
    before = predecessors(program)
    step_of: dict[str, int] = {}
    steps: list[list[Call]] = []
    for call in program:
        step = max((step_of[name] + 1 for name in before[call.name]), default=0)
        step_of[call.name] = step
        if step == len(steps):
            steps.append([])
        steps[step].append(call)
    return steps


def _must_keep_order(earlier: Call, later: Call) -> bool:
    return any(conflict(one, other) for one in earlier.labels() for other in later.labels())
