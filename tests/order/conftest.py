"""Quiet logs: a line for every move of ten thousand calls costs more than the calls, and hides what a failure says."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet_logs() -> Generator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)
