"""Failed writes of one scope that its client has not been told of, found by the places that they wrote.

Whoever is about to start asks whether one of them stops it, and that must not cost more the more of them there are. So
each is entered at its own places and at all above, in the order in which they ended: those that ended before a call
arrived were not in its way, and it stops looking at the first of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from asyncfc_mcp.core.label import Access, LabelPath

if TYPE_CHECKING:
    from asyncfc_mcp.core.record import FutureRecord

_Places = dict[LabelPath, dict[str, "FutureRecord"]]


class UnseenFailures:
    """Which failures are unseen, and which of them a call may have waited behind."""

    __slots__ = ("_at", "_at_or_below", "_at_work", "_records")

    def __init__(self) -> None:
        self._records: dict[str, FutureRecord] = {}
        self._at_work: dict[str, FutureRecord] = {}
        """Those whose server has not ended them yet, for some seconds: few, and without a place in the order."""
        self._at: _Places = {}
        self._at_or_below: _Places = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._records)

    @property
    def records(self) -> Mapping[str, FutureRecord]:
        """All of them, by future."""
        return self._records

    def add(self, record: FutureRecord) -> None:
        """A write has failed that still holds its labels."""
        self._records[record.call.future] = record
        self._at_work[record.call.future] = record

    def note_end(self, record: FutureRecord) -> None:
        """A call has let go of its labels; it may be any."""
        if self._at_work.pop(record.call.future, None) is not None:
            for places, path in self._entries(record):
                places.setdefault(path, {})[record.call.future] = record

    def remove(self, record: FutureRecord) -> None:
        """The client knows; also of a call that is none of these."""
        if self._records.pop(record.call.future, None) is None:
            return
        if self._at_work.pop(record.call.future, None) is not None:
            return
        for places, path in self._entries(record):
            del places[path][record.call.future]
            if not places[path]:
                del places[path]

    def before(self, record: FutureRecord) -> Iterator[FutureRecord]:
        """Those that wrote where the call writes, or above or below, and held their labels as it arrived."""
        if not self._records:
            return
        yield from self._at_work.values()
        for path in _written(record):
            for length in range(len(path)):
                yield from _ended_since(record.arrival, self._at.get(path[:length]))
            yield from _ended_since(record.arrival, self._at_or_below.get(path))

    def _entries(self, record: FutureRecord) -> Iterator[tuple[_Places, LabelPath]]:
        written = _written(record)
        for path in written:
            yield self._at, path
        # two of its places may have the same one above
        for above in dict.fromkeys(path[:length] for path in written for length in range(len(path) + 1)):
            yield self._at_or_below, above


def _written(record: FutureRecord) -> dict[LabelPath, None]:
    return dict.fromkeys(label.path for label in record.call.labels if label.access is Access.WRITE)


def _ended_since(arrival: int, records: dict[str, FutureRecord] | None) -> Iterator[FutureRecord]:
    """The latest first."""
    if records is None:
        return
    for record in reversed(records.values()):
        if record.end is None or record.end < arrival:
            return
        yield record
