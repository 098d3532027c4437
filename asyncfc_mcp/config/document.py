"""Reads one file of JSON as people write it, with comments, into what can be used and shown without a second look.

What stands in it is `load`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

from asyncfc_mcp.config.problems import ConfigurationError, Findings, Key, dotted, kind_shown

MOST_CHARACTERS = 64_000_000
MOST_TOLERATED_CHARACTERS = 200_000
"""Of one with comments: their reader is slow, and takes minutes for a large file that is something else."""
_READABLE = "the path of a readable JSON file with mcpServers or servers"
_TOLERANT = "JSON; comments and trailing commas may stand in it"
_ONLY_JSON = f"JSON; comments and trailing commas only in a file of at most {MOST_TOLERATED_CHARACTERS:,} characters"
_MOST_DIGITS = 40
"""Of a whole number: far more than any setting has, far fewer than Python converts."""

_Pairs = Iterable[tuple[str, Any]]


def read_document(path: Path, findings: Findings) -> dict[str, object]:
    """The object in the file; what stands in it twice is noted.

    Raises:
        ConfigurationError: there is none that could be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigurationError(path, "the file", "missing", _READABLE) from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, "the file", "not UTF-8 text", _READABLE) from None
    except OSError as error:
        raise ConfigurationError(path, "the file", f"unreadable ({error.strerror})", _READABLE) from None
    if len(text) > MOST_CHARACTERS:
        raise ConfigurationError(path, "the file", f"longer than {MOST_CHARACTERS:,} characters", _READABLE)
    reader = _Reader(path)
    try:
        document = reader.joined(reader.parsed(text), ())
    except RecursionError:
        raise ConfigurationError(path, "the file", "nested too deeply", "a configuration") from None
    for name in sorted(reader.repeated):
        findings.warn((name,), "stands twice in one object, the last one counts")
    if not isinstance(document, dict):
        raise ConfigurationError(path, "the file", kind_shown(document), "an object with mcpServers or servers")
    return cast("dict[str, object]", document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.repeated: set[str] = set()

    def parsed(self, text: str) -> object:
        try:
            return json.loads(text, object_pairs_hook=self._members, parse_int=self._whole_number)
        except json.JSONDecodeError as error:
            if not text.strip():
                fault = ConfigurationError(self._path, "the file", "empty", "an object with mcpServers or servers")
                raise fault from None
            plain = error
        if len(text) > MOST_TOLERATED_CHARACTERS:
            self._refuse(plain.lineno, plain.colno, plain.msg, _ONLY_JSON)
        # Imported here: few files have comments, and start-up is short.
        import json5  # noqa: PLC0415

        try:
            return json5.loads(text, object_pairs_hook=self._members, parse_int=self._whole_number)
        except ValueError as error:
            # Its place is the right one where the plain reader stopped at a comment that is allowed.
            found = re.match(r"<string>:(\d+) (.*) at column (\d+)$", str(error), re.DOTALL)
            line, fact, column = (found[1], found[2], found[3]) if found else (plain.lineno, plain.msg, plain.colno)
            self._refuse(line, column, fact, _TOLERANT)

    def joined(self, value: object, at: Key) -> object:
        """The value with characters whole that were written as two halves: the tolerant reader leaves them apart.

        What has only one half could be handed to no server, and shown to nobody.
        """
        if isinstance(value, str):
            return self._text(value, at)
        if isinstance(value, list):
            items = enumerate(cast("list[object]", value))
            return [self.joined(item, (*at, index)) for index, item in items]
        if isinstance(value, dict):
            members = ((self._text(key, at), item) for key, item in cast("dict[str, object]", value).items())
            return {key: self.joined(item, (*at, key)) for key, item in members}
        return value

    def _text(self, text: str, at: Key) -> str:
        try:
            return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            fact = "a text with half of a character (half of a surrogate pair)"
            raise ConfigurationError(self._path, dotted(at) or "the file", fact, "whole characters") from None

    def _members(self, pairs: _Pairs) -> dict[str, object]:
        members: dict[str, object] = {}
        for name, value in pairs:
            if name in members:
                self.repeated.add(name)
            members[name] = value
        return members

    def _whole_number(self, spelling: str, base: int = 10) -> int:
        if len(spelling) > _MOST_DIGITS:
            fact, allowed = f"a number of {len(spelling)} digits", f"numbers of at most {_MOST_DIGITS} digits"
            raise ConfigurationError(self._path, "the file", f"with {fact}", allowed)
        return int(spelling, base)

    def _refuse(self, line: int | str, column: int | str, fact: str, allowed: str) -> NoReturn:
        where = f"line {line}, column {column}"
        raise ConfigurationError(self._path, where, f"not JSON ({fact})", allowed) from None
