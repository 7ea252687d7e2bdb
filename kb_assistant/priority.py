"""Work in the background steps back behind what people wait for."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path

NICENESS = 10
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def lower_priority() -> None:
    """Let other threads and programs go first, from now on: this thread, and the threads and processes that it
    starts. It takes no less of an idle processor. Does nothing where the system knows no priority of one thread
    (only Linux does), and can't be undone."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(now, NICENESS))


def load_per_core() -> float:
    """Programs that compute or wait to, for each core, over the last minute; 0.0 where the system doesn't tell."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows
        return 0.0


def usable_cores() -> int:
    """Cores that threads of this process can compute on at once.

    Physical ones, which two threads of a model would only share, as far as the process's affinity and its
    container's share of processor time let it.
    """
    import psutil

    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return int(max(1, min(allowed, psutil.cpu_count(logical=False) or allowed, _share(_QUOTA))))


def _share(quota: Path) -> float:
    """Processors by a control group's quota, as of `docker run --cpus 1.5`, rounded up; infinite without one."""
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return math.inf if most == "max" else math.ceil(int(most) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
