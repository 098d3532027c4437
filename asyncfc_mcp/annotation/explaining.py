"""Whether two calls may overlap and why, found out by the gateway's own code: its labelling and its scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from asyncfc_mcp.config.models import GatewayConfig, GatewaySettings
from asyncfc_mcp.config.policy import LabelSource, ToolPolicy
from asyncfc_mcp.core.events import Answered, Call, Submitted
from asyncfc_mcp.core.label import Label, Template, conflict, is_prefix
from asyncfc_mcp.core.reference import find_references
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.gateway.arguments.labelling import labels_of
from asyncfc_mcp.gateway.arguments.preparation import Preparation

SOURCES = {
    LabelSource.CONFIGURATION: "declared in your configuration",
    LabelSource.PACK: "declared in a label pack",
    LabelSource.ANNOTATIONS: "assumed, since its server calls it read-only",
    LabelSource.DEFAULT: "assumed, since nothing says what it touches",
}
"""Where labels come from, in words."""


class Overlap(StrEnum):
    """When the second call may run while the first one does."""

    ALWAYS = "they may overlap"
    SIDE_BY_SIDE = "they overlap when they are sent side by side; once the first is answered, the second waits for it"
    NEVER = "they never overlap: the second waits until the first has ended"


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call that somebody asks about."""

    tool: CatalogTool
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LabelledCall:
    """A call with what it reads and writes."""

    tool: CatalogTool
    labels: tuple[Label, ...]
    opaque: frozenset[str]
    """The arguments that hold a reference, so that their values are not known yet."""
    as_written: tuple[Label, ...]
    """The labels as they would be without a look at the disk."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why two calls may or may not overlap."""

    first: LabelledCall
    second: LabelledCall
    overlap: Overlap
    conflicts: tuple[tuple[Label, Label], ...]
    lacks_room: bool
    """Whether their server takes one call at a time, whatever the labels say."""
    remedies: tuple[str, ...]
    """What would change it, in words."""


def explain(first: AskedCall, second: AskedCall, config: GatewayConfig) -> Explanation:
    """Label both calls as the gateway would, and play them in both ways that they can come."""
    one, other = (_labelled(call, config.settings) for call in (first, second))
    conflicts = tuple((mine, theirs) for mine in one.labels for theirs in other.labels if conflict(mine, theirs))
    waits_side_by_side, waits_later = (_waits(one, other, config.settings, is_answered=late) for late in (False, True))
    overlap = Overlap.NEVER if waits_side_by_side else Overlap.SIDE_BY_SIDE if waits_later else Overlap.ALWAYS
    lacks_room = _lacks_room(one, other, config)
    room = (
        [f'a higher `"concurrency"` for {first.tool.server}, if it can answer two calls at once'] if lacks_room else []
    )
    return Explanation(
        one,
        other,
        overlap,
        conflicts,
        lacks_room=lacks_room,
        remedies=(*room, *dict.fromkeys(_remedies(one, other, conflicts, config.settings))),
    )


def _labelled(call: AskedCall, settings: GatewaySettings) -> LabelledCall:
    arguments = dict(call.arguments)
    references = find_references(arguments, exists=lambda _: True, embed=settings.embed)
    opaque = frozenset(str(reference.at[0]) for reference in references)
    preparation = Preparation(embed=settings.embed, converts=settings.schema_ == "union", most_bytes=0)
    converted = preparation.converted(call.tool, arguments)
    policy = call.tool.policy
    labels, as_written = (
        labels_of(one, converted, opaque.__contains__) for one in (policy, replace(policy, is_local=False))
    )
    return LabelledCall(call.tool, labels, opaque, as_written)


def _waits(first: LabelledCall, second: LabelledCall, settings: GatewaySettings, *, is_answered: bool) -> bool:
    scheduler = Scheduler(is_strict=settings.order == "strict")
    scheduler.handle(Submitted(_call("first", first), 0))
    if is_answered:
        scheduler.handle(Answered("first", 0, with_token=True))
    scheduler.handle(Submitted(_call("second", second), 0))
    return bool(scheduler.blockers("second"))


def _call(name: str, call: LabelledCall) -> Call:
    return Call(name, name, "scope", call.tool.server, call.tool.name, call.labels)


def _lacks_room(first: LabelledCall, second: LabelledCall, config: GatewayConfig) -> bool:
    if first.tool.server != second.tool.server:
        return False
    return any(entry.key == first.tool.server and entry.settings.concurrency == 1 for entry in config.servers)


def _remedies(
    first: LabelledCall, second: LabelledCall, conflicts: tuple[tuple[Label, Label], ...], settings: GatewaySettings
) -> Iterator[str]:
    if not conflicts:
        yield "if they touch the same thing after all, give both tools a common label in the configuration"
        return
    for mine, theirs in conflicts:
        yield from _remedies_of(first, mine, second)
        yield from _remedies_of(second, theirs, first)
    if settings.order == "strict" and not all(one.is_declared and other.is_declared for one, other in conflicts):
        yield "`order` is `strict`; with `observed` they would overlap when they are sent side by side"


def _remedies_of(call: LabelledCall, label: Label, other: LabelledCall) -> Iterator[str]:
    policy = call.tool.policy
    if not policy.labels_are_declared:
        yield (f"labels of its own for {call.tool.name}: `asyncfc-mcp annotate --server {policy.server}` proposes them")
        if not label.path and policy.server != other.tool.server:
            yield f'`"isolated": true` on {policy.server}, if it shares no state with other servers'
        return
    fields = _unfilled(policy, label)
    below = _to_be_made(call, label)
    if below is not None:
        place = "/".join(label.path)
        yield f"{call.tool.name}: {place} is a folder that the call may make; once it is there, this is a {below}"
    elif fields:
        held = sorted(call.opaque & set(fields))
        why = "holds a token, so that nobody knows it yet" if held else "is missing, or cannot be told for certain"
        yield (
            f"{call.tool.name}: its argument {held[0] if held else ' or '.join(fields)} {why}; "
            "with its value (of paths: an absolute one) the label would be narrower"
        )
    else:
        yield f"a narrower label for {call.tool.name} in the configuration, if it is true"


def _to_be_made(call: LabelledCall, label: Label) -> Label | None:
    """What the label would be, if it is wider only because folders on the way do not exist yet."""
    written = (one for one in call.as_written if one.access is label.access and len(one.path) > len(label.path))
    return next((one for one in written if is_prefix(label.path, one.path)), None)


def _unfilled(policy: ToolPolicy, label: Label) -> list[str]:
    """The arguments of the templates that have become no more than their namespace."""
    templates = [Template.parse(text) for text in (*policy.reads, *policy.writes)]
    return [field.name for one in templates if one.namespace == label.path for field in one.fields]
