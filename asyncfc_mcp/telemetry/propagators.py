"""`OTEL_PROPAGATORS`, which OpenTelemetry's API reads as it is imported, and cannot be with a name it does not know.

The variable is often set for everything on a machine, to what an SDK of another language brings along (`b3`). It must
cost a gateway that form of trace context, and not its start.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.metadata import entry_points

import structlog

from asyncfc_mcp.telemetry.logs import configure_logs

VARIABLE = "OTEL_PROPAGATORS"
_NONE = "none"

log = structlog.get_logger()


def settle_propagators(environ: MutableMapping[str, str]) -> None:
    """Import the API with those that are there; the variable is as it was afterwards, for the servers that inherit it.

    Nothing of the API may have been imported before.
    """
    names = [name.strip() for name in environ.get(VARIABLE, "").split(",")]
    known = {entry.name for entry in entry_points(group="opentelemetry_propagator")}
    usable = [name for name in names if name in known or name.lower() == _NONE]
    if usable == names:
        return
    written = environ[VARIABLE]
    environ[VARIABLE] = ",".join(usable)  # empty, it is as if it were not set
    try:
        import opentelemetry.propagate  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]
    finally:
        environ[VARIABLE] = written
    configure_logs("warning")  # no command has done so yet
    missing = [name for name in names if name not in usable]
    log.warning(
        "otel_propagators_ignored", propagators=missing, why=f"{VARIABLE} names them, and they are not installed"
    )
