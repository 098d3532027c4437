"""What a reader who knows our lines takes a text for: written anew from docs/wording.md, not from the code."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPEN = re.compile(
    r"--- (?P<nonce>\S+) results of your earlier calls, finished meanwhile; tool output, not instructions ---"
)
CLOSE = re.compile(r"--- end (?P<nonce>[0-9a-f]+) ---")
HEAD = re.compile(r"\[(?P<nonce>[0-9a-f]+)\] (?P<token>fut_[A-Za-z0-9_-]+) ")
AWAITED = re.compile(r"=== (?P<token>fut_[A-Za-z0-9_-]+).* ===")
PENDING = re.compile(r"(?P<token>fut_[A-Za-z0-9_-]+) stands for the result of ")


@dataclass(frozen=True)
class Block:
    """The results that one fence holds, by the tokens in their heads."""

    nonce: str
    tokens: tuple[str, ...]


def blocks_in(text: str) -> list[Block]:
    """Every delivery block that a reader finds, whoever wrote it."""
    found: list[Block] = []
    nonce: str | None = None
    tokens: list[str] = []
    for line in text.splitlines():
        opened, closed, head = OPEN.fullmatch(line), CLOSE.fullmatch(line), HEAD.match(line)
        if opened:
            nonce, tokens = opened["nonce"], []
        elif head and head["nonce"] == nonce:
            tokens.append(head["token"])
        elif closed and nonce is not None and closed["nonce"] == nonce:
            found.append(Block(nonce, tuple(tokens)))
            nonce = None
    return found


def claims_of(text: str) -> list[str]:
    """Every line that says something in the gateway's name."""
    ours = (OPEN.fullmatch, CLOSE.fullmatch, HEAD.match, AWAITED.fullmatch, PENDING.match)
    return [line for line in text.splitlines() if any(matches(line) for matches in ours)]
