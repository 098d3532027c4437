"""What an inspection says: findings, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, worst first."""

    ERROR = "error"
    """It does not work."""
    WARNING = "warning"
    """It works, but not as well, or not with everything."""
    NOTE = "note"
    """Worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one server."""

    server: str
    """Its key; empty for what concerns all of them."""
    severity: Severity
    code: str
    """What kind of thing it is, for programs; the same in every release."""
    fact: str
    remedy: str


_ORDER = list(Severity)
_SHOWN_NAMES = 5


def in_order(findings: Iterable[Finding], servers: Sequence[str]) -> tuple[Finding, ...]:
    """The worst first; of one severity, what concerns all first, then in the order of the servers."""
    places = {"": -1, **{key: place for place, key in enumerate(servers)}}
    return tuple(sorted(findings, key=lambda one: (_ORDER.index(one.severity), places.get(one.server, len(places)))))


def some_of(names: Sequence[str]) -> str:
    """A list in words that stays short: `a, b and 3 more`."""
    shown = ", ".join(names[:_SHOWN_NAMES])
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
