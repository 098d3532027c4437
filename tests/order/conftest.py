"""Quiet logs: a line for every move of ten thousand calls costs more than the calls, and hides what a failure says."""

from __future__ import annotations

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet_logs(default_logs: None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
