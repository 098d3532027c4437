"""Where the gateway's log lines go in somebody else's program: to the standard library's loggers, never to stdout."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

_OURS = __name__.partition(".")[0]

_RENDERED: tuple[Processor, ...] = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["event"]),
)


def leave_logs_to_the_program() -> None:
    """Send our events to the loggers below `asyncfc_mcp`, unless the program has configured structlog itself.

    structlog has one configuration for all of a process, and the program may log by it as it comes: its own events go
    where they went.
    """
    if structlog.is_configured():
        return
    theirs = structlog.get_config()
    named_logger, their_logger = structlog.stdlib.LoggerFactory([__name__]), theirs["logger_factory"]

    def logger(*arguments: Any) -> Any:
        ours = named_logger()
        is_ours = ours.name == _OURS or ours.name.startswith(f"{_OURS}.")
        return ours if is_ours else their_logger(*arguments)

    def rendered(to: Any, method: str, event: EventDict) -> Any:
        for process in _RENDERED if isinstance(to, logging.Logger) else theirs["processors"]:
            event = process(to, method, event)  # pyright: ignore[reportAssignmentType]  the last one gives a text
        return event

    structlog.configure(processors=[rendered], logger_factory=logger)
