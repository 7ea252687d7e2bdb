"""Threads of OpenMP that wait asleep.

An OpenMP library lets threads that wait for others spin, as if the machine were theirs. Beside other programs a
spinning thread takes the processor from the very thread that it waits for. The libraries read how long to spin
when they are loaded, each copy for itself (torch, FAISS and llama.cpp bring three).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PASSIVE = {"GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""GNU's, and Intel's and LLVM's."""
_CHOICES = (*_PASSIVE, "OMP_WAIT_POLICY")
_lock = threading.RLock()


@contextmanager
def waiting_asleep() -> Iterator[None]:
    """Within it, an OpenMP library that is loaded will let waiting threads sleep.

    The environment is as before afterwards, for the programs that this one starts. What the user has set stays.
    """
    with _lock:
        ours = {} if any(name in os.environ for name in _CHOICES) else _PASSIVE
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in ours:
                os.environ.pop(name, None)
