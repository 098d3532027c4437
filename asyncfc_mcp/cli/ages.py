"""Time spans on the command line."""

from __future__ import annotations

import math
import re
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Seconds(click.FloatRange):
    """A number of seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number.

        Raises:
            click.BadParameter: it is none.
        """
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # which is in every range
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def age_s(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """The seconds of an age as people write it: `30m`, `12h`, `7d`.

    Raises:
        click.BadParameter: it is none.
    """
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", value.strip().lower())
    if found is None:
        raise click.BadParameter(
            f"{value!r} is no age; write a number with s, m, h, d or w behind it, such as 12h or 7d"
        )
    return float(found[1]) * _SECONDS[found[2]]
