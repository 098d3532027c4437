"""Edits made in the text of a TOML file: tables are taken out and put in as blocks of lines.

Only tables with a header of their own (`[mcp_servers.name]`) can be moved so; what is written in another way stays.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tomlkit

from asyncfc_mcp.adoption.edits import Add, DoesNotFit, Edit, Path, Remove, change


@dataclass(frozen=True, slots=True)
class _Block:
    """A header and the lines below it, as far as they belong to it."""

    path: Path
    start: int
    end: int


def edited_toml(text: str, edits: Sequence[Edit], original: str | None = None) -> str:
    """The text after the edits; what `original` has of a table that comes back is taken from there as it was written.

    Raises:
        DoesNotFit: the text is not as the edits need it, or something else in it would change.
    """
    expected = change(tomllib.loads(text), edits)
    newline = "\r\n" if "\r\n" in text else "\n"
    for edit in edits:
        match edit:
            case Add(at, name, value):
                text = _with_table(text, (*at, name), _written(original, (*at, name), value, newline), newline)
            case Remove(at, name, _):
                text = _without_table(text, (*at, name))
            case _:
                raise DoesNotFit("lists in TOML are not edited")
    try:
        fits = _same(tomllib.loads(text), expected, edits)
    except tomllib.TOMLDecodeError:
        fits = False
    if not fits:
        raise DoesNotFit("it is not written as a table with a header of its own")
    return text


def _same(document: dict[str, Any], expected: dict[str, Any], edits: Sequence[Edit]) -> bool:
    """Whether the two say the same: with the last of its tables a table without a header of its own is gone."""
    empty: dict[str, Any] = {edit.at[0]: {} for edit in edits}
    return empty | document == empty | expected


def _written(original: str | None, path: Path, value: Any, newline: str) -> str:
    if original is not None:
        lines = _lines(original)
        blocks = [block for block in _blocks(lines) if block.path[: len(path)] == path]
        written = "".join("".join(lines[block.start : block.end]) for block in blocks)
        if written and _at(tomllib.loads(written), path) == value:
            return written
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    return tomlkit.dumps(nested).replace("\n", newline)


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _with_table(text: str, path: Path, written: str, newline: str) -> str:
    """Behind the last table beside it, else at the end."""
    lines = _lines(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    beside = [block.end for block in _blocks(lines) if block.path[:-1] == path[:-1] or block.path[:1] == path[:1]]
    at = max(beside, default=len(lines))
    before, after = "".join(lines[:at]), "".join(lines[at:])
    gap = "" if not before or before.endswith(newline * 2) else newline
    written = written.rstrip("\r\n") + newline
    return before + gap + written + (newline if after.strip() else "") + after


def _without_table(text: str, path: Path) -> str:
    lines = _lines(text)
    for block in reversed(_blocks(lines)):
        if block.path[: len(path)] == path:
            del lines[block.start : block.end]
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """As TOML counts them: `splitlines` also ends a line where a text or a comment has a separator of Unicode."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _blocks(lines: Sequence[str]) -> list[_Block]:
    heads: list[tuple[int, Path]] = []
    for at, line in enumerate(lines):
        path = _path(line)
        if path is not None and _is_whole(lines[heads[-1][0] if heads else 0 : at]):
            heads.append((at, path))
    ends = [*(at for at, _ in heads[1:]), len(lines)]
    return [_Block(path, at, _own_end(lines, at, end)) for (at, path), end in zip(heads, ends, strict=False)]


def _is_whole(lines: Sequence[str]) -> bool:
    """Whether no text or list of several lines is still open at the end of these."""
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _own_end(lines: Sequence[str], start: int, end: int) -> int:
    """Where what follows begins: comments behind a blank line, or right above the next header, belong to that one."""
    last = end
    while last > start + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    blank = next((at for at in range(last, end) if not lines[at].strip()), None)
    if blank is None:
        return last if end < len(lines) else end
    return blank if any(lines[at].strip() for at in range(blank, end)) else end


def _path(line: str) -> Path | None:
    if not line.lstrip().startswith("["):
        return None
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while isinstance(found, dict) and found:
        (key, found), *_ = found.items()  # pyright: ignore[reportUnknownVariableType]
        path.append(key)  # pyright: ignore[reportUnknownArgumentType]
        found = found[0] if isinstance(found, list) else found  # pyright: ignore[reportUnknownVariableType]
    return tuple(path)
