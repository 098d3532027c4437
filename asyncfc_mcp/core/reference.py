"""References to futures in the arguments of a call: their grammar and where they stand. docs/references.md says it too.

What a reference stands for is `value`'s, putting it there is `substitution`'s; whether a token may be used by this
caller is the business of whoever passes `exists`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from asyncfc_mcp.core.token import PREFIX, SURROUNDINGS, TOKEN_PATTERN, normalise
from asyncfc_mcp.errors import GatewayError

Place = tuple[str | int, ...]
"""Where in the arguments: the keys and indexes from the root."""
JsonPath = tuple[str, ...]
"""Where in a value: the decoded segments of a JSON Pointer."""

_LONGEST_SHOWN = 120
_TOKEN = re.compile(TOKEN_PATTERN)
_POINTER = re.compile(r"(?:/(?:[^~/\x00-\x1f]|~[01])*)+")
_DOTTED = re.compile(r"(?:\.[A-Za-z_][A-Za-z0-9_-]*|\[(?:0|[1-9][0-9]*)\])+")
_DOTTED_SEGMENT = re.compile(r"[^.\[\]]+")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPE = re.compile(r"\$\$\{(?=fut_)")
_IN_TEXT = re.compile(
    r"(?P<escape>\$\$\{fut_[A-Za-z0-9_-]*)"
    r"|\$\{(?P<inside>fut_[^{}]*)\}"
    r"|(?<![\w-])(?P<bare>fut_[A-Za-z0-9_-]++)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One place in the arguments that stands for the value of a future, or for a part of it."""

    at: Place
    """Of the string that holds it."""
    token: str
    """In its canonical spelling; it need not exist."""
    path: JsonPath
    text: str
    """As written: the string from `start` to `end`."""
    is_embedded: bool
    """Part of a longer text; else the whole string stands for the value."""
    start: int
    end: int


class ArgumentFault(GatewayError):
    """The arguments of a call cannot be used as they are written."""

    def __init__(self, argument: str, fact: str) -> None:
        super().__init__(f"{argument}: {fact}" if argument else fact)
        self.argument = argument
        """In words, such as `arguments.items[0].path`."""


class BareToken(ArgumentFault):
    """A longer text mentions a live token without saying that its value is meant."""

    def __init__(self, argument: str, token: str) -> None:
        super().__init__(
            argument,
            f"{token} stands inside a longer text and would be sent as it is; write ${{{token}}} or"
            f" ${{{token}/path}} to put its value there, or leave the token out",
        )
        self.token = token


class BadReference(ArgumentFault):
    """A live token is followed by something that is no path."""

    def __init__(self, argument: str, token: str, text: str) -> None:
        super().__init__(
            argument,
            f"{clip(text)!r} begins with a token but goes on with no path; write {token}/key/0 (a JSON Pointer: `~` in"
            " a key is `~0` and `/` is `~1`); there are no expressions",
        )
        self.token = token
        self.text = text


def mentions_tokens(arguments: Mapping[str, Any]) -> bool:
    """Whether there can be anything to find: cheap, and false for nearly every call."""
    return any(True for _ in _strings(arguments))


def token_shapes(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Everything that would be a token if a future bore it, as it is spelled in the arguments' strings."""
    for _, text in _strings(arguments):
        for matched in _TOKEN.finditer(text):
            yield from dict.fromkeys((matched[0], matched[0].rstrip("-_")))


def find_references(
    arguments: Mapping[str, Any], *, exists: Callable[[str], bool], embed: bool = True
) -> tuple[Reference, ...]:
    """Every reference, in the order of the arguments. An unknown token is a reference too: the caller reports it."""
    found: list[Reference] = []
    for at, text in _strings(arguments):
        whole = _whole(at, text, exists)
        if whole is not None:
            found.append(whole)
        elif embed:
            found += _embedded(at, text, exists)
    return tuple(found)


def find_escapes(arguments: Mapping[str, Any]) -> dict[Place, str]:
    """The strings in which an escape is to be undone."""
    return {at: text for at, text in _strings(arguments) if _ESCAPE.search(text)}


def unescape(text: str) -> str:
    """The text without its escapes: `$${fut_x}` says `${fut_x}`."""
    return _ESCAPE.sub("${", text)


def parse_path(spelling: str) -> JsonPath | None:
    """The segments of what follows a token, as a JSON Pointer or dotted; None when it is neither."""
    if not spelling:
        return ()
    if _POINTER.fullmatch(spelling):
        return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in spelling[1:].split("/"))
    if _DOTTED.fullmatch(spelling):
        return tuple(_DOTTED_SEGMENT.findall(spelling))
    return None


def pointer(path: JsonPath) -> str:
    """The path as a JSON Pointer."""
    return "".join("/" + segment.replace("~", "~0").replace("/", "~1") for segment in path)


def in_words(at: Place) -> str:
    """The place as the caller would write it: `arguments.items[0].path`."""
    return clip("arguments" + "".join(_step(key) for key in at))


def clip(text: str) -> str:
    """The text, or its beginning when an error message would drown in it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _step(key: str | int) -> str:
    if isinstance(key, str) and _PLAIN_KEY.fullmatch(key):
        return f".{key}"
    return f"[{json.dumps(key, ensure_ascii=False)}]"


def _whole(at: Place, text: str, exists: Callable[[str], bool]) -> Reference | None:
    """The reference that the string is, apart from what surrounds it."""
    core = text.strip(SURROUNDINGS)
    matched = _TOKEN.match(core)
    if matched is None:
        return None
    token, spelling = _canonical(matched[0]), core[matched.end() :]
    path = parse_path(spelling)
    is_one_word = spelling.startswith("/") and not any(character.isspace() for character in spelling)
    if path is None:
        if is_one_word and exists(token):
            raise BadReference(in_words(at), token, core)
        return None
    # a file name or a sentence may look like a reference too: those need a live token to be one
    if spelling and not is_one_word and not exists(token):
        return None
    start = len(text) - len(text.lstrip(SURROUNDINGS))
    return Reference(at, token, path, core, is_embedded=False, start=start, end=start + len(core))


def _embedded(at: Place, text: str, exists: Callable[[str], bool]) -> Iterator[Reference]:
    position = 0
    while (matched := _IN_TEXT.search(text, position)) is not None:
        position = matched.end()
        if matched["bare"]:
            _refuse_live(at, matched["bare"], exists)
        elif matched["inside"]:
            reference = _in_braces(at, matched, exists)
            if reference is None:
                position = matched.start("inside")
            else:
                yield reference


def _in_braces(at: Place, matched: re.Match[str], exists: Callable[[str], bool]) -> Reference | None:
    inside = matched["inside"]
    word = _TOKEN.match(inside)
    if word is None:
        return None
    token, path = _canonical(word[0]), parse_path(inside[word.end() :])
    if path is not None:
        return Reference(at, token, path, matched[0], is_embedded=True, start=matched.start(), end=matched.end())
    if exists(token):
        raise BadReference(in_words(at), token, matched[0])
    return None


def _refuse_live(at: Place, word: str, exists: Callable[[str], bool]) -> None:
    for spelling in dict.fromkeys((word, word.rstrip("-_"))):
        token = normalise(spelling)
        if token is not None and exists(token):
            raise BareToken(in_words(at), token)


def _canonical(token: str) -> str:
    canonical = normalise(token)
    return token if canonical is None else canonical


@dataclass(frozen=True, slots=True)
class _Step:
    """A link towards the root: places are spelled out only where something is found, however deep."""

    parent: _Step | None
    key: str | int


def _strings(arguments: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Every string value that can hold a token. Not recursive: callers nest as deep as they like."""
    pending: list[tuple[_Step | None, Any]] = [(None, dict(arguments))]
    while pending:
        step, value = pending.pop()
        if isinstance(value, str):
            if PREFIX in value:
                yield _place(step), value
        elif isinstance(value, dict):
            items = cast("dict[str, Any]", value).items()
            pending += [(_Step(step, key), item) for key, item in reversed(items) if _may_hold(item)]
        elif isinstance(value, list):
            elements = list(enumerate(cast("list[Any]", value)))
            pending += [(_Step(step, index), item) for index, item in reversed(elements) if _may_hold(item)]


def _may_hold(item: Any) -> bool:
    return PREFIX in item if isinstance(item, str) else isinstance(item, (dict, list))


def _place(step: _Step | None) -> Place:
    keys: list[str | int] = []
    while step is not None:
        keys.append(step.key)
        step = step.parent
    return tuple(reversed(keys))
