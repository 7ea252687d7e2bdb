"""Work in the background steps back behind what people wait for."""

from __future__ import annotations

import os
import sys
import threading

NICENESS = 10


def lower_priority() -> None:
    """Let other threads and programs go first, from now on: this thread, and the threads and processes that it
    starts. It takes no less of an idle processor. Does nothing where the system knows no priority of one thread
    (only Linux does), and can't be undone."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(now, NICENESS))
