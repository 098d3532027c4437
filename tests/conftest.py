"""What every test may use."""

from __future__ import annotations

import signal
from collections.abc import Generator, MutableMapping
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.testing import capture_logs

# A job in the background starts with signals ignored, and so would all that the tests start, which they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says what else the machine does; what is too slow is found by benchmarks.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def default_logs() -> None:
    """structlog as it comes: a test that ran a command in this process has left its level and its stream behind."""
    structlog.reset_defaults()


@pytest.fixture
def logged() -> Generator[list[MutableMapping[str, Any]]]:
    """What is logged during the test, at every level."""
    with capture_logs() as lines:
        yield lines
