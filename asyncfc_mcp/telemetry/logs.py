"""Logs: structlog events on stderr, lines for people on a terminal and JSON otherwise. stdout belongs to MCP."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")


def configure_logs(level: str = "info", stream: TextIO | None = None) -> None:
    """Send our events, and the warnings of the libraries below us, to `stream` (stderr when None)."""
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not target.isatty()),
            *_renderers(target),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        # not cached, so that tests can listen in
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=target, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True)
    # The SDK's own loggers quote messages of clients and servers, which may hold secrets: ours say what matters.
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _renderers(target: TextIO) -> list[structlog.types.Processor]:
    """How a line is written; tracebacks are plain, since pretty ones print local variables, and those may be secret."""
    if target.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, _head_first, structlog.processors.JSONRenderer()]


def _head_first(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """When, how bad and what, before the rest: a line is read, and cut, from its beginning."""
    head = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return {**head, **event}
