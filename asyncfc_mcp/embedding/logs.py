"""Where the gateway's log lines go in somebody else's program: to the standard library's loggers, never to stdout."""

from __future__ import annotations

import structlog


def leave_logs_to_the_program() -> None:
    """Send our events to the loggers below `asyncfc_mcp`, unless the program has configured structlog itself."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
