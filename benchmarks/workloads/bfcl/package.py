"""Reading the package `bfcl-eval`: questions, ground truth, backends and function documents. No call is evaluated."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asyncfc_mcp.errors import GatewayError

INSTALL = "pip install --no-deps bfcl-eval==2026.3.23 mpmath==1.3.0"
CATEGORY = "BFCL_v4_multi_turn_base.json"


class MissingPackage(GatewayError):
    """The package is not installed."""

    def __init__(self) -> None:
        super().__init__(f"the BFCL workload needs the package bfcl-eval; {INSTALL}")


class UnreadableTruth(GatewayError):
    """A call of the ground truth that is written in another way than all others."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the ground truth {text!r} is no call of a method; use a version of bfcl-eval where it is")
        self.text = text


@dataclass(frozen=True, slots=True)
class Entry:
    """One conversation as the package has it."""

    id: str
    messages: tuple[str, ...]
    """What the user says, a message a turn."""
    initial_config: Mapping[str, Any]
    classes: tuple[str, ...]
    truth: tuple[tuple[tuple[str, Mapping[str, Any]], ...], ...]
    """By turn: the methods to call, with their arguments by name."""


def is_there() -> bool:
    """Whether the package is installed."""
    return find_spec("bfcl_eval") is not None


@cache
def entries() -> tuple[Entry, ...]:
    """All conversations of the category."""
    questions = _lines(_data() / CATEGORY)
    truths = {line["id"]: line["ground_truth"] for line in _lines(_data() / "possible_answer" / CATEGORY)}
    return tuple(_entry(question, truths[question["id"]]) for question in questions)


def backend_class(name: str) -> type[Any]:
    """The class of a backend."""
    constants = importlib.import_module("bfcl_eval.constants.executable_backend_config")
    return getattr(importlib.import_module(constants.CLASS_FILE_PATH_MAPPING[name]), name)


@cache
def documents(class_name: str) -> Mapping[str, Mapping[str, Any]]:
    """The function documents of a backend, by method."""
    constants = importlib.import_module("bfcl_eval.constants.executable_backend_config")
    file = _data() / "multi_turn_func_doc" / constants.MULTI_TURN_FUNC_DOC_FILE_MAPPING[class_name]
    return {line["name"]: line for line in _lines(file)}


def class_of(method: str, classes: Sequence[str]) -> str:
    """The one of these backends that has a method."""
    return next(name for name in classes if method in documents(name))


def _data() -> Path:
    spec = find_spec("bfcl_eval")
    if spec is None or spec.origin is None:
        raise MissingPackage
    return Path(spec.origin).parent / "data"


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _entry(question: Mapping[str, Any], truth: Sequence[Sequence[str]]) -> Entry:
    classes = tuple(question["involved_classes"])
    return Entry(
        id=question["id"],
        messages=tuple(" ".join(message["content"] for message in turn) for turn in question["question"]),
        initial_config=question["initial_config"],
        classes=classes,
        truth=tuple(tuple(_parsed(text, classes) for text in turn) for turn in truth),
    )


def _parsed(text: str, classes: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
    call = ast.parse(text.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise UnreadableTruth(text)
    method = call.func.id
    names = list(inspect.signature(getattr(backend_class(class_of(method, classes)), method)).parameters)[1:]
    given = {name: ast.literal_eval(value) for name, value in zip(names, call.args, strict=False)}
    return method, given | {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
