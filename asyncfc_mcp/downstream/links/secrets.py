"""Taking the secrets of a configuration out of what servers say.

What an entry gives to its server in `env` and `headers` counts as secret, whatever its name; of the words of its
command and of addresses, what stands where a key or a password does.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.config.problems import HIDDEN

_SHORTEST = 6
"""Shorter values are words such as `true` or `info`, which would be hidden all over the text."""
_WORDS = re.compile(r"\S+")
_NAME = r"(?:key|token|secret|password|passwd|credential|auth(?:orization)?|bearer)s?"
_NAMED = re.compile(rf"{_NAME}$", re.IGNORECASE)
_NAMES_ITSELF = re.compile(rf"{_NAME}\s*[=:]\s*(?P<value>\S.*)$", re.IGNORECASE | re.DOTALL)
"""`--api-key=VALUE`, `API_KEY=VALUE` behind docker's `-e`, `Authorization: Bearer VALUE` behind a `--header`."""


class Secrets:
    """Some texts, and a way to hide them in others."""

    def __init__(self, values: Iterable[str]) -> None:
        parts = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
        longest_first = sorted({form for part in parts for form in _forms(part)}, key=len, reverse=True)
        self._any = re.compile(b"|".join(re.escape(form) for form in longest_first)) if parts else None

    def hidden_in(self, text: bytes) -> bytes:
        """The text with each of them replaced."""
        return text if self._any is None else self._any.sub(HIDDEN.encode(), text)


def secrets_of(*entries: ServerEntry) -> Secrets:
    """What these entries give to their servers."""
    return Secrets(value for entry in entries for value in given_to(entry.transport))


def names_secret(name: str) -> bool:
    """Whether a variable or an option of this name holds something secret."""
    return _NAMED.search(name) is not None


def given_to(transport: StdioEntry | RemoteEntry) -> Iterator[str]:
    """What is secret of all that a server is given."""
    if isinstance(transport, StdioEntry):
        values = [*transport.env.values()]
        words = [*transport.command.split(), *transport.args]
    else:
        values = [*transport.headers.values()]
        words = [transport.url]
    yield from values
    for text in (*values, *words):
        yield from _in_address(text)
    yield from _in_words(words)


def _in_words(words: Iterable[str]) -> Iterator[str]:
    option = ""
    for word in words:
        if names_secret(option) and not word.startswith("-"):
            yield word
        option = word if word.startswith("-") else ""
        if "://" not in word and (named := _NAMES_ITSELF.search(word)) is not None:
            yield named["value"]


def _in_address(text: str) -> Iterator[str]:
    """The password of an address, and what its query says of secrets, as they stand there and as they are meant."""
    if "://" not in text:
        return
    try:
        parts = urlsplit(text)
    except ValueError:  # not everything with `://` is one
        return
    if parts.password:
        yield from (parts.password, unquote(parts.password))
    yield from (value for name, value in parse_qsl(parts.query) if names_secret(name))


def _parts(value: str) -> Iterable[str]:
    """The value, each of its lines, and what stands behind a scheme such as `Bearer`: text is looked at by the line."""
    yield value
    for line in value.splitlines():
        yield line.strip()
        scheme, *rest = _WORDS.findall(line)[:2] or [""]
        if rest and scheme.lower() in {"bearer", "basic", "token"}:
            yield rest[0]


def _forms(part: str) -> Iterator[bytes]:
    """As it is, in an address, and in base64."""
    plain = part.encode()
    yield from (plain, quote(part, safe="").encode(), quote(part).encode(), b64encode(plain).rstrip(b"="))
