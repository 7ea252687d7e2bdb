"""How much of a file OCR may read, and how much it has read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class OcrBudget:
    """OCR of one file and of all that is attached to it.

    Attributes:
        most: Most pages that are read; 0 for no limit.
        pages: Pages that were read.
        left: Pages that weren't, because `most` or `most_seconds` was reached.
        seconds: Time that reading took.
        most_seconds: Seconds after which no other page is begun; 0 for no limit.
    """

    most: int = 0
    pages: int = 0
    left: int = 0
    seconds: float = 0.0
    most_seconds: float = 0.0

    def allows(self) -> bool:
        """Whether another page may be read. One that may not is counted as left."""
        if self.is_late or (self.most and self.pages >= self.most):
            self.left += 1
            return False
        return True

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return bool(self.most_seconds) and self.seconds >= self.most_seconds

    @contextmanager
    def page(self) -> Iterator[None]:
        """Measures the reading of a page."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.pages += 1
            self.seconds += time.monotonic() - started
