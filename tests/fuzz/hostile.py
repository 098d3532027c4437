"""Texts and JSON as nobody writes them on purpose: what the properties of this folder are tried with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def among(choices: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of these, of whatever type."""
    return st.sampled_from(choices)


TOKENS = among(["fut_x", "fut_Y2", "fut_a_b-c", "fut_search_8k2m4x7qa", "fut_search_8k2m4x7qb"])
"""Two of them as they are minted, one of these mistyped."""

_FRAGMENTS = (
    *(
        "${",
        "$${",
        "$",
        "{",
        "}",
        "}}",
        "fut_",
        "FUT_",
        "/",
        "~0",
        "~1",
        "~",
        ".",
        "..",
        ".a",
        "[0]",
        "[",
        "]",
        "-",
        "_",
    ),
    *(
        "`",
        "<",
        ">",
        " ",
        "\n",
        "\t",
        "\0",
        "\x1b",
        "\u2028",
        "\u200b",
        "\ufeff",
        "é",
        "e\u0301",
        "İ",
        "ß",
        "ﬃ",
        "\u0345",
    ),
    *(
        "\U0001d54a",
        "🎉",
        "\\",
        "C:",
        "%2F",
        "%",
        "items",
        "0",
        "1",
        "18446744073709551616",
        "null",
        '"',
        "'",
        "a",
        "é/",
        "e",
    ),
)

PLAIN = st.text(max_size=12)
"""Any text that can be written down."""

HALVES = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=12)
"""Any text that Python can hold, with halves of characters."""

TEXTS = st.lists(among(_FRAGMENTS) | TOKENS | PLAIN, max_size=8).map("".join)
"""Texts that are nearly what means something here."""

KEYS = among(["a", "b", "path", "items", "fut_x", "${fut_x}", "", "0", "a.b", "a/b"]) | PLAIN

NUMBERS = (
    st.integers()
    | st.floats()
    | among([0, -0.0, 1.0, 2**53, 2**64, -(2**63) - 1, 10**400, 1e308, math.inf, -math.inf, math.nan])
)

LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS


def json_of(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> st.SearchStrategy[Any]:
    """Any JSON with these leaves and keys."""

    def inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)

    return st.recursive(leaves, inside, max_leaves=8)


JSON = json_of(LEAVES)

ARGUMENTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(KEYS, JSON, max_size=4)
