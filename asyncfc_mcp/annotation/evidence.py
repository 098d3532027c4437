"""What one tool's listing says about what it does: its name, its annotations, its description and its schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from asyncfc_mcp.annotation import vocabulary
from asyncfc_mcp.annotation.vocabulary import words_of

_DEEPEST = 6


class Doing(StrEnum):
    """What a tool does, as far as can be told."""

    READS = "reads"
    WRITES = "writes"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, or a member of one."""

    name: str
    words: frozenset[str]
    schema: Mapping[str, Any]
    depth: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can be told of one tool."""

    tool: str
    doing: Doing
    reasons: tuple[str, ...]
    """Why it is taken to do that, in words."""
    paths: tuple[str, ...]
    """Its arguments that name files."""
    urls: tuple[str, ...]
    contradicts_hint: bool
    """Whether its server calls it read-only, and something else of it says that it may not be."""
    names_files: bool
    narrower: tuple[str, ...]
    """Arguments that may say which of many things is meant: for a person to judge."""


def evidence_of(tool: Mapping[str, Any]) -> Evidence:
    """Read one Tool as its server listed it."""
    name = str(tool.get("name", ""))
    arguments = tuple(_arguments(_object(tool.get("inputSchema")), 0))
    description = tool.get("description")
    words = frozenset(words_of(description)) if isinstance(description, str) else frozenset[str]()
    hint = _object(tool.get("annotations")).get("readOnlyHint")
    is_read_only = hint if isinstance(hint, bool) else None
    judgement = _judgement(words_of(name), words, arguments, is_read_only=is_read_only)
    top = [argument for argument in arguments if argument.depth == 0]
    return Evidence(
        tool=name,
        doing=judgement.doing,
        reasons=judgement.reasons,
        paths=tuple(one.name for one in arguments if one.words & vocabulary.PATHS),
        urls=tuple(one.name for one in arguments if one.words & vocabulary.URLS or one.schema.get("format") == "uri"),
        contradicts_hint=is_read_only is True and judgement.is_strong,
        names_files=not vocabulary.FILES_IN_NAMES.isdisjoint(words_of(name)),
        narrower=tuple(one.name for one in top if _names_one(one)),
    )


@dataclass(frozen=True, slots=True)
class _Judgement:
    doing: Doing
    reasons: tuple[str, ...]
    is_strong: bool = False
    """Whether it stands against a server that calls the tool read-only."""


_VERBS = vocabulary.READING | vocabulary.CHANGING | vocabulary.FAR_REACHING
_CHANGING_OR_MORE = vocabulary.CHANGING | vocabulary.FAR_REACHING | vocabulary.MANY_IN_ONE


def _judgement(
    name: tuple[str, ...], description: frozenset[str], arguments: tuple[Argument, ...], *, is_read_only: bool | None
) -> _Judgement:
    verb = _first(name, _VERBS | vocabulary.READING_IF_SAID if is_read_only else _VERBS)
    strong = _doubt_of_instructions(name, description, arguments) or _first_changing_choice(arguments)
    if strong is not None:
        return _Judgement(Doing.UNSURE, (strong,), is_strong=True)
    doubt = _doubt(name, verb)
    if doubt is not None or verb is None:
        return _Judgement(Doing.UNSURE, (doubt or "nothing in its name says what it does",))
    changing = verb if verb in vocabulary.CHANGING else _first(name, vocabulary.UNMISTAKABLE)
    if changing is not None:
        said = f"its name says `{changing}`"
        if is_read_only:
            return _Judgement(
                Doing.UNSURE, (said, "but its server calls it read-only"), is_strong=verb in vocabulary.UNMISTAKABLE
            )
        return _Judgement(Doing.WRITES, (said,))
    said = f"its name says `{verb}`"
    doubt = _doubt_of_reading(name, description, arguments, is_read_only=is_read_only)
    if doubt is not None:
        return _Judgement(Doing.UNSURE, (said, doubt))
    return _Judgement(Doing.READS, (said, "its server calls it read-only") if is_read_only else (said,))


def _doubt(name: tuple[str, ...], verb: str | None) -> str | None:
    """Why its name alone says that nobody can tell from outside what the tool touches."""
    if verb in vocabulary.FAR_REACHING:
        return f"its name says `{verb}`, and what that touches is not said"
    program = _first(name, vocabulary.PROGRAMS)
    if program is not None:
        return f"its name says `{program}`, and a program may do anything"
    far = _first(name, vocabulary.FAR_REACHING)
    if far is not None and _first(name, vocabulary.MANY_IN_ONE) is not None:
        return f"its name says `{verb}` and `{far}`, and what that touches is not said"
    steered = _first(name, vocabulary.STEERING)
    if steered is not None and verb in vocabulary.CHANGING:
        return f"its name says `{verb}` and `{steered}`: it may change how other tools work"
    return None


def _doubt_of_instructions(
    name: tuple[str, ...], description: frozenset[str], arguments: tuple[Argument, ...]
) -> str | None:
    talks_sql = not vocabulary.DATABASE.isdisjoint((*name, *description))
    for one in arguments:
        if one.schema.get("type") in ("boolean", "integer", "number"):
            continue
        is_statement = "query" in one.words and (talks_sql or _speaks_sql(one))
        if is_statement or one.words & vocabulary.INSTRUCTIONS:
            return f"its argument `{one.name}` can say anything"
    return None


def _doubt_of_reading(
    name: tuple[str, ...], description: frozenset[str], arguments: tuple[Argument, ...], *, is_read_only: bool | None
) -> str | None:
    if is_read_only is False:
        return "but its server does not call it read-only"
    used_up = _first(name, vocabulary.USING_UP)
    if used_up is not None:
        return f"but also `{used_up}`: what it reads may be gone afterwards"
    if "fetch" in name and not vocabulary.OF_GIT.isdisjoint(name):
        return "but as git means it: fetching changes what is here"
    others = vocabulary.MANY_IN_ONE if is_read_only else _CHANGING_OR_MORE
    other = _first(name, others)
    if other is not None:
        return f"but also `{other}`: it may do more than that"
    for doubt in map(_doubt_of_argument, arguments):
        if doubt is not None:
            return doubt
    # a word of its own name says there what it is about: `list_books` books nothing
    form = _first(sorted(description.difference(name)), vocabulary.CHANGING_FORMS)
    return f"but its description says `{form}`" if form is not None and is_read_only is None else None


def _doubt_of_argument(argument: Argument) -> str | None:
    if argument.words & {"subscription", "session"}:
        return f"but its argument `{argument.name}` may name something that reading moves on"
    if argument.words & vocabulary.WRITTEN_TO:
        return f"but it may write to what its argument `{argument.name}` names"
    if argument.schema.get("type") == "boolean" and set(words_of(argument.name)[:1]) & _SWITCHES:
        return f"but its argument `{argument.name}` may change something"
    choice = _choice(argument, vocabulary.FAR_REACHING)
    return f"but its argument `{argument.name}` may be `{choice}`" if choice is not None else None


_SWITCHES = vocabulary.UNMISTAKABLE | {"mark"}


def _first_changing_choice(arguments: tuple[Argument, ...]) -> str | None:
    for argument in arguments:
        choice = _choice(argument, vocabulary.CHANGING)
        if choice is not None:
            return f"its argument `{argument.name}` may be `{choice}`"
    return None


def _first(words: Iterable[str], among: frozenset[str]) -> str | None:
    return next((word for word in words if word in among), None)


def _choice(argument: Argument, verbs: frozenset[str]) -> str | None:
    """The value with one of these verbs in it, of an argument that chooses what the tool does."""
    choices = argument.schema.get("enum")
    if not isinstance(choices, list) or not argument.words & vocabulary.CHOICES:
        return None
    texts = [choice for choice in cast("list[object]", choices) if isinstance(choice, str)]
    return next((text for text in texts if not verbs.isdisjoint(words_of(text)[:1])), None)


def _speaks_sql(argument: Argument) -> bool:
    description = argument.schema.get("description")
    return isinstance(description, str) and not vocabulary.DATABASE.isdisjoint(words_of(description))


def _names_one(argument: Argument) -> bool:
    words = words_of(argument.name)
    return argument.schema.get("type") == "string" and bool(words) and words[-1] in vocabulary.NAMES_OF_ONE


def _arguments(schema: Mapping[str, Any], depth: int) -> Iterator[Argument]:
    """Every property, also of objects, lists and alternatives inside."""
    if depth > _DEEPEST:
        return
    for name, inner in _object(schema.get("properties")).items():
        property_ = _object(inner)
        yield Argument(name, frozenset(words_of(name)), property_, depth)
        yield from _arguments(property_, depth + 1)
    for key in ("items", "additionalProperties"):
        yield from _arguments(_object(schema.get(key)), depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        alternatives = schema.get(key)
        for inner in cast("list[object]", alternatives) if isinstance(alternatives, list) else ():
            yield from _arguments(_object(inner), depth + 1)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
