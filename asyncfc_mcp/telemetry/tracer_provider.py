"""`OTEL_PYTHON_TRACER_PROVIDER`, which OpenTelemetry's API obeys wherever a tracer is asked for, or raises.

The variable is often set for everything on a machine, where the programs that we start have that provider, and we have
not. It must cost a gateway its traces, and not its start.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

import structlog

from asyncfc_mcp.telemetry.logs import configure_logs

VARIABLE = "OTEL_PYTHON_TRACER_PROVIDER"

log = structlog.get_logger()


def settle_tracer_provider(environ: MutableMapping[str, str]) -> None:
    """Have that provider, or none; a name stays in the variable, for the servers that inherit it.

    No tracer may have been asked for before.
    """
    if not environ[VARIABLE].strip():  # the same as if it were not set, which the API does not take it for
        del environ[VARIABLE]
        return
    from opentelemetry import trace  # noqa: PLC0415 - few set the variable, and commands start fast

    # it would show a traceback, which is no JSON
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        trace.get_tracer_provider()
    except Exception as error:  # noqa: BLE001 - whatever a provider of somebody's raises, or its absence
        trace.set_tracer_provider(trace.NoOpTracerProvider())
        configure_logs("warning")  # no command has done so yet
        is_missing = isinstance(error, StopIteration)
        fact = "it is not installed" if is_missing else f"it cannot be loaded ({type(error).__name__})"
        log.warning("otel_tracer_provider_ignored", provider=environ[VARIABLE], why=f"{VARIABLE} names it, and {fact}")
