"""Reads one file of JSON as people write it, with comments, into what can be used and shown without a second look.

What stands in it is `load`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

from asyncfc_mcp.config.problems import ConfigurationError, Findings, Key, dotted, shown

_READABLE = "the path of a readable JSON file with mcpServers or servers"
_MOST_DIGITS = 40
"""Of a whole number: far more than any setting has, far fewer than Python converts."""

_Pairs = Iterable[tuple[str, Any]]


def read_document(path: Path, findings: Findings) -> dict[str, object]:
    """The object in the file; what stands in it twice is noted.

    Raises:
        ConfigurationError: there is none that could be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(path, "the file", "missing", _READABLE) from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, "the file", "not UTF-8 text", _READABLE) from None
    except OSError as error:
        raise ConfigurationError(path, "the file", f"unreadable ({error.strerror})", _READABLE) from None
    reader = _Reader(path)
    try:
        document = reader.joined(reader.parsed(text), ())
    except RecursionError:
        raise ConfigurationError(path, "the file", "nested too deeply", "a configuration") from None
    for name in sorted(reader.repeated):
        findings.warn((name,), "stands twice in one object, the last one counts")
    if not isinstance(document, dict):
        raise ConfigurationError(path, "the file", shown(document), "an object with mcpServers or servers")
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
        # Imported here: few files have comments, and start-up is short.
        import json5  # noqa: PLC0415

        try:
            return json5.loads(text, object_pairs_hook=self._members, parse_int=self._whole_number)
        except ValueError as error:
            self._refuse(plain, str(error))

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

    def _refuse(self, plain: json.JSONDecodeError, tolerant: str) -> NoReturn:
        # The tolerant reader's place is the right one where the plain one stopped at a comment that is allowed.
        found = re.match(r"<string>:(\d+) (.*) at column (\d+)$", tolerant, re.DOTALL)
        line, fact, column = (found[1], found[2], found[3]) if found else (plain.lineno, plain.msg, plain.colno)
        allowed = "JSON; comments and trailing commas may stand in it"
        where = f"line {line}, column {column}"
        raise ConfigurationError(self._path, where, f"not JSON ({fact})", allowed) from None
