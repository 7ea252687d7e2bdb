"""How long tests wait, and how they measure speed.

The suite passes beside other programs on the same processor, so no test measures in wall-clock time. A limit in
seconds is a net against waiting for ever: PATIENCE, the same everywhere. What has to be fast is measured in
processor time, which other programs hardly lengthen.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

PATIENCE = 600.0
"""Seconds for what takes a few on an idle machine. pytest-timeout ends a test a little later (pyproject.toml)."""


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again until `holds()`.

    Raises:
        AssertionError: it doesn't hold after that many seconds.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


class ProcessorTime:
    """Counts the processor time of this process, all its threads, and its children that have ended."""

    def __init__(self) -> None:
        self._began = _processor_seconds()

    @property
    def seconds(self) -> float:
        """Seconds used since this object was made."""
        return _processor_seconds() - self._began


def _processor_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
