"""Quiet logs: a line for every move of ten thousand calls costs more than the calls, and hides what a failure says."""

from __future__ import annotations

import logging

import pytest
import structlog

from asyncfc_mcp.gateway.intake import submission
from tests.harness import LIMIT_S


@pytest.fixture(autouse=True)
def patient_with_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a call waits until those have come that were sent beside it."""
    monkeypatch.setattr(submission, "NAME_WAIT_S", LIMIT_S)


@pytest.fixture(autouse=True)
def quiet_logs(default_logs: None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
