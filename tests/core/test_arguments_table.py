"""Every example in docs/references.md is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.core.reference import ArgumentFault, find_references
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.value import ANY_SLOT, MISSING, Slot, Value

PAGE = Path(__file__).parents[2] / "docs" / "references.md"


def table(first_heading: str) -> list[list[str]]:
    """The cells of the rows under the header that begins with `first_heading`."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    rows: list[list[str]] = []
    for line in lines[top + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows


def code(cell: str) -> str:
    """The inside of a Markdown code span."""
    span = re.fullmatch(r"(`+)(.*?)\1", cell)
    assert span is not None, cell
    return span[2]


def futures() -> dict[str, Value]:
    found: dict[str, Value] = {}
    for token, text, structured, others, wraps in table("token"):
        found[code(token)] = Value(
            text=json.loads(code(text)) if text else None,
            structured=json.loads(code(structured)) if structured else MISSING,
            block_types=tuple(re.findall(r"`(\w+)`", others)) + (("text",) if text else ()),
            wraps_result=wraps == "yes",
        )
    return found


def slot_of(cell: str) -> Slot:
    names = cell.removesuffix(", embed off").split(", ")
    return ANY_SLOT if names == ["any"] else frozenset(names)


FUTURES = futures()
EXAMPLES = table("`v` as written")


def outcome(argument: Any, slot: Slot, live: set[str], *, embed: bool) -> str:
    """What the last column says."""
    arguments = {"v": argument}
    before = json.dumps(arguments)
    try:
        references = find_references(arguments, exists=live.__contains__, embed=embed)
        unknown = sorted({reference.token for reference in references} - live)
        if unknown:
            return f"unknown: `{', '.join(unknown)}`"
        filled = substitute(arguments, references, FUTURES, lambda _: slot, embed=embed)
    except ArgumentFault as fault:
        return f"error: {fault}"
    assert json.dumps(arguments) == before
    return json.dumps(filled["v"])


def test_the_page_has_at_least_thirty_examples() -> None:
    assert len(EXAMPLES) >= 30


@pytest.mark.parametrize("example", EXAMPLES, ids=[" / ".join(example[:3]) for example in EXAMPLES])
def test_an_example_of_the_page_is_what_happens(example: list[str]) -> None:
    written, accepts, given, expected = example
    live = set(re.findall(r"`(\w+)`", given))
    assert live <= FUTURES.keys()
    happened = outcome(json.loads(code(written)), slot_of(accepts), live, embed="embed off" not in accepts)
    if expected.startswith("error: "):
        assert happened.startswith("error: arguments.v")
        assert code(expected.removeprefix("error: ")) in happened
    elif expected.startswith("unknown: "):
        assert happened == expected
    else:
        assert json.loads(happened) == json.loads(code(expected))
