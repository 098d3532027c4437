"""What every call of the chaos suite must give: worked out from its identity by server and checker alike."""

from __future__ import annotations

import hashlib
import random
from typing import Any

ALPHABET = "abc XYZ 0189 \n\t\"'\\/{}[]<>`~$%& éßñ 漢字 🙂 \u2028\u00a0"
"""What breaks escaping, framing and trimming somewhere."""


def text(call: str, size: int) -> str:
    """The value of a call that asks for so many characters."""
    chosen = random.Random(f"{call}/{size}").choices(ALPHABET, k=size)
    return f"value of {call}: {''.join(chosen)}|"


def cleaned(value: str) -> str:
    """As it is attached to other results: a line that ends in an unusual way ends in the usual one there."""
    return value.replace("\u2028", "\n")


def record(call: str, size: int) -> dict[str, Any]:
    """The structured value of a call; `/items/0/id` is a part of it that other calls may ask for."""
    return {"items": [{"id": f"item of {call}", "note": text(call, size)}], "count": 1}


def digest(value: str) -> str:
    """What the journal keeps of an argument."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def broken(call: str) -> str:
    """What a call says that was asked to fail."""
    return f"broken on purpose: {call}"
