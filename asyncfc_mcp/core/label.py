"""Resource labels: hierarchical paths that a call reads or writes, when two conflict, and templates that make them.

Pure text: whether a path exists or is a symbolic link is the caller's knowledge, handed in as a function.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from asyncfc_mcp.errors import GatewayError

LabelPath = tuple[str, ...]
"""The segments from the root; the empty tuple is the root itself."""

MAX_LABELS = 256
"""More labels than this of one template are its namespace instead: the order of thousands of paths costs more."""

MAX_VALUE_LENGTH = 4096
"""A longer value is no name and no path: its label is the namespace."""


class Access(StrEnum):
    """What a call does to the state under a path."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Label:
    """One place in the state tree and what a call does there."""

    path: LabelPath
    access: Access
    is_declared: bool
    """Written for this tool by the user or a pack: order of arrival counts. Else only what had been answered does."""

    def __str__(self) -> str:
        """For blockers in words: `write of fs/home/a.txt`."""
        return f"{self.access} of {'/'.join(self.path) or 'everything'}"


def is_prefix(shorter: LabelPath, longer: LabelPath) -> bool:
    """Whether `shorter` is `longer` or one of its ancestors."""
    return longer[: len(shorter)] == shorter


def conflict(one: Label, other: Label) -> bool:
    """Whether two labels may not be held at once: the same line of descent, and at least one write."""
    if one.access is Access.READ and other.access is Access.READ:
        return False
    return is_prefix(one.path, other.path) or is_prefix(other.path, one.path)


class BadTemplate(GatewayError):
    """A label template that cannot be read."""

    def __init__(self, text: str, fact: str) -> None:
        super().__init__(
            f"the label template {text!r} {fact}; write literal segments and argument names in braces, "
            "such as db/{table} or fs/{path:path}"
        )
        self.text = text
        self.fact = fact


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder: the argument whose value stands here."""

    name: str
    is_path: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A label path with placeholders, read once and expanded for each call."""

    text: str
    segments: tuple[tuple[str | Field, ...], ...]
    """Each segment in its parts; a whole literal is already normalised."""
    namespace: LabelPath
    """The literal segments before the first placeholder: what holds when a value is not known."""
    fields: tuple[Field, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template; the empty one is the root."""
        segments = tuple(_parse_segment(text, segment) for segment in text.split("/") if segment)
        namespace: list[str] = []
        for first, *rest in segments:
            if rest or isinstance(first, Field):
                break
            namespace.append(first)
        found = (part for parts in segments for part in parts if isinstance(part, Field))
        return cls(text, segments, tuple(namespace), tuple(dict.fromkeys(found)))

    @property
    def goes_on_after_path(self) -> bool:
        """Whether anything follows on a path."""
        return any(_is_path(parts) for parts in self.segments[:-1])

    def up_to_path(self) -> Template:
        """Without what follows on its first path, so that everything below that path is meant."""
        kept: list[str] = []
        for text, parts in zip(filter(None, self.text.split("/")), self.segments, strict=True):
            kept.append(text)
            if _is_path(parts):
                break
        return Template.parse("/".join(kept))


def _is_path(parts: Sequence[str | Field]) -> bool:
    return isinstance(parts[0], Field) and parts[0].is_path


_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_NAME = re.compile(r"[^\s:/]+")


def _parse_segment(text: str, segment: str) -> tuple[str | Field, ...]:
    if segment in {".", ".."}:
        raise BadTemplate(text, f"has the segment {segment!r}, which names no place")
    parts: list[str | Field] = []
    for placeholder, literal, stray in _PART.findall(segment):
        if stray:
            raise BadTemplate(text, f"has a {stray!r} without its twin in one segment")
        parts.append(literal or _parse_field(text, placeholder))
    if len(parts) > 1 and any(isinstance(part, Field) and part.is_path for part in parts):
        raise BadTemplate(
            text, f"mixes a path with other text in the segment {segment!r}, but a path is a whole segment"
        )
    if len(parts) == 1 and isinstance(parts[0], str):
        return (normal_segment(parts[0]),)
    return tuple(parts)


def _parse_field(text: str, placeholder: str) -> Field:
    name, colon, kind = placeholder.partition(":")
    if not _NAME.fullmatch(name) or not all(name.split(".")):
        raise BadTemplate(text, f"has the placeholder {{{placeholder}}}, which names no argument")
    if colon and kind != "path":
        raise BadTemplate(text, f"has the placeholder {{{placeholder}}}, but `path` is the only kind there is")
    return Field(name, is_path=bool(colon))


def expand(
    template: Template,
    arguments: Mapping[str, object],
    is_opaque: Callable[[str], bool],
    resolve_path: Callable[[str], tuple[str, ...] | None],
) -> tuple[LabelPath, ...]:
    """Where a call with these arguments goes: one path for each item of a list, or the namespace when unsure.

    `is_opaque` says that the argument of that name holds a reference, so that its value is not known yet;
    `resolve_path` gives the absolute segments of a path, or None where it cannot tell.
    """
    many: Field | None = None
    values: dict[Field, list[LabelPath]] = {}
    for field in template.fields:
        found = _paths_of(field, arguments, is_opaque, resolve_path)
        # Two lists in one label could be pairs or a product: only the tool knows.
        if found is None or (many is not None and len(found) > 1):
            return (template.namespace,)
        if len(found) > 1:
            many = field
        values[field] = found
    if many is None:
        return (_fill(template, values, None, 0),)
    return tuple(dict.fromkeys(_fill(template, values, many, index) for index in range(len(values[many]))))


def _fill(template: Template, values: Mapping[Field, Sequence[LabelPath]], many: Field | None, index: int) -> LabelPath:
    path: list[str] = []
    for parts in template.segments:
        chosen = [part if isinstance(part, str) else values[part][index if part == many else 0] for part in parts]
        if len(chosen) > 1:
            # Normalised once more as a whole: an accent may join the letter before it.
            path.append(normal_segment("".join(part if isinstance(part, str) else part[0] for part in chosen)))
        elif isinstance(chosen[0], str):
            path.append(chosen[0])
        else:
            path += chosen[0]
    return tuple(path)


def _paths_of(
    field: Field,
    arguments: Mapping[str, object],
    is_opaque: Callable[[str], bool],
    resolve_path: Callable[[str], tuple[str, ...] | None],
) -> list[LabelPath] | None:
    argument, *inner = [field.name] if field.name in arguments else field.name.split(".")
    if argument not in arguments or is_opaque(argument):
        return None
    texts = _texts_in(arguments[argument], inner)
    if texts is None or len(texts) > MAX_LABELS or any(not 0 < len(text) <= MAX_VALUE_LENGTH for text in texts):
        return None
    if not field.is_path:
        return [(normal_segment(text.replace("/", "%2F")),) for text in texts]
    paths: list[LabelPath] = []
    for text in texts:
        segments = resolve_path(text)
        if segments is None:
            return None
        paths.append(tuple(normal_segment(segment) for segment in segments if segment))
    return paths


def _texts_in(value: object, names: Sequence[str]) -> list[str] | None:
    """The strings that `names` reach from a value, through lists; None when any is missing or something else."""
    if isinstance(value, (list, tuple)):
        found: list[str] = []
        for item in cast("Sequence[object]", value):
            texts = None if isinstance(item, (list, tuple)) else _texts_in(item, names)
            if texts is None:
                return None
            found += texts
        # An empty list means "all of them" to many tools.
        return found or None
    if not names:
        return [value] if isinstance(value, str) else None
    if not isinstance(value, Mapping):
        return None
    inside = cast("Mapping[str, object]", value)
    return _texts_in(inside[names[0]], names[1:]) if names[0] in inside else None


def normal_segment(text: str) -> str:
    """One spelling for all that a file system may take for the same name; merging names only adds order."""
    if text.isascii():
        return text.lower()
    # Upper case first: it joins letters that folding alone keeps apart, such as a dotless i.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).upper().casefold())


_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def absolute_segments(path: str) -> tuple[str, ...] | None:
    """The segments of an absolute path, with `.` and `..` folded as text; None when it is relative or ambiguous."""
    is_windows = _DRIVE.match(path) is not None
    # A backslash after a leading slash separates on Windows and is part of a name elsewhere.
    if not is_windows and (not path.startswith("/") or "\\" in path):
        return None
    folded: list[str] = []
    for segment in re.split(r"[\\/]", path) if is_windows else path.split("/"):
        if segment == "..":
            del folded[max(len(folded) - 1, int(is_windows)) :]
        elif is_windows and folded:
            # Windows drops dots and spaces at the end of a name.
            folded.append(segment.rstrip(". "))
        elif segment != ".":
            folded.append(segment)
        if folded and not folded[-1]:
            folded.pop()
    return tuple(folded)
