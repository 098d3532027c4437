"""What `init` does to a file, as values: each edit can be made, checked, made again and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from asyncfc_mcp.errors import GatewayError

Path = tuple[str, ...]
"""The keys that lead to something in a document."""


@dataclass(frozen=True, slots=True)
class Add:
    """A new member of the object at `at`, which is made where it is missing."""

    at: Path
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Remove:
    """A member taken out."""

    at: Path
    name: str
    value: Any
    """What it was."""


@dataclass(frozen=True, slots=True)
class Append:
    """Texts put behind those of a list."""

    at: Path
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Texts taken out of a list, those that are in it."""

    at: Path
    items: tuple[str, ...]


Edit = Add | Remove | Append | Drop


class DoesNotFit(GatewayError):
    """The document is not as the edit needs it."""


def change(document: Any, edits: Sequence[Edit]) -> Any:
    """The document after the edits; the one given is left alone.

    Raises:
        DoesNotFit: an edit is about something that is not there, or not what it was.
    """
    for edit in edits:
        match edit:
            case Add(at, name, value):
                document = _with(document, at, _added(_at(document, at, {}), name, value))
            case Remove(at, name, value):
                document = _with(document, at, _removed(_at(document, at, {}), name, value))
            case Append(at, items):
                document = _with(document, at, [*_list(document, at), *items])
            case Drop(at, items):
                document = _with(document, at, [item for item in _list(document, at) if item not in items])
    return document


def taken_back(document: Any, edits: Sequence[Edit], *, takes_changed: bool = False) -> tuple[Edit, ...]:
    """The edits that take these back from a document that others may have changed meanwhile.

    Args:
        document: what stands there now.
        edits: what was done to it.
        takes_changed: whether what was added is taken out as it is now, also where it is not what it was.

    Raises:
        DoesNotFit: what was added is not what it was, or what was removed has come back as something else.
    """
    backwards: list[Edit] = []
    for edit in reversed(edits):
        match edit:
            case Add(at, name, value):
                holder = _at(document, at, {})
                if name in holder:
                    value = holder[name] if takes_changed else value
                    _removed(holder, name, value)
                    backwards.append(Remove(at, name, value))
            case Remove(at, name, value):
                holder = _at(document, at, {})
                if name not in holder:
                    backwards.append(Add(at, name, value))
                elif holder[name] != value:
                    raise DoesNotFit(f"{_dotted(at, name)} has come back with something else in it")
            case Append(at, items):
                if at[-1] in _at(document, at[:-1], {}):
                    backwards.append(Drop(at, items))
            case Drop(at, items):
                backwards.append(Append(at, items))
    return tuple(backwards)


def _at(document: Any, at: Path, default: Any) -> dict[str, Any]:
    for key in at:
        if not isinstance(document, Mapping):
            raise DoesNotFit(f"{'.'.join(at)} is no object")
        document = cast("Mapping[str, Any]", document).get(key, default)
    if not isinstance(document, Mapping):
        raise DoesNotFit(f"{'.'.join(at) or 'the file'} is no object")
    return dict(cast("Mapping[str, Any]", document))


def _list(document: Any, at: Path) -> list[Any]:
    found = _at(document, at[:-1], {}).get(at[-1])
    if not isinstance(found, list):
        raise DoesNotFit(f"{'.'.join(at)} is no list")
    return cast("list[Any]", found)


def _added(holder: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    if name in holder:
        raise DoesNotFit(f"there is a {name} already")
    return holder | {name: value}


def _removed(holder: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    if name not in holder:
        raise DoesNotFit(f"{name} is not there any more")
    if holder[name] != value:
        raise DoesNotFit(f"{name} is not what it was")
    return {key: kept for key, kept in holder.items() if key != name}


def _with(document: Any, at: Path, value: Any) -> Any:
    if not at:
        return value
    holder = _at(document, (), {}) if document is not None else {}
    return holder | {at[0]: _with(holder.get(at[0], {}), at[1:], value)}


def _dotted(at: Path, name: str) -> str:
    return ".".join((*at, name))
