"""Whether spans are exported and where to, by OpenTelemetry's own variables; the SDK is loaded only when they ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from asyncfc_mcp.telemetry.spans import is_tracing

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


def start_exporting(environ: Mapping[str, str]) -> Callable[[], None]:
    """Export the spans of this process if the environment says so; what is returned ends that, and waits a little.

    An environment that asks for what is not there costs the traces and a warning, and never the start: such variables
    are often set for everything on a machine.
    """
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    exporter = named or ("otlp" if _first(environ, _ENDPOINTS) else "none")
    if exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return _nothing
    if (why := _unspoken(exporter, environ)) is not None:
        log.warning("traces_not_exported", why=why)
        return _nothing
    if is_tracing():  # there can be one provider only
        why = "another tracer provider is there already: OTEL_PYTHON_TRACER_PROVIDER or an instrumentation set it"
        log.warning("traces_not_exported", why=why)
        return _nothing
    try:
        from asyncfc_mcp.telemetry.otlp import export  # noqa: PLC0415 - the SDK is an extra, and takes time to load
    except ImportError:
        why = "the environment asks for it, and the OpenTelemetry SDK is not installed"
        log.warning("traces_not_exported", why=why, change='pip install "asyncfc-mcp[otel]"')
        return _nothing
    try:
        end = export(is_otlp=exporter == "otlp", names_itself=_names_service(environ))
    except Exception as error:  # noqa: BLE001 - the SDK reads variables that may say anything
        log.warning("traces_not_exported", why=f"a variable OTEL_… cannot be used ({type(error).__name__})")
        return _nothing
    log.info("exporting_traces", exporter=exporter)
    return end


def _unspoken(exporter: str, environ: Mapping[str, str]) -> str | None:
    if exporter not in ("otlp", "console"):
        return f"OTEL_TRACES_EXPORTER is {exporter!r}; it can be otlp, console or none"
    protocol = _first(environ, _PROTOCOLS)
    if exporter == "otlp" and protocol and protocol != _SPOKEN:
        variable = next(name for name in _PROTOCOLS if environ.get(name, "").strip())
        return f"{variable} is {protocol!r}; only {_SPOKEN} is spoken, most often at port 4318"
    return None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), "")


def _names_service(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OTEL_SERVICE_NAME")) or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _nothing() -> None:
    """End nothing."""
