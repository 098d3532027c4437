"""How many unsettled calls in a row each need the value of the one before.

Every call gets its number in the row as it comes. Calls that settle shorten the row, so a number may become too high,
never too low: it is counted again only where it would matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncfc_mcp.core.record import FutureRecord


def number_after(needs: Iterable[str], records: Mapping[str, FutureRecord]) -> int:
    """The number of a call that needs these values; 1 when all of them are there."""
    return 1 + max((records[need].number for need in needs if not records[need].is_settled), default=0)


def count_again(needs: Iterable[str], records: Mapping[str, FutureRecord]) -> None:
    """Number these calls, and all that they wait for, as they stand now; not recursive, since rows are long."""
    counted: set[str] = set()
    waiting = [records[need] for need in needs if not records[need].is_settled]
    while waiting:
        record = waiting[-1]
        ahead = [records[need] for need in record.unsettled_needs if need not in counted]
        if ahead:
            waiting += ahead
        else:
            waiting.pop()
            counted.add(record.call.future)
            record.number = number_after(record.unsettled_needs, records)
