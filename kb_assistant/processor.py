"""What the processor offers: its features, and the cores that are free for this process."""

from __future__ import annotations

import math
import os
import sys
from functools import cache
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@cache
def cpu_flags() -> frozenset[str]:
    """The processor's features by Linux's names, such as "avx2"; empty where the system doesn't tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(found, "").split())


def multiplies_int8() -> bool:
    """Whether the processor has instructions for sums of 8-bit products; False where it doesn't tell."""
    return bool(cpu_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"})


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
