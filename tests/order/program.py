"""Programs of reads, writes and failures: what they are made of, and how they are drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["put", "append", "get"]
Server = Literal["one", "two"]

LONGEST_DELAY_S = 0.04
"""A call that is over within the quiet hold of 5 ms answers with its value, so half of them take longer."""
MOST_REFERENCES = 3
"""Texts double with each of them."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The result of an earlier operation of the program, by its index."""

    index: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a tool of the toy's state."""

    kind: Kind
    server: Server
    key: str | Earlier
    value: str | Earlier = ""
    delay_s: float = 0.0
    fails: bool = False
    awaits: Earlier | None = None
    """What the client awaits before it sends the call."""

    @property
    def writes(self) -> bool:
        return self.kind != "get"

    @property
    def need(self) -> Earlier | None:
        """The result that stands in its arguments; at most one does."""
        return next((one for one in (self.key, self.value) if isinstance(one, Earlier)), None)


@dataclass(frozen=True, slots=True)
class Program:
    """Operations in the order in which a client writes them; its keys are its own, so that many can share a server."""

    seed: int
    operations: tuple[Operation, ...]
    widths: tuple[int, ...] = ()
    """How many operations are sent side by side, step by step; empty: each after the last answer."""

    @property
    def name(self) -> str:
        return f"p{self.seed}"

    @property
    def steps(self) -> list[range]:
        """The indices of the operations of each step."""
        widths = self.widths or (1,) * len(self.operations)
        starts = [sum(widths[:number]) for number in range(len(widths))]
        return [range(start, start + width) for start, width in zip(starts, widths, strict=True)]

    def __str__(self) -> str:
        """For the message of a failed test."""
        lines = [f"  {index}: {self.operations[index]}" for step in self.steps for index in step]
        return "\n".join([f"seed {self.seed}, widths {self.widths or 'all 1'}", *lines])


def draw(
    seed: int,
    *,
    length: int = 10,
    fails: float = 0.2,
    awaits: float = 0.1,
    longest_delay_s: float = LONGEST_DELAY_S,
) -> Program:
    """A program whose calls are sent one after another.

    It begins with a key that holds the name of another one, so that a key may be the result of a call too.
    """
    chance = random.Random(seed)
    pointer = f"p{seed}_at"
    keys = [f"p{seed}_k{number}" for number in range(2)]
    operations = [Operation("put", "one", pointer, chance.choice(keys))]
    references = 0
    while len(operations) < length:
        index = len(operations)
        kind: Kind = chance.choice(["put", "append", "append", "get"])
        operation = Operation(
            kind,
            chance.choice(["one", "one", "one", "two"]),
            chance.choice(keys),
            f"{index}." if kind != "get" else "",
            delay_s=round(chance.choice([0, 1]) * chance.uniform(0, longest_delay_s), 4),
            fails=kind != "get" and chance.random() < fails,
            awaits=Earlier(chance.randrange(index)) if chance.random() < awaits else None,
        )
        if references < MOST_REFERENCES and chance.random() < 0.3:
            references += 1
            if chance.random() < 0.4 and length - index > 1:
                # Two operations: read the name of a key, then use it unseen.
                operations.append(Operation("get", "one", pointer, delay_s=operation.delay_s))
                operation = replace(operation, key=Earlier(index))
            elif kind != "get":
                operation = replace(operation, value=Earlier(chance.randrange(index)))
        operations.append(operation)
    return Program(seed, tuple(operations))


def draw_steps(seed: int) -> Program:
    """A program in steps of one to four calls that are sent side by side."""
    program = draw(seed, awaits=0.0)
    chance = random.Random(f"widths {seed}")
    left = len(program.operations) - 1
    widths = [1]
    while left:
        widths.append(min(left, chance.randint(1, 4)))
        left -= widths[-1]
    return replace(program, widths=tuple(widths))
