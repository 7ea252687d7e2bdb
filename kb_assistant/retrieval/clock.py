"""How long the steps of a search take."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Wall time of the steps of a search, in seconds, by name.

    Args:
        told: Called with each.
    """

    def __init__(self, told: Callable[[str, float], None] = lambda *_: None) -> None:
        self._told = told
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
        self._told(name, self.laps[name])
