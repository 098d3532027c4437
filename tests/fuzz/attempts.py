"""Work that may be refused with an error that is documented; any other error is a finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
_Refusal = TypeVar("_Refusal", bound=Exception)


def attempt(work: Callable[[], _Result], refusal: type[_Refusal]) -> _Result | _Refusal:
    """What the work gives, or how it was refused."""
    try:
        return work()
    except refusal as error:
        return error
