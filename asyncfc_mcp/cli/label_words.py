"""Templates of labels as tables show them."""

from __future__ import annotations

from collections.abc import Sequence

ROOT = "everything"
"""In place of the empty label, which is the root of all."""


def labels_in_words(templates: Sequence[str]) -> str:
    """These in one cell of a table."""
    return ", ".join(template or ROOT for template in templates) or "-"
