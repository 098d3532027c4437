"""The guardian on Windows: a job object, whose processes the system ends as the last handle to it goes, which is ours.

Written after the SDK's own (`mcp.os.win32`), which needs the same package; not run by our tests, which run on Linux.
"""

from __future__ import annotations

import sys
from typing import Any

if sys.platform == "win32":
    import pywintypes
    import structlog
    import win32api
    import win32con
    import win32job

    log = structlog.get_logger(__name__)

    class Guardian:
        """One job for all children of this process, and for what they start."""

        def __init__(self) -> None:
            self._job: Any = None

        def watch(self, group: int) -> None:
            """Have the processes that this one leads ended if we are killed."""
            try:
                if self._job is None:
                    self._job = _job_that_ends_with_us()
                rights = win32con.PROCESS_SET_QUOTA | win32con.PROCESS_TERMINATE
                win32job.AssignProcessToJobObject(self._job, win32api.OpenProcess(rights, False, group))  # noqa: FBT003
            except pywintypes.error as error:
                effect = "this server may outlive a gateway that is killed"
                log.warning("guardian_not_started", pid=group, error=str(error), effect=effect)

        def forget(self, group: int) -> None:
            """The system knows by itself when a process has ended."""

    def _job_that_ends_with_us() -> Any:
        job: Any = win32job.CreateJobObject(None, "")
        kind = win32job.JobObjectExtendedLimitInformation
        limits = win32job.QueryInformationJobObject(job, kind)
        limits["BasicLimitInformation"]["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        win32job.SetInformationJobObject(job, kind, limits)
        return job
