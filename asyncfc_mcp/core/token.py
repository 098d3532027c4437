"""Tokens, the wire form of futures: minting and naming them, reading them back, and telling a mistyped one.

The last character of a minted id is the check symbol of a linear code over GF(32), the field of the polynomial
x^5 + x^2 + 1 with alpha = x: a Reed-Solomon code with one check symbol (I. S. Reed and G. Solomon, "Polynomial Codes
over Certain Finite Fields", 1960). The i-th character from the right has the weight alpha^i and the weighted sum of all
is zero. One wrong character changes the sum because no weight is zero; a swap of two different characters changes it
because no two of the at most 27 weights are equal (alpha has order 31).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, Literal

from asyncfc_mcp.errors import GatewayError

PREFIX = "fut_"
TOKEN_PATTERN = r"fut_[A-Za-z0-9_-]+"  # noqa: S105  the shape of tokens, not one of them
"""What is token-shaped, as a regular expression."""
SURROUNDINGS = string.whitespace + "`<>"
"""What models put around a token and does not count."""

KNOWN_CALLER_BITS: Final = 40
"""Of chance in a token, where only its principal can use it: enough to tell futures apart."""
UNGUESSABLE_BITS: Final = 128
"""Where whoever has the token may see the value."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = {character: digit for digit, character in enumerate(_ALPHABET)}
_TWINS = str.maketrans({"i": "1", "l": "1", "o": "0"})
_FIELD_POLYNOMIAL = 0b100101
_TIMES_ALPHA = tuple(element << 1 ^ (_FIELD_POLYNOMIAL if element & 16 else 0) for element in range(32))
"""The products of each element of the field and its generator."""
_LONGEST_SLUG = 16
_LONGEST_GUESSED = 64
_LONG_ID = 27
_SLUG = re.compile(rf"[a-z0-9]{{1,{_LONGEST_SLUG}}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_TOKEN = re.compile(TOKEN_PATTERN)
_MINTED = re.compile(rf"fut_[a-z0-9]{{1,{_LONGEST_SLUG}}}_(?P<id>[a-z0-9]{{9}}|[a-z0-9]{{27}})")


class UnfitTokenParts(GatewayError):
    """A token was asked for from parts that make none: always a fault in this package."""

    def __init__(self, slug: str, bits: int) -> None:
        super().__init__(f"no token can be minted from the slug {slug!r} and the given chance: want {bits} random bits")
        self.slug = slug
        self.bits = bits


class BadName(GatewayError):
    """A caller named a future in a way that makes no token."""

    def __init__(self, name: str) -> None:
        shown = name if len(name) <= _LONGEST_GUESSED else f"{name[:_LONGEST_GUESSED]}…"
        super().__init__(
            f"{shown!r} cannot name a future: a name has 1 to 40 letters, digits, `_` or `-`"
            " and starts with a letter or digit"
        )
        self.name = name


def mint(slug: str, random_bits: int, bits: Literal[40, 128]) -> str:
    """The token whose id spells `random_bits`: 40 where the caller is known, 128 where the token is the only key."""
    if not _SLUG.fullmatch(slug) or not 0 <= random_bits < 1 << bits:
        raise UnfitTokenParts(slug, bits)
    length = -(-bits // 5)
    digits = [random_bits >> 5 * place & 31 for place in reversed(range(length))]
    body = "".join([_ALPHABET[digit] for digit in digits])
    return f"{PREFIX}{slug}_{body}{_ALPHABET[_check_digit(digits)]}"


def slug_of(tool_name: str) -> str:
    """The readable part of a token: the letters and digits of the tool's name."""
    kept = [character for character in tool_name.lower() if character in string.ascii_lowercase + string.digits]
    return "".join(kept[:_LONGEST_SLUG]) or "tool"


def named(name: str) -> str:
    """The token of a future that its caller named with `_as`; a name that is already written as a token is taken so."""
    bare = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(bare):
        raise BadName(name)
    return _canonical(PREFIX + bare)


def normalise(text: str) -> str | None:
    """The one spelling under which the token in `text` is stored; None when `text` is not token-shaped."""
    shape = text.strip(SURROUNDINGS)
    return _canonical(shape) if _TOKEN.fullmatch(shape) else None


def is_mistyped(token: str) -> bool:
    """Whether it looks minted but cannot have been. Names may look so too: ask it only of a token that is not live."""
    minted = _MINTED.fullmatch(token.lower())
    return minted is not None and not _checks(minted["id"].translate(_TWINS))


def is_minted(token: str) -> bool:
    """Whether it has a right checksum; hardly any name does."""
    minted = _MINTED.fullmatch(token)
    return minted is not None and _checks(minted["id"])


def is_unguessable(token: str) -> bool:
    """Whether it was minted for callers whom nothing but the token keeps apart."""
    return is_minted(token) and len(token.rpartition("_")[2]) == _LONG_ID


def closest(token: str, candidates: Iterable[str]) -> str | None:
    """The candidate that the caller of an unknown token may have meant."""
    if len(token) > _LONGEST_GUESSED:
        return None
    # the common prefix would make every pair look alike
    bodies = {candidate.removeprefix(PREFIX): candidate for candidate in candidates}
    matches = get_close_matches(token.removeprefix(PREFIX), bodies, n=1)
    return bodies[matches[0]] if matches else None


def _canonical(token: str) -> str:
    lowered = token.lower()
    minted = _MINTED.fullmatch(lowered)
    if minted is None:
        return lowered
    # only a right checksum tells an id from a name of the same length, such as fut_big_directory
    twin = minted["id"].translate(_TWINS)
    return lowered[: minted.start("id")] + twin if _checks(twin) else lowered


def _checks(identifier: str) -> bool:
    if not _DIGITS.keys() >= set(identifier):
        return False
    digits = [_DIGITS[character] for character in identifier]
    return _check_digit(digits[:-1]) == digits[-1]


def _check_digit(digits: Iterable[int]) -> int:
    total = 0
    for digit in digits:
        total = _TIMES_ALPHA[total ^ digit]
    return total
