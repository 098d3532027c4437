"""Writes proposed labels into a configuration file: only the new keys, with the difference shown and a backup kept."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click

from asyncfc_mcp.adoption.documents import Document, UnreadableDocument, back_up, read_document, replace
from asyncfc_mcp.adoption.edits import Add, DoesNotFit, Edit
from asyncfc_mcp.adoption.jsonc import Node, read_jsonc
from asyncfc_mcp.config.load import SERVER_LISTS
from asyncfc_mcp.errors import GatewayError

_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
"""A comment may hold an old key, or a setting with one."""

Labels = dict[str, dict[str, dict[str, list[str]]]]
"""By server and tool: what it reads and writes."""


def write_labels(file: Path, labels: Labels) -> bool:
    """Show what changes and write it, after a yes where there is somebody to ask; whether all is well."""
    if not labels:
        click.echo("There is nothing to write.", err=True)
        return True
    try:
        document = read_document(file, "json")
        if document is None:
            raise UnreadableDocument(file, "gone")
        content = document.edited(_edits(document, labels))
        _show_difference(document, content)
        if sys.stdin.isatty() and not click.confirm(f"Write this to {file}?", err=True):
            return True
        backup = back_up(document, datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
        replace(file, content, expected=document.content)
    except GatewayError as error:
        click.echo(f"asyncfc-mcp: {error}; to write it yourself, put this into each server's entry:", err=True)
        for server, tools in labels.items():
            click.echo(f"{server}: {json.dumps({'asyncfc': {'tools': tools}}, indent=2)}", err=True)
        return False
    click.echo(f"Written to {file}; as it was before: {backup}", err=True)
    return True


def _edits(document: Document, labels: Labels) -> list[Edit]:
    at = _server_list(document)
    return [edit for server, tools in labels.items() for edit in _edits_of(document.value, (*at, server), tools)]


def _edits_of(value: object, entry: tuple[str, ...], tools: dict[str, dict[str, list[str]]]) -> list[Edit]:
    at = (*entry, "asyncfc", "tools")
    missing = next((depth for depth in range(len(at)) if _member(value, at[: depth + 1]) is None), None)
    if missing is not None:
        new: dict[str, Any] = dict(tools)
        for key in reversed(at[missing + 1 :]):
            new = {key: new}
        return [Add(at[:missing], at[missing], new)]
    edits: list[Edit] = []
    for tool, labels in tools.items():
        if _member(value, (*at, tool)) is None:
            edits.append(Add(at, tool, labels))
        else:
            edits += [Add((*at, tool), key, templates) for key, templates in labels.items()]
    return edits


def _server_list(document: Document) -> tuple[str, ...]:
    found = next((at for at in SERVER_LISTS if _member(document.value, at) is not None), None)
    if found is None:
        raise DoesNotFit(f"{document.path} lists no servers any more")
    return found


def _member(value: object, at: tuple[str, ...]) -> object:
    for key in at:
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, object]", value).get(key)
    return value


def _show_difference(document: Document, content: bytes) -> None:
    """On stderr, so that what is on stdout stays one document."""
    before, after = (_masked(text).splitlines() for text in (document.text, content.decode("utf-8-sig")))
    for line in difflib.unified_diff(before, after, "as it is", "as it would be", lineterm="", n=0):
        click.echo(line, err=True)


def _masked(text: str) -> str:
    """The text without what may be secret: a line that changes may have the environment of its server in it."""
    for start, end in sorted(_secrets(read_jsonc(text), ()), reverse=True):
        text = f'{text[:start]}"..."{text[end:]}'
    return _STRING_OR_COMMENT.sub(lambda found: found[0] if found[1] else "/*...*/", text)


def _secrets(node: Node, at: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where texts and numbers stand, except those that are about tools."""
    if at[-2:] == ("asyncfc", "tools"):
        return
    if isinstance(node.value, str | int | float) and not isinstance(node.value, bool):
        yield node.start, node.end
    for member in node.members:
        yield from _secrets(member.node, (*at, member.key))
    for item in node.items:
        yield from _secrets(item.node, at)
