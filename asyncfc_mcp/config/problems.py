"""What is wrong in a configuration, in words: one error for all of it, with nothing secret in it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asyncfc_mcp.config.models import FlowPolicy, FlowRule, GatewaySettings, ServerSettings, ToolSettings
from asyncfc_mcp.errors import GatewayError

Key = tuple[str | int, ...]
"""Where something stands in the file, from the top."""

HIDDEN = "(hidden)"
LONGEST_SHOWN = 80

_WORD = re.compile(r"\S+")
_QUERY = re.compile(r"[?#]\S*")
_PLAIN_SEGMENT = re.compile(r"[\w@-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    key: str
    value: str
    """As it may be shown: quoted, cut, and `(hidden)` where it may hold a secret."""
    allowed: str

    def __str__(self) -> str:
        """The line of the message."""
        return f"{self.key} is {self.value}; allowed: {self.allowed}"


class ConfigurationError(GatewayError):
    """The configuration cannot be used; one message says all that is wrong with one file."""

    def __init__(
        self, file: Path | str, key: str, value: str, allowed: str, *, further: Sequence[Problem] = ()
    ) -> None:
        self.file = str(file)
        self.key = key
        self.value = value
        self.allowed = allowed
        self.problems = (Problem(key, value, allowed), *further)
        if further:
            lines = [f"{self.file}: {len(self.problems)} problems", *(f"  {problem}" for problem in self.problems)]
            super().__init__("\n".join(lines))
        else:
            super().__init__(f"{self.file}: {self.problems[0]}")


class Findings:
    """Collects what is wrong and what is worth a warning while one source is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.files: list[Path] = []
        """Further files that were read, or were to be."""

    def wrong(self, at: Key, value: str, allowed: str) -> None:
        """Note a problem; reading goes on, so that one message can name them all."""
        self.problems.append(Problem(dotted(at), value, allowed))

    def warn(self, at: Key, text: str) -> None:
        """Note something that was passed over."""
        self.warnings.append(f"{dotted(at)}: {text}")

    def check(self, file: Path | str) -> None:
        """Raise what was found wrong, if anything."""
        if not self.problems:
            return
        first, *further = self.problems
        raise ConfigurationError(file, first.key, first.value, first.allowed, further=further)


def dotted(at: Key) -> str:
    """The key as a person would write it; a segment with other characters is quoted."""
    parts = (str(part) for part in at)
    return ".".join(part if _PLAIN_SEGMENT.fullmatch(part) else json.dumps(part) for part in parts)


def shown(value: object) -> str:
    """A value in a message: containers by kind only, no URL, and nothing before an `@` or behind a `?`."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if not isinstance(value, str):
        return json.dumps(value)
    if "://" in value:  # a token may stand in each of its parts, in the host's place too where it is malformed
        return f"a text with an address {HIDDEN}"
    open_text = _QUERY.sub(f"?{HIDDEN}", _WORD.sub(_without_user, value))
    if len(open_text) > LONGEST_SHOWN:
        open_text = open_text[:LONGEST_SHOWN] + "…"
    return json.dumps(open_text, ensure_ascii=False)


def kind_shown(value: object) -> str:
    """A value in the place of an object that holds secrets: a text by kind only, since it may be one."""
    return "a text" if isinstance(value, str) else shown(value)


def _without_user(word: re.Match[str]) -> str:
    """A word, with all before its last `@` hidden."""
    user, at, rest = word[0].rpartition("@")
    return f"{HIDDEN}{at}{rest}" if user else word[0]


def did_you_mean(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`; did you mean X?`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {near[0]}?" if near else ""


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of one of our objects, as they are written in the file."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def note_invalid(findings: Findings, error: ValidationError, at: Key, model: type[BaseModel]) -> None:
    """Note every problem of an `asyncfc` object that did not fit its model."""
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        word = _WORD_INSTEAD.get(str(("", "", *path)[-2]))
        if word is not None:
            if detail["type"] != "literal_error":  # which says the same of the word: one line for both
                findings.wrong(at + path[:-1], shown(detail["input"]), f"{_allowed(detail)}, or {shown(word)}")
            continue
        if detail["type"] == "extra_forbidden":
            inner = FlowRule if path[0] == "flows" else ToolSettings
            holder = inner if len(path) > 1 else model
            name = str(path[-1]) if path else ""
            findings.wrong(at + path, "an unknown key", _known_instead(name, holder))
        elif detail["type"] == "missing":  # only a rule of flows has a key that must be there
            findings.wrong(at + path, "missing", " or ".join(map(shown, get_args(FlowPolicy))))
        else:
            is_flows = path == ("flows",)
            findings.wrong(at + path, shown(detail["input"]), "a list of rules" if is_flows else _allowed(detail))


def _known_instead(name: str, holder: type[BaseModel]) -> str:
    for other, place in (
        (GatewaySettings, "the asyncfc object at the top of the file"),
        (ServerSettings, "the asyncfc object of a server"),
        (ToolSettings, "asyncfc.tools.TOOL of a server"),
        (FlowRule, "a rule of asyncfc.flows at the top of the file"),
    ):
        if other is not holder and name in keys_of(other):
            return f"{', '.join(keys_of(holder))} ({name} stands in {place})"
    return ", ".join(keys_of(holder)) + did_you_mean(name, keys_of(holder))


_WORD_INSTEAD = {"inline_wait_s": "auto"}
"""Settings where one word may stand in place of a number; pydantic names both ways to be wrong."""
_ALLOWED_BY_TYPE = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "model_type": "an object",
    "string_type": "text",
    "tuple_type": "a list of texts",
}


def _allowed(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error":
            return str(context["expected"]).replace("'", '"')
        case "greater_than_equal":
            return f"a number, at least {context['ge']:g}"
        case "greater_than":
            return f"a number above {context['gt']:g}"
        case "string_pattern_mismatch":
            return f"letters, digits, _ and - (pattern {context['pattern']})"
        case kind:
            return _ALLOWED_BY_TYPE.get(kind, detail["msg"])
